"""A delayed mail of which SES never tells the end is UNDELIVERED once SES's own time for it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from steps import feedback, overdue
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors, limits
from steps.ledger import rules
from steps.ledger.status import Status
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import SES, TABLE, claimed_record, stored, tracking_table
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import BOUNCE, DELIVERY, MESSAGE_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.ledger.rules import Put, Record, Update

pytestmark = pytest.mark.usefixtures("in_memory_aws")


def delayed(overdue_at: float = NOW, notification_id: str = NOTIFICATION_ID) -> None:
    """Keep the record of a delayed mail, as the feedback function writes it."""
    record = claimed_record(
        notificationId=notification_id,
        status="DELAYED",
        messageId=MESSAGE_ID,
        reason="MailboxFull",
        overdue="DELAYED",
        overdueAt=int(overdue_at),
    )
    tracking_table().put_item(Item=record)


def test_an_overdue_mail_is_undelivered_and_in_the_index_no_more() -> None:
    delayed(NOW)
    before = stored()
    assert overdue.settle_overdue(table=TABLE, clock=Clock()) == 1
    after = stored()
    assert after.pop("sequence") == before.pop("sequence") + 1
    assert after.pop("status") == "UNDELIVERED"
    assert after.pop("reason") == "NoReportAfterDelay"
    assert before.items() - after.items() == {
        ("status", "DELAYED"),
        ("reason", "MailboxFull"),
        ("overdue", "DELAYED"),
        ("overdueAt", NOW),
    }
    assert after.pop("endedAt") == int(NOW)
    assert after.items() <= before.items(), "the time of sending and the rest stay"
    assert overdue.settle_overdue(table=TABLE, clock=Clock()) == 0


def test_a_mail_that_ses_still_tries_to_deliver_stays_delayed() -> None:
    delayed(NOW + 1)
    assert overdue.settle_overdue(table=TABLE, clock=Clock()) == 0
    assert stored()["status"] == "DELAYED"


@pytest.mark.parametrize(
    "changed",
    [{"status": "DELIVERED"}, {"overdueAt": int(NOW) + 1}],
    ids=["its end was reported", "it was delayed again"],
)
def test_the_rule_yields_to_what_ses_reported_since_the_index_was_read(
    changed: dict[str, object],
) -> None:
    delayed(NOW)
    record = stored() | changed
    tracking_table().put_item(Item=record)
    assert TABLE.write(rules.overdue(notification_id=NOTIFICATION_ID, now=NOW)) == record
    assert stored() == record


def test_a_record_that_expired_is_not_made_anew() -> None:
    assert TABLE.write(rules.overdue(notification_id=NOTIFICATION_ID, now=NOW)) == {}
    assert stored() == {}


@pytest.mark.parametrize(
    ("event", "status"), [(DELIVERY, Status.DELIVERED), (BOUNCE, Status.BOUNCED)]
)
def test_a_later_event_of_ses_still_changes_the_record(event: str, status: Status) -> None:
    delayed(NOW)
    overdue.settle_overdue(table=TABLE, clock=Clock())
    feedback.apply_event(
        event, table=TABLE, configuration_set=SES.configuration_set, by="x", now=NOW
    )
    assert stored()["status"] == status


def test_page_after_page_is_settled_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OVERDUE_PAGE", 2)
    for n in range(5):
        delayed(NOW - n, f"notification-{n}")
    assert list(TABLE.find_overdue(NOW)) == [f"notification-{n}" for n in (4, 3, 2, 1, 0)]
    assert overdue.settle_overdue(table=TABLE, clock=Clock()) == 5


@dataclass(frozen=True)
class SlowTable(LedgerTable):
    """Takes all the time that a call may take, has a page per record, and more than a run can take."""

    clock: Clock

    def find_overdue(self, _now: float) -> Iterator[str]:
        for _ in range(limits.OVERDUE_BUDGET):
            self.clock.sleep(limits.LEDGER_CALL)
            yield NOTIFICATION_ID

    def write(self, _request: Put | Update) -> Record | None:
        self.clock.sleep(limits.LEDGER_CALL)
        return None


def test_a_run_ends_in_time_however_much_is_left() -> None:
    clock = Clock()
    settled = overdue.settle_overdue(table=SlowTable(TABLE.name, clock), clock=clock)
    assert settled == limits.OVERDUE_BUDGET / (2 * limits.LEDGER_CALL)
    assert clock.elapsed <= limits.OVERDUE_TIMEOUT - limits.OWN_TIME
    assert limits.OVERDUE_TIMEOUT <= 15 * 60, "Lambda's longest"


def test_a_table_that_does_not_answer_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    delayed(NOW)

    def unavailable(*_: object) -> None:
        raise errors.LedgerUnavailable("as asked")

    monkeypatch.setattr(LedgerTable, "write", unavailable)
    with pytest.raises(errors.LedgerUnavailable):
        overdue.settle_overdue(table=TABLE, clock=Clock())


def test_the_handler_logs_the_count_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    delayed(0)
    overdue.handler({}, LambdaContext())
    (line,) = caplog.records
    assert (line.message, vars(line)["undelivered"]) == ("overdue", 1)
