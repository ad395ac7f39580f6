"""A mail's attachments on the order path: attached, waited for, or linked and said so on the record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from steps import render, send
from steps.aws.ledger_table import LedgerTable
from steps.aws.objects import Objects
from steps.aws.ses import SendingAccount, Ses
from steps.contract import errors, limits
from steps.contract.attachments import Unattached
from steps.contract.state import encoded_size
from steps.dispatch import Dispatcher
from steps.ledger import rules
from steps.mail.documents import Attachable
from tests.conftest import load_event
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import SES, STATE, TABLE, claim, table_items
from tests.support.lambda_context import lambda_context
from tests.support.order_queue import QueueInMemory, WorkflowInProcess
from tests.support.pace_in_memory import PaceInMemory
from tests.support.sample_mails import BRAND, ITEM, NOTIFICATION_ID, order
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steps.contract.attachments import Attachment
    from steps.contract.state import Email, Reference, State

PDF = b"%PDF-1.7 invoice of Maya"
KEY = "mails/Maya-4711.pdf"
INVOICE = {
    "uri": f"s3://shop/{KEY}",
    "sha256": hashlib.sha256(PDF).hexdigest(),
    "fileName": "Invoice-4711.pdf",
    "url": "https://shop.example/invoices/4711",
}
FETCH = partial(send.fetch, attachable=Attachable.of("s3://shop/mails/", "pdf"))


@dataclass(frozen=True, kw_only=True)
class Outbox(Ses):
    """Accepts every mail, and keeps it with its attachments."""

    mails: list[tuple[Email, list[Attachment]]] = field(default_factory=list)

    def send(
        self, email: Email, *, tags: Mapping[str, str], attachments: Sequence[Attachment] = ()
    ) -> str:
        assert tags
        self.mails.append((email, [*attachments]))
        return f"message-{len(self.mails)}"


@dataclass
class Path:
    """The order path with a clock of its own, and S3 for the invoice."""

    clock: Clock = field(default_factory=Clock)
    outbox: Outbox = field(default_factory=lambda: Outbox(**vars(SES)))
    gets: int = 0

    def __post_init__(self) -> None:
        self.queue = QueueInMemory(self.clock)
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket="shop")
        self.dispatcher = Dispatcher(
            workflow=WorkflowInProcess(
                clock=self.clock,
                sleep=self.clock.sleep,
                table=TABLE,
                ses=self.outbox,
                fetch=self._fetch,
            ),
            queue=self.queue.door,
            pace=PaceInMemory(
                clock=self.clock,
                ask=lambda: SendingAccount(rate=10, quota_left=1000, enabled=True),
            ),
            table=TABLE,
            clock=self.clock,
            sleep=self.clock.sleep,
            each=lambda run, *arguments: list(map(run, *arguments)),
        )

    def deliver_by(self, outbox: Outbox) -> None:
        self.outbox = outbox
        workflow: Any = self.dispatcher.workflow
        object.__setattr__(workflow, "ses", outbox)

    def _fetch(self, references: Sequence[Reference]) -> list[Attachment]:
        self.gets += 1
        return FETCH(references, objects=Objects(clock=self.clock))

    def upload(self, content: bytes = PDF) -> None:
        self.s3.put_object(Bucket="shop", Key=KEY, Body=content)

    def publish(self, **invoice: str) -> None:
        self.queue.publish(json.dumps(load_event("order") | {"attachments": [INVOICE | invoice]}))

    def run(self, seconds: float = float("inf")) -> None:
        """Let everything happen that does by then, or until the queue is empty."""
        until = self.clock.now + seconds
        while self.queue.next_visible() <= min(until, 1e12):
            self.clock.now = max(self.clock.now, self.queue.next_visible())
            self.queue.run(self.dispatcher.run_batch)

    @property
    def record(self) -> rules.Record:
        (record,) = [item for item in table_items() if "status" in item]
        return record


@pytest.fixture
def path(in_memory_aws: None) -> Path:  # noqa: ARG001 - a fixture of the fixture
    return Path()


def test_an_invoice_is_attached(path: Path) -> None:
    path.upload()
    path.publish()
    path.run()
    ((mail, (attachment,)),) = path.outbox.mails
    assert attachment.content == PDF
    assert (attachment.file_name, attachment.media_type) == ("Invoice-4711.pdf", "application/pdf")
    assert [r["fileName"] for r in mail["attachments"]] == ["Invoice-4711.pdf"]
    assert path.clock.elapsed < 1
    assert "attachmentsLinked" not in path.record


@pytest.mark.parametrize("first", [None, b"an older invoice"])
def test_an_invoice_that_comes_minutes_later_is_waited_for(path: Path, first: bytes | None) -> None:
    if first:
        path.upload(first)
    path.publish()
    path.run(5 * 60)
    assert path.outbox.mails == []
    assert path.record["status"] == "CLAIMED"
    path.upload()
    path.run()
    ((_, (attachment,)),) = path.outbox.mails
    assert attachment.content == PDF
    assert path.clock.elapsed <= 5 * 60 + limits.ATTACHMENT_RETRY_MAX
    assert "attachmentsLinked" not in path.record


@pytest.mark.parametrize(
    ("content", "reason"), [(None, Unattached.NOT_FOUND), (b"another", Unattached.MISMATCH)]
)
def test_an_invoice_that_never_comes_becomes_a_link(
    path: Path, content: bytes | None, reason: Unattached
) -> None:
    if content:
        path.upload(content)
    path.publish()
    path.run()
    ((mail, attachments),) = path.outbox.mails
    assert attachments == []
    assert "attachments" not in mail
    assert path.record["status"] == "SENT"
    assert path.record["attachmentsLinked"] == reason
    waited = limits.ATTACHMENT_PATIENCE, limits.ATTACHMENT_RETRY_MAX + limits.RETRY_DELAY_MIN + 5
    assert waited[0] <= path.clock.elapsed <= sum(waited)
    assert path.gets < 20
    assert path.record["resends"] == 0


@pytest.mark.parametrize(
    ("invoice", "reason"),
    [
        ({"uri": "s3://another/mails/1"}, Unattached.OUTSIDE_PREFIX),
        ({"fileName": "Invoice.docx"}, Unattached.TYPE_NOT_ALLOWED),
        ({"uri": "s3://Shop//mails/1"}, Unattached.OUTSIDE_PREFIX),
        ({"uri": f"s3://shop/mails/{'é' * 600}"}, Unattached.OUTSIDE_PREFIX),
        ({"fileName": "Invoice"}, Unattached.TYPE_NOT_ALLOWED),
        ({}, Unattached.TOO_LARGE),
    ],
)
def test_what_can_never_be_attached_becomes_a_link_at_once(
    path: Path, invoice: dict[str, str], reason: Unattached
) -> None:
    path.upload(b"x" * (limits.ATTACHMENTS_MAX_BYTES + 1))
    path.publish(**invoice)
    path.run()
    ((_, attachments),) = path.outbox.mails
    assert attachments == []
    assert path.record["attachmentsLinked"] == reason
    assert path.clock.elapsed < 10


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([f"{number}.pdf" for number in range(6)], Unattached.TOO_MANY),
        (["Café.pdf", "CAFE\u0301.pdf"], Unattached.SAME_NAME),
    ],
)
def test_files_that_cannot_go_together_become_links_at_once(
    path: Path, names: list[str], reason: Unattached
) -> None:
    path.upload()
    invoices = [INVOICE | {"fileName": name} for name in names]
    path.queue.publish(json.dumps(load_event("order") | {"attachments": invoices}))
    path.run()
    assert [attachments for _, attachments in path.outbox.mails] == [[]]
    assert path.record["attachmentsLinked"] == reason
    assert path.clock.elapsed < 10


def test_a_mail_whose_invoice_came_is_not_late_for_a_rate_that_was_taken_for_a_moment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.publish()
    path.run(13 * 60)
    path.upload()
    reserve, slots = path.dispatcher.pace.reserve, iter([False])

    def once_full(mails: int, rate: float) -> list[float] | None:
        return reserve(mails, rate) if next(slots, True) else None

    monkeypatch.setattr(path.dispatcher.pace, "reserve", once_full)
    path.run()
    assert [len(attachments) for _, attachments in path.outbox.mails] == [1]
    assert path.clock.elapsed <= 13 * 60 + 2 * limits.ATTACHMENT_RETRY_MAX


def test_a_mail_that_waited_long_for_ses_waits_no_longer_for_its_invoice(path: Path) -> None:
    path.publish()
    path.clock.sleep(limits.ATTACHMENT_PATIENCE)
    path.run()
    assert path.record["attachmentsLinked"] == Unattached.NOT_FOUND
    assert path.clock.elapsed < limits.ATTACHMENT_PATIENCE + 10


@pytest.mark.parametrize("invoice", [{"fileName": "Invoice.docx"}, {}])
def test_at_the_last_receive_the_mail_gets_one_more_to_go_with_a_link(
    path: Path, invoice: dict[str, str]
) -> None:
    path.publish(**invoice)
    path.clock.sleep(limits.ATTACHMENT_PATIENCE)
    (message,) = path.queue.messages.values()
    message.receives = limits.QUEUE_MAX_RECEIVES - 1
    path.run()
    assert len(path.outbox.mails) == 1
    assert path.queue.dead_letters == []


def test_the_same_event_again_is_a_duplicate_of_the_linked_mail(path: Path) -> None:
    path.publish(fileName="Invoice.docx")
    path.publish(fileName="Invoice.docx")
    path.run()
    assert len(path.outbox.mails) == 1


@pytest.mark.parametrize("apart", [0, 2])
@pytest.mark.parametrize("invoice", [{"uri": "s3://another/mails/1"}, {}])
def test_two_events_of_one_order_whose_files_differ_are_one_mail(
    path: Path, invoice: dict[str, str], apart: int
) -> None:
    path.publish(sha256="a" * 64, **invoice)
    if apart:
        path.run(0)
        path.clock.sleep(apart)
    path.publish(sha256="b" * 64, **invoice)
    path.run()
    assert len(path.outbox.mails) == 1
    assert path.queue.dead_letters == []
    assert path.record["status"] == "SENT"
    assert path.clock.elapsed < limits.ATTACHMENT_PATIENCE + 5 * 60


@dataclass(frozen=True, kw_only=True)
class RefusesFiles(Outbox):
    """Refuses every mail with attachments, and those without, too, where there is another error for them."""

    others: type[errors.OrderMailError] | None = None
    calls: list[int] = field(default_factory=list)

    def send(
        self, email: Email, *, tags: Mapping[str, str], attachments: Sequence[Attachment] = ()
    ) -> str:
        self.calls.append(len(attachments))
        if attachments:
            raise errors.AttachmentsRefused("SES answered BadRequestException")
        if self.others:
            raise self.others("SES answered BadRequestException")
        return super().send(email, tags=tags, attachments=attachments)


def test_a_mail_that_ses_refuses_with_its_invoice_goes_with_a_link(path: Path) -> None:
    path.upload()
    path.publish()
    path.deliver_by(RefusesFiles(**vars(SES)))
    path.run()
    ((mail, attachments),) = path.outbox.mails
    assert (attachments, "attachments" in mail) == ([], False)
    assert path.record["status"] == "SENT"
    assert path.record["attachmentsLinked"] == Unattached.REFUSED
    assert path.record["resends"] == 0
    assert path.clock.elapsed < 10


def test_a_mail_that_ses_refuses_either_way_is_refused(path: Path) -> None:
    path.upload()
    path.publish()
    ses = RefusesFiles(**vars(SES), others=errors.SendRejected)
    path.deliver_by(ses)
    path.run()
    assert ses.calls == [1, 0]
    assert path.record["status"] == "REJECTED"


def test_who_sends_the_mail_again_gets_its_attachment_tried_again(path: Path) -> None:
    path.publish(fileName="Invoice.docx")
    path.run()
    again = load_event("order") | {"attachments": [INVOICE]}
    mark = {"of": path.record["notificationId"], "reason": "x", "by": "jo"}
    path.upload()
    path.queue.publish(json.dumps(again | {"resend": mark | {"at": "2027-01-15T08:00:00Z"}}))
    path.run()
    assert [len(attachments) for _, attachments in path.outbox.mails] == [0, 1]


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize(("claim", "attached"), [({}, True), ({"linked": True}, False)])
def test_the_render_step_heeds_the_claim(claim: dict[str, bool], *, attached: bool) -> None:
    with_invoice = order("order.confirmed", attachments=[INVOICE])
    event: Any = {"execution": "me", "state": STATE | {"order": with_invoice, "claim": claim}}
    state = render.handler(event, lambda_context())
    assert ("attachments" in state["email"]) is attached


def test_a_long_order_s_mail_has_room_for_what_is_said_of_its_attachments() -> None:
    attachments = [
        INVOICE | {"uri": f"s3://shop/{'𝒌' * 1083}", "fileName": f"{n:2}{'𝒏' * 249}.pdf"}
        for n in range(limits.ATTACHMENTS_LISTED_MAX)
    ]
    items = [ITEM | {"name": '"' * 199, "sku": f"{n}"} for n in range(300)]
    mail = render.render(
        order("order.confirmed", orderItems=items, attachments=attachments), BRAND, NOTIFICATION_ID
    )
    assert len(mail["attachments"]) == limits.ATTACHMENTS_MAX + 1
    assert encoded_size(mail) <= limits.ANSWER_MAX_BYTES


# --- the step alone -------------------------------------------------------------------------------


def claimed_state(**changes: Any) -> State:
    TABLE.write(claim())
    with_invoice = order("order.confirmed", attachments=[INVOICE])
    mail = render.render(with_invoice, BRAND, NOTIFICATION_ID)
    return {**STATE, "email": mail, "publishedAt": int(NOW), **changes}  # type: ignore[typeddict-item]


def refuse(reason: Unattached) -> send.Fetch:
    def fetch(_: Sequence[Reference]) -> list[Attachment]:
        raise errors.AttachmentUnavailable(reason)

    return fetch


def hand_over(state: State, fetch: send.Fetch, now: float = NOW, call: str = "this call") -> None:
    ses = Outbox(**vars(SES))
    send.send(state, "me", table=TABLE, ses=ses, fetch=fetch, handover_id=call, clock=lambda: now)


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize("reason", [r for r in Unattached if r.passes])
def test_patience_ends_to_the_second(reason: Unattached) -> None:
    state, last = claimed_state(), NOW + limits.ATTACHMENT_PATIENCE - 1
    with pytest.raises(errors.AttachmentUnavailable, match=f"^{reason}$"):
        hand_over(state, refuse(reason), last)
    assert MEMORY.records() == [claim().record], "nothing is written meanwhile"
    with pytest.raises(errors.AttachmentsLinked, match=f"^{reason}$"):
        hand_over(state, refuse(reason), last + 1)
    assert MEMORY.records()[0]["attachmentsLinked"] == reason
    assert MEMORY.records()[0]["status"] == "CLAIMED"


@pytest.mark.usefixtures("ledger_in_memory")
def test_an_execution_that_no_message_is_behind_waits_for_nothing() -> None:
    state = claimed_state()
    del state["publishedAt"]
    with pytest.raises(errors.AttachmentsLinked):
        hand_over(state, refuse(Unattached.NOT_FOUND))


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize("change", [{"owner": "another"}, {"erasedAt": "x"}, {"status": "SENDING"}])
def test_who_has_lost_the_claim_says_nothing_on_the_record(change: dict[str, str]) -> None:
    state = claimed_state()
    MEMORY.put(MEMORY.records()[0] | change)
    before = MEMORY.records()
    with pytest.raises(errors.ClaimLost):
        hand_over(state, refuse(Unattached.TOO_LARGE))
    assert MEMORY.records() == before


@pytest.mark.usefixtures("ledger_in_memory")
def test_a_mail_that_gets_its_attachments_after_all_is_not_said_to_be_linked() -> None:
    state = claimed_state()
    TABLE.write(rules.linked(notification_id=NOTIFICATION_ID, owner="me", reason="NotFound"))
    hand_over(state, lambda _: [])
    assert "attachmentsLinked" in MEMORY.records()[0], "a mail without attachments changes nothing"
    attachment: Any = object()
    hand_over(state, lambda _: [attachment], call="the next")
    assert "attachmentsLinked" not in MEMORY.records()[0]


@dataclass(frozen=True)
class SilentAtTheThird(LedgerTable):
    """Does not answer the third write."""

    writes: list[Any] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        self.writes.append(request)
        if len(self.writes) == 3:
            raise errors.LedgerUnavailable("as asked")
        return TABLE.write(request)


@pytest.mark.usefixtures("ledger_in_memory")
def test_a_refusal_of_the_attachments_is_written_with_the_end_of_the_call() -> None:
    state, attachment = claimed_state(), object()
    refuses, table = RefusesFiles(**vars(SES)), SilentAtTheThird(TABLE.name)
    fetch: Any = lambda _: [attachment]  # noqa: E731
    hand_over_by = partial(send.send, state, "me", table=table, ses=refuses, fetch=fetch)
    with pytest.raises(errors.AttachmentsLinked, match=r"^Refused$"):
        hand_over_by(handover_id="first")
    record = MEMORY.records()[0]
    assert (record["status"], record["attachmentsLinked"]) == ("CLAIMED", "Refused")
    assert "sendingAt" not in record
    # Where it cannot be written, SES has no mail all the same: the workflow makes the call again.
    with pytest.raises(errors.LedgerUnavailable):
        hand_over_by(handover_id="second")


@pytest.mark.usefixtures("ledger_in_memory")
def test_who_has_lost_the_claim_meanwhile_is_told_so_by_a_refusal() -> None:
    class LosesTheClaim(RefusesFiles):
        def send(self, *arguments: Any, **others: Any) -> str:
            MEMORY.put(MEMORY.records()[0] | {"owner": "another"})
            return super().send(*arguments, **others)

    fetch: Any = lambda _: [object()]  # noqa: E731
    ses = LosesTheClaim(**vars(SES))
    with pytest.raises(errors.ClaimLost):
        send.send(claimed_state(), "me", table=TABLE, ses=ses, fetch=fetch, handover_id="call")


@pytest.mark.usefixtures("ledger_in_memory")
def test_neither_key_nor_file_name_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for reason in Unattached:
        with pytest.raises((errors.AttachmentUnavailable, errors.AttachmentsLinked)) as error:
            hand_over(claimed_state(publishedAt=0), refuse(reason))
        assert str(error.value) == reason
    logged = str([vars(record) for record in caplog.records])
    assert "attachments become links" in logged
    for secret in ("4711", KEY, "s3://"):
        assert secret not in logged
