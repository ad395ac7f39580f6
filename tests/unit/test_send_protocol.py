"""The send protocol under every interleaving, death, lost answer, late write, redelivery and redrive.

Never lost: in the end SES has accepted the mail, or a dead letter or the record says why not. Never twice:
SES accepted it once, plus once for each time the record says that it was in doubt. The status is the fold of
what SES reported. Each outcome is counted at least once, but for an acceptance whose execution ended between
Record's write and its next try.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from steps.contract import limits
from steps.contract.metrics import Metric
from steps.ledger import rules, ses_events
from steps.ledger.rules import resends
from steps.ledger.status import Status, fold
from tests.support.protocol_deaths import DEATHS, Death
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.send_protocol import FETCH_FAULTS, INVALID, SEND_FAULTS, WRITE_FAULTS, SlowMotion


class Protocol(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize(events_first=st.booleans())
    def begin(self, *, events_first: bool) -> None:
        self.events_first = events_first
        self.slow_motion = SlowMotion()
        self.slow_motion.publish()

    def teardown(self) -> None:
        if not hasattr(self, "slow_motion"):
            return
        self.slow_motion.drain(events_first=self.events_first)
        self._check_the_end()
        self.slow_motion.redrive()
        self.slow_motion.drain(events_first=self.events_first)
        self._check_the_end()

    def _check_the_end(self) -> None:
        world, record = self.slow_motion, self.slow_motion.record()
        assert world.queue == []
        self.never_twice_unflagged()
        settled = bool(record) and rules.is_settled(record)
        assert world.accepted or world.dead_letters or self._refused(record), "lost"
        assert settled or world.dead_letters or self._refused(record), record
        reported = {identity.partition("#")[0] for identity in record.get("events", ())}
        statuses = [ses_events.recall(identity).status for identity in reported]
        if settled:
            assert record["messageId"] in world.accepted
            assert record["status"] == fold(Status.SENT, statuses)
            assert len(world.accepted) >= 1 + len(record.get("secondMessageIds", ()))
            if len(world.accepted) == 1 and not resends(record):
                linked = not world.attached[record["messageId"]]
                assert linked == ("attachmentsLinked" in record), "the record says what the mail is"
            assert world.counted[Metric.SENT] + world.uncounted >= 1
        assert world.counted[Metric.DELIVERED] >= sum("Delivery" in e for e in reported)
        assert world.counted[Metric.BOUNCED] >= sum("Bounce" in e for e in reported)
        assert world.counted[Metric.IN_DOUBT] >= resends(record)

    def _refused(self, record: rules.Record) -> bool:
        """Whether the order has its end without a mail: nothing of it is left to do."""
        if not record:
            return INVALID["notificationId"] in self.slow_motion.table.items
        return record["status"] == Status.REJECTED and "reason" in record

    @rule()
    def publish(self) -> None:
        if len(self.slow_motion.queue) < 4:
            self.slow_motion.publish()

    @rule(left=st.integers(1, 3))
    def publish_what_was_received_often(self, left: int) -> None:
        if len(self.slow_motion.queue) < 4:
            self.slow_motion.publish(receives=limits.QUEUE_MAX_RECEIVES - left)

    @precondition(lambda self: self.slow_motion.dead_letters)
    @rule()
    def redrive(self) -> None:
        self.slow_motion.redrive()

    @precondition(lambda self: self.slow_motion.late)
    @rule()
    def deliver_late(self) -> None:
        self.slow_motion.deliver_late()

    @precondition(lambda self: self.slow_motion.unpublished())
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.slow_motion.lose(data.draw(st.sampled_from(self.slow_motion.unpublished())))

    @rule(late=st.booleans())
    def let_refusals_land_late(self, *, late: bool) -> None:
        self.slow_motion.refusals_land_late = late

    @rule(never=st.booleans())
    def let_nothing_be_attached(self, *, never: bool) -> None:
        self.slow_motion.has_no_attachments = never

    @rule(refuses=st.booleans())
    def let_ses_refuse_attachments(self, *, refuses: bool) -> None:
        self.slow_motion.refuses_attachments = refuses

    @rule(stale=st.booleans())
    def let_freshness_pass(self, *, stale: bool) -> None:
        self.slow_motion.stale = stale

    @precondition(lambda self: self.slow_motion.message_is_visible())
    @rule()
    def receive(self) -> None:
        if len(self.slow_motion.executions) < 4:
            self.slow_motion.receive()

    @precondition(lambda self: self.slow_motion.executions)
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        self.slow_motion.advance(data.draw(st.sampled_from(self.slow_motion.executions)))

    @precondition(lambda self: self.slow_motion.executions)
    @rule(data=st.data(), fault=st.sampled_from(WRITE_FAULTS))
    def advance_with_a_failing_write(self, data: st.DataObject, fault: str) -> None:
        self.slow_motion.advance(data.draw(st.sampled_from(self.slow_motion.executions)), fault)

    @precondition(lambda self: any(e.state == "Send" for e in self.slow_motion.executions))
    @rule(data=st.data(), fault=st.sampled_from(SEND_FAULTS))
    def advance_with_a_failing_ses(self, data: st.DataObject, fault: str) -> None:
        sending = [e for e in self.slow_motion.executions if e.state == "Send"]
        self.slow_motion.advance(data.draw(st.sampled_from(sending)), fault, "SES")

    @precondition(lambda self: any(e.state == "Send" for e in self.slow_motion.executions))
    @rule(data=st.data(), fault=st.sampled_from(tuple(FETCH_FAULTS)))
    def advance_without_its_attachment(self, data: st.DataObject, fault: str) -> None:
        sending = [e for e in self.slow_motion.executions if e.state == "Send"]
        self.slow_motion.advance(data.draw(st.sampled_from(sending)), fault, "S3")

    @precondition(lambda self: self.slow_motion.executions)
    @rule(data=st.data())
    def dispatcher_dies(self, data: st.DataObject) -> None:
        self.slow_motion.dispatcher_dies(data.draw(st.sampled_from(self.slow_motion.executions)))

    @precondition(lambda self: self.slow_motion.executions)
    @rule(data=st.data())
    def time_out(self, data: st.DataObject) -> None:
        self.slow_motion.time_out(data.draw(st.sampled_from(self.slow_motion.executions)))

    @precondition(lambda self: self.slow_motion.events)
    @rule(data=st.data(), fault=st.sampled_from((None, None, *WRITE_FAULTS)))
    def report(self, data: st.DataObject, fault: str | None) -> None:
        self.slow_motion.report(data.draw(st.sampled_from(self.slow_motion.events)), fault)

    @rule(seconds=st.sampled_from((1, 10, limits.CLAIM_LEASE, limits.IN_DOUBT_GRACE, 900)))
    def wait(self, seconds: float) -> None:
        self.slow_motion.wait(seconds)

    @invariant()
    def never_twice_unflagged(self) -> None:
        if hasattr(self, "slow_motion") and self.slow_motion.accepted:
            record = self.slow_motion.record()
            assert len(self.slow_motion.accepted) <= 1 + resends(record), record


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("death", DEATHS, ids=lambda d: d.name)
def test_after_a_death_at_any_point_no_mail_is_lost_or_sent_twice_unflagged(death: Death) -> None:
    slow_motion = SlowMotion()
    aftermath = death.play(slow_motion)
    assert 1 <= aftermath.mails <= 1 + aftermath.resends
    assert aftermath.end == Status.BOUNCED
    assert slow_motion.record()["notificationId"] == NOTIFICATION_ID


def test_an_execution_that_outlived_its_lease_cannot_send() -> None:
    slow_motion = SlowMotion()
    slow_motion.publish()
    slow_motion.receive()
    (slow,) = slow_motion.executions
    slow_motion.advance(slow)
    slow_motion.wait(limits.CLAIM_LEASE)
    slow_motion.publish()
    slow_motion.receive()
    quick = slow_motion.executions[1]
    slow_motion.advance(quick)
    assert quick.state == "Send"
    slow_motion.advance(slow)
    assert slow not in slow_motion.executions
    assert slow_motion.accepted == []
    slow_motion.drain()
    assert len(slow_motion.accepted) == 1
