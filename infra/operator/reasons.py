"""Why a mail did not go, arrive, or arrive at once: each reason that a record, a log or SES names, in words.

A sentence is for the shop assistant who has the customer on the phone; the next step is theirs or names who
has it. Sources: `steps.contract.errors`; "Contents of event data that Amazon SES publishes to Amazon SNS",
Amazon SES Developer Guide (bounce types, complaint types and subtypes, delay types).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from steps.contract import errors
from steps.dispatch import IN_PROGRESS, MESSAGE_TOO_LARGE, PACED
from steps.ledger.rules import INVALID_EVENT, NO_REPORT
from steps.ledger.ses_events import AUTOMATIC_REPLY, NOT_SPAM


class Why(NamedTuple):
    """A reason as a sentence, and what to do now; the latter is empty where nothing is to be done."""

    sentence: str
    next_step: str = ""


ANOTHER_ADDRESS = "Ask the customer for another address, and have the order published with it."
AGAIN = "Publish the event again, or send it again: order-mail resend."
WAITS = "Nothing: it goes out by itself."
ENGINEER = "Tell the engineer on call: the execution's log has the place."

SUPPRESSION = frozenset(
    {
        "Permanent/OnAccountSuppressionList",
        "OnAccountSuppressionList",
    }
)
"""The reasons of which the account's suppression list knows more."""

_OURS = {
    errors.LedgerUnavailable: Why("The database did not answer in time.", WAITS),
    errors.WorkflowUnavailable: Why("The workflow could not be started.", WAITS),
    errors.SesUnavailable: Why("SES, the mail service, does not say what it lets us send.", WAITS),
    errors.QueueUnavailable: Why("The queue did not answer in time.", WAITS),
    errors.TopicUnavailable: Why("The topic did not take what was to be published.", WAITS),
    errors.SourceUnavailable: Why("A source of the reports did not answer.", WAITS),
    errors.AttachmentUnavailable: Why(
        "A document that the mail is to bring is not in the shop's store yet, or is not the one it names.",
        "Nothing: a quarter of an hour after the order the mail goes out without it, with a link in its place.",
    ),
    errors.AttachmentsRefused: Why(
        "SES, the mail service, refuses the mail with its attachments, so it gets links in their place.",
        WAITS,
    ),
    errors.AttachmentsLinked: Why(
        "A document that the mail was to bring could not be attached, so it gets a link in its place.",
        WAITS,
    ),
    errors.ClaimLost: Why("Another attempt had taken the mail over by then.", WAITS),
    errors.SendDeferred: Why("SES, the mail service, does not take the mail now.", WAITS),
    errors.SendThrottled: Why("There are more mails than SES lets us send in a second.", WAITS),
    errors.QuotaExceeded: Why(
        "What SES lets us send in 24 hours is used up.",
        "Nothing: it goes out as the quota frees up. If it lasts, the engineer on call asks AWS for more.",
    ),
    errors.SendingPaused: Why(
        "Sending is paused.", "Nothing: it goes out when the pause is lifted (order-mail lift)."
    ),
    errors.SenderNotReady: Why(
        "SES does not accept the shop's sender address or its settings now.",
        "Tell the engineer on call: order-mail doctor says what is not right. Then it goes out by itself.",
    ),
    errors.SesUnreachable: Why("SES, the mail service, could not be reached.", WAITS),
    errors.SendRejected: Why(
        "SES, the mail service, refuses this mail as it is; most often the address is none.",
        "Check the address with the customer, and publish the event again with the right one.",
    ),
    errors.InvalidSesEvent: Why("What came from SES's topic is no event of SES's.", ENGINEER),
    errors.RecordNotFound: Why("SES told of a mail that no record knows.", ENGINEER),
    errors.SendOutcomeUnknown: Why(
        "SES gave no answer, so the mail may be on its way, or may not.",
        "Nothing: SES's own report settles it, else it is sent again.",
    ),
    errors.UnexpectedError: Why("A fault of the system itself.", ENGINEER),
    errors.OrderMailError: Why("A step failed.", ENGINEER),
}

_OTHERS = {
    INVALID_EVENT: Why(
        "The order event is not valid.",
        "Have whoever publishes the orders mend it and publish it again.",
    ),
    NO_REPORT: Why(
        "The recipient's server put the mail off for hours, and SES never told the end.", AGAIN
    ),
    MESSAGE_TOO_LARGE: Why(
        "The order event is larger than the workflow takes.",
        "Have whoever publishes the orders make it smaller (fewer items, shorter texts) and publish it again.",
    ),
    IN_PROGRESS: Why("Another attempt is at it.", WAITS),
    PACED: Why("Other mails are before it: SES lets us send so many in a second.", WAITS),
    "Deferred": Why("Something that passes kept the mail back.", WAITS),
    "InDoubt": Why("SES may have the mail, or may not.", WAITS),
    "Failed": Why("A fault of the system itself.", ENGINEER),
    "GaveUp": Why("The last attempt failed.", AGAIN),
}

_BOUNCES = {
    "Undetermined/Undetermined": Why(
        "The recipient's server gave the mail back and did not say why.", ANOTHER_ADDRESS
    ),
    "Permanent/General": Why("The recipient's server refuses the mail for good.", ANOTHER_ADDRESS),
    "Permanent/NoEmail": Why("There is no such address.", ANOTHER_ADDRESS),
    "Permanent/Suppressed": Why(
        "SES did not try: mails of others to this address came back lately, so it is on SES's own global list.",
        ANOTHER_ADDRESS,
    ),
    "Permanent/OnAccountSuppressionList": Why(
        "SES did not try: the address is on the account's suppression list.",
        "If the address is right, take it off the list (order-mail suppression remove) and send the mail again "
        "(order-mail suppression retry). Else ask the customer for another address.",
    ),
    "Permanent/OnTenantSuppressionList": Why(
        "SES did not try: the address is on the tenant's suppression list.",
        "If the address is right, the engineer on call takes it off that list. Else ask for another.",
    ),
    "Permanent/EmailValidationSuppressed": Why(
        "SES did not try: by its own check the address is most likely none.", ANOTHER_ADDRESS
    ),
    "Permanent/UnsubscribedRecipient": Why(
        "SES did not try: the recipient has unsubscribed.", ANOTHER_ADDRESS
    ),
    "Transient/General": Why("The recipient's server did not take the mail, for now.", AGAIN),
    "Transient/MailboxFull": Why(
        "The recipient's mailbox is full.",
        "Tell the customer to make room, then publish the event again (or: order-mail resend).",
    ),
    "Transient/MessageTooLarge": Why(
        "The mail is larger than the recipient's server takes.", ANOTHER_ADDRESS
    ),
    "Transient/CustomTimeoutExceeded": Why(
        "The recipient's server did not take the mail in the time that we give it.", AGAIN
    ),
    "Transient/ContentRejected": Why(
        "The recipient's server did not take what the mail says, most often as spam.",
        ANOTHER_ADDRESS,
    ),
    "Transient/AttachmentRejected": Why(
        "The recipient's server did not take an attachment.", ANOTHER_ADDRESS
    ),
    AUTOMATIC_REPLY: Why("The mail arrived; its recipient has an automatic reply on."),
    "Reject": Why("SES took the mail for one with a virus and did not send it.", ENGINEER),
    "RenderingFailure": Why("SES could not make a mail of the template.", ENGINEER),
}

_LEAVE_OUT = "Do not write to this address again before the customer asks for it."

_COMPLAINTS = {
    "OnAccountSuppressionList": Why(
        "SES did not try: the recipient has reported a mail of ours before, so the address is on the account's "
        "suppression list.",
        "If the customer wants our mails, take the address off the list (order-mail suppression remove) and "
        "send the mail again (order-mail suppression retry).",
    ),
    "OnTenantSuppressionList": Why(
        "SES did not try: the recipient has reported a mail before, so the address is on the tenant's list.",
        _LEAVE_OUT,
    ),
    "abuse": Why("The recipient has reported the mail as spam.", _LEAVE_OUT),
    "auth-failure": Why(
        "The recipient's provider reports that it could not tell that the mail is ours.", ENGINEER
    ),
    "fraud": Why("The recipient has reported the mail as fraud.", _LEAVE_OUT),
    NOT_SPAM: Why("The recipient took the mail out of the junk."),
    "other": Why("The recipient has complained about the mail.", _LEAVE_OUT),
    "virus": Why("The recipient's provider reports a virus in the mail.", ENGINEER),
}

_DELAYS = {
    "InternalFailure": Why("SES has a fault of its own and goes on trying.", WAITS),
    "General": Why("The recipient's server puts the mail off; SES goes on trying.", WAITS),
    "MailboxFull": Why(
        "The recipient's mailbox is full; SES goes on trying.",
        "Tell the customer to make room; then it arrives by itself.",
    ),
    "SpamDetected": Why(
        "The recipient's server has had many unwanted mails from SES and puts ours off.", WAITS
    ),
    "RecipientServerError": Why("The recipient's server has a fault; SES goes on trying.", WAITS),
    "IPFailure": Why(
        "The recipient's server does not take mails from this address of SES's.", WAITS
    ),
    "TransientCommunicationFailure": Why(
        "The recipient's server broke the connection off; SES goes on trying.", WAITS
    ),
    "BYOIPHostNameLookupUnavailable": Why(
        "The name of our own sending host is not found.", ENGINEER
    ),
    "Undetermined": Why("The mail is late and SES does not know why; it goes on trying.", WAITS),
    "SendingDeferral": Why("SES itself holds the mail back for a while.", WAITS),
}

REASONS: dict[str, Why] = {
    **{error.__name__: why for error, why in _OURS.items()},
    **_OTHERS,
    **_BOUNCES,
    **_COMPLAINTS,
    **_DELAYS,
}
"""By the name that a record or a log has."""

_KINDS = (
    (
        re.compile(r"Permanent/.*"),
        Why("The recipient's server refuses the mail for good: {0}.", ANOTHER_ADDRESS),
    ),
    (
        re.compile(r"Transient/.*"),
        Why("The recipient's server did not take the mail, for now: {0}.", AGAIN),
    ),
    (re.compile(r"Undetermined/.*"), Why("The mail came back: {0}.", ANOTHER_ADDRESS)),
    (
        re.compile(r"(States|Lambda|Sandbox|Runtime)\..*"),
        Why("AWS did not run a part of the system ({0}).", ENGINEER),
    ),
)


def why(name: str) -> Why:
    """Return a reason in words; one that nobody knows keeps its name."""
    if known := REASONS.get(name):
        return known
    for pattern, kind in _KINDS:
        if pattern.fullmatch(name):
            return Why(kind.sentence.format(name), kind.next_step)
    return Why(f"The reason is {name}, of which nothing more is known here.", ENGINEER)
