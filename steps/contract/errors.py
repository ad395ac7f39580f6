"""The error tree. A class name is a contract: the order workflow matches errors by it.

OrderMailError
├── LedgerUnavailable     the tracking table throttled or did not answer; nothing is known to be wrong
├── WorkflowUnavailable   the execution could not be started, or its end is not known
├── SesUnavailable        SES did not tell what the account may send
├── QueueUnavailable      SQS did not take a message back or on
├── TopicUnavailable      SNS did not take an outcome
├── SourceUnavailable     a figure of the scheduled reports is unavailable; the report says so
├── AttachmentUnavailable  an attachment is not there, or not the one that the event means (yet)
├── AttachmentsRefused    SES refused a mail with attachments, maybe because of them; the send step's alone
├── AttachmentsLinked     the mail is to go without its attachments: it is rendered anew, with links
├── ClaimLost             another execution owns the notification by now; this one must stop
├── SendDeferred          SES did not accept the mail and says it may do so later
│   ├── SendThrottled     faster than the account's send rate
│   ├── QuotaExceeded     the account's 24 hour quota is used up
│   ├── SendingPaused     SES or an operator paused sending
│   ├── SenderNotReady    the sender or the configuration set is not (yet) usable
│   └── SesUnreachable    no connection to SES, or no credentials for it: the mail never left
├── SendRejected          SES refuses this mail as it is
├── InvalidSesEvent       what came from SES's topic is no event of SES's
├── RecordNotFound        an event of SES's about a mail that no record knows (yet)
├── SendOutcomeUnknown    no answer, or a 5xx: SES may have accepted the mail
└── UnexpectedError       anything else, without the original's message, which may hold personal data

Messages say what happened and never hold an address, a name or an item: Step Functions stores them
as an execution's cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steps.contract.attachments import Unattached


class OrderMailError(Exception):
    """Root of all errors that a step raises on purpose."""


class LedgerUnavailable(OrderMailError):
    """DynamoDB throttled the request or did not answer. Retrying is safe: each write is conditional."""


class WorkflowUnavailable(OrderMailError):
    """Step Functions throttled or did not answer; the execution may or may not have run."""


class SesUnavailable(OrderMailError):
    """GetAccount was throttled or did not answer; the last answer goes on to count."""


class QueueUnavailable(OrderMailError):
    """SQS did not answer; the message is still on the order queue and comes back by itself."""


class TopicUnavailable(OrderMailError):
    """SNS throttled, refused or did not answer; what it was to publish is in the table's stream still."""


class SourceUnavailable(OrderMailError):
    """Cost Explorer, CloudWatch, SES or the reports table refused or did not answer."""


class AttachmentUnavailable(OrderMailError):
    """An attachment cannot be had now; `reason` says why. SES was not called."""

    def __init__(self, reason: Unattached) -> None:
        super().__init__(reason)
        self.reason = reason


class AttachmentsRefused(OrderMailError):
    """SES did not accept a mail with attachments, and would maybe without; no step ends by it."""


class AttachmentsLinked(OrderMailError):
    """The record says by now that the mail goes without its attachments. SES does not have it."""


class ClaimLost(OrderMailError):
    """The claim belongs to another execution now, so sending here could be a second mail."""


class SendDeferred(OrderMailError):
    """SES definitely did not accept the mail, and the reason is one that passes."""


class SendThrottled(SendDeferred):
    """`TooManyRequestsException` or `ThrottlingException`: over the account's maximum send rate."""


class QuotaExceeded(SendDeferred):
    """`LimitExceededException`: the account's 24 hour sending quota is used up."""


class SendingPaused(SendDeferred):
    """The account, the configuration set or the identity is paused; in which words: `steps.aws.refusals`."""


class SenderNotReady(SendDeferred):
    """Sender not verified, configuration set missing, role not allowed, or refused in unknown words."""


class SesUnreachable(SendDeferred):
    """The request was never made: no connection, no credentials."""


class SendRejected(OrderMailError):
    """An address or content that SES never takes, or no valid request: it is about this very mail.

    The event may be mended and published again.
    """


class SendOutcomeUnknown(OrderMailError):
    """A time-out, a reset or a 5xx from SES: the mail may be on its way. Never retried blindly."""


class InvalidSesEvent(OrderMailError):
    """The topic of SES's events carried something else; it ends among the dead letters."""


class RecordNotFound(OrderMailError):
    """The event is tried again: its record, or the record's message id, may be on its way."""


class UnexpectedError(OrderMailError):
    """A bug. Holds the original's class and place; its message stays out of logs and causes."""


DEFERRED = (SendThrottled, QuotaExceeded, SendingPaused, SenderNotReady, SesUnreachable)
"""The errors after which a mail waits on the queue until the cause is gone; its claim is free then."""
