"""The send protocol under every interleaving, death, lost answer, redelivery and late event.

Never lost: in the end SES has accepted the mail. Never twice: SES accepted it once, plus once for
each time the record says that it was in doubt. The status is the fold of what SES reported.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from steps.contract import limits
from steps.ledger.rules import UNSENT, Status, resends
from tests.support.in_memory_aws import mocked_aws
from tests.support.protocol_deaths import DEATHS, Death
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.send_protocol import SEND_FAULTS, WRITE_FAULTS, SlowMotion


class Protocol(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize()
    def begin(self) -> None:
        self.aws = ExitStack()
        self.aws.enter_context(mocked_aws())
        self.slow_motion = SlowMotion()
        self.slow_motion.publish()

    def teardown(self) -> None:
        if not hasattr(self, "slow_motion"):
            return
        with self.aws:
            self.slow_motion.drain()
            self._check_the_end()

    def _check_the_end(self) -> None:
        record, accepted = self.slow_motion.record(), self.slow_motion.accepted
        assert accepted or self.slow_motion.dead_letters, "lost"
        assert self.slow_motion.queue == []
        if accepted:
            assert record["status"] == Status.BOUNCED, record
            assert record["messageId"] in accepted
            event_types = {identity.partition("|")[0] for identity in record["events"]}
            assert {"Delivery", "Bounce"} <= event_types

    @rule()
    def publish(self) -> None:
        if len(self.slow_motion.queue) < 4:
            self.slow_motion.publish()

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

    @invariant()
    def no_message_leaves_before_its_outcome_is_known(self) -> None:
        if (
            hasattr(self, "slow_motion")
            and not self.slow_motion.queue
            and not self.slow_motion.dead_letters
        ):
            assert self.slow_motion.record()["status"] not in UNSENT


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize("death", DEATHS, ids=lambda d: d.name)
def test_after_a_death_at_any_point_no_mail_is_lost_or_sent_twice_unflagged(death: Death) -> None:
    slow_motion = SlowMotion()
    aftermath = death.play(slow_motion)
    assert 1 <= aftermath.mails <= 1 + aftermath.resends
    assert aftermath.end == Status.BOUNCED
    assert slow_motion.record()["notificationId"] == NOTIFICATION_ID


@pytest.mark.usefixtures("in_memory_aws")
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
