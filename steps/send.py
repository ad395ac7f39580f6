"""Send: fetch the attachments, mark the record SENDING, then hand the mail to SES, once."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.aws.objects import Objects
from steps.aws.ses import Ses
from steps.contract import limits
from steps.contract.attachments import Attachment, Unattached, s3_object
from steps.contract.errors import (
    AttachmentsLinked,
    AttachmentsRefused,
    AttachmentUnavailable,
    ClaimLost,
    LedgerUnavailable,
    OrderMailError,
    SendDeferred,
    SendRejected,
)
from steps.contract.handler import logger, step_handler
from steps.contract.settings import FunctionSettings
from steps.contract.state import Reference
from steps.ledger import rules
from steps.ledger.ses_events import NOTIFICATION_TAG
from steps.ledger.status import Status
from steps.mail.documents import Attachable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import Receipt, State, StepEvent

Fetch = Callable[[Sequence[Reference]], list[Attachment]]
"""Fetches a mail's attachments: see `fetch`."""


@dataclass(frozen=True, kw_only=True)
class SendSettings(FunctionSettings):
    """Where claims are kept, who sends (a bare address), through which configuration set, and what with it.

    attachments_prefix: `s3://bucket/prefix/`, below which attachments are; empty where none are.
    attachment_types: file extensions, separated by commas.
    """

    tracking_table: str
    sender: str
    configuration_set: str
    attachments_prefix: str
    attachment_types: str

    @property
    def attachable(self) -> Attachable:
        """What may be attached."""
        return Attachable.of(self.attachments_prefix, self.attachment_types)


def send(
    state: State,
    owner: str,
    *,
    table: LedgerTable,
    ses: Ses,
    fetch: Fetch,
    handover_id: str,
    clock: Callable[[], float] = time.time,
) -> Receipt:
    """Send the state's mail for the claim's owner; `handover_id` is this call's alone.

    Raises:
        AttachmentUnavailable: an attachment cannot be had yet; the record is CLAIMED.
        AttachmentsLinked: nor will it be, or SES refused the mail with it; the record is CLAIMED and says so
            to whoever claims it next.
        ClaimLost: another execution took the claim over, or the record was erased; nothing was sent.
        SendDeferred: SES refused for now; the record is CLAIMED again.
        SendRejected: SES refuses the mail as it is; the record step writes it down.
        SendOutcomeUnknown: the record stays SENDING.
    """
    notification_id = state["notificationId"]
    try:
        attachments = fetch(state["email"].get("attachments", []))
    except AttachmentUnavailable as error:
        if error.reason.passes and _is_patient(state, clock()):
            raise
        linked = rules.linked(notification_id=notification_id, owner=owner, reason=error.reason)
        raise _linked(error.reason, linked, table=table) from error
    _say_so(
        notification_id,
        owner,
        table=table,
        handover_id=handover_id,
        now=clock(),
        attached=bool(attachments),
    )
    try:
        message_id = ses.send(
            state["email"], tags={NOTIFICATION_TAG: notification_id}, attachments=attachments
        )
    except (AttachmentsRefused, SendDeferred, SendRejected) as error:
        reason = Unattached.REFUSED if isinstance(error, AttachmentsRefused) else None
        refused = rules.refused(
            notification_id=notification_id,
            owner=owner,
            handover_id=handover_id,
            now=clock(),
            linked=reason,
        )
        if reason:
            raise _linked(reason, refused, table=table) from error
        _take_back(refused, table=table)
        raise
    return {"messageId": message_id, "sentAt": rules.iso(clock()), "handoverId": handover_id}


def fetch(
    references: Sequence[Reference], *, attachable: Attachable, objects: Objects
) -> list[Attachment]:
    """Fetch a mail's attachments, all or none.

    Raises:
        AttachmentUnavailable: one may not be attached, or is not to be had.
    """
    media_types = attachable.media_types(references)
    contents = objects.read([s3_object(reference["uri"]) for reference in references])
    return [
        Attachment(
            file_name=reference["fileName"],
            media_type=media_type,
            content=_verified(content, reference["sha256"]),
        )
        for reference, media_type, content in zip(references, media_types, contents, strict=True)
    ]


def _verified(content: bytes, sha256: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise AttachmentUnavailable(Unattached.MISMATCH)
    return content


def _is_patient(state: State, now: float) -> bool:
    """Whether a mail waits for its attachments; one that no message is behind would wait for nothing."""
    return now < state.get("publishedAt", 0) + limits.ATTACHMENT_PATIENCE


def _linked(reason: Unattached, linked: rules.Update, *, table: LedgerTable) -> AttachmentsLinked:
    """Have the mail rendered anew, with links: its text says where its documents are."""
    logger.warning("attachments become links", reason=reason)
    if table.write(linked) is not None:
        raise ClaimLost("the record is not as this execution left it")
    return AttachmentsLinked(reason)


def _say_so(
    notification_id: str,
    owner: str,
    *,
    table: LedgerTable,
    handover_id: str,
    now: float,
    attached: bool,
) -> None:
    """Mark the record SENDING by this call."""
    previous = None
    for _ in range(limits.SENDING_WRITES):
        record = table.write(
            rules.sending(
                notification_id=notification_id,
                owner=owner,
                handover_id=handover_id,
                previous=previous,
                now=now,
                attached=attached,
            )
        )
        if record is None:
            return
        if rules.is_erased(record):
            raise ClaimLost("the record was erased")
        if record.get("owner") != owner or record["status"] not in (Status.CLAIMED, Status.SENDING):
            raise ClaimLost("another execution owns the notification")
        previous = record["handoverId"]
        if previous == handover_id:  # Our own write; its answer was lost.
            return
    raise LedgerUnavailable("an earlier call's writes came in between each time")


def _take_back(refused: rules.Update, *, table: LedgerTable) -> None:
    """Take SENDING back; where that fails the record is settled after the grace period: late, never twice."""
    try:
        table.write(refused)
    except OrderMailError:
        logger.warning("could not take SENDING back")


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> Receipt:
    """Take `{execution, state: {notificationId, email}}`, return SES's receipt."""
    settings = SendSettings.from_env()
    receipt = send(
        event["state"],
        event["execution"],
        table=LedgerTable(settings.tracking_table),
        ses=Ses(sender=settings.sender, configuration_set=settings.configuration_set),
        fetch=partial(fetch, attachable=settings.attachable, objects=Objects()),
        handover_id=uuid.uuid4().hex,
    )
    # Whoever has SES's id of a mail finds its record by this line alone.
    logger.info(
        "accepted",
        message_id=receipt["messageId"],
        notification_id=event["state"]["notificationId"],
    )
    return receipt
