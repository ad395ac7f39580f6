"""The send protocol under every interleaving, death, lost answer, redelivery and late event.

Never lost: in the end SES has accepted the mail. Never twice: SES accepted it once, plus once for
each time the record says that it was in doubt. The status is the fold of what SES reported.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from moto import mock_aws

from steps.contract import limits
from steps.ledger.rules import resends
from tests.support.in_memory_aws import tracking_table
from tests.support.protocol_deaths import DEATHS, Death
from tests.support.send_protocol import ID, SEND_FAULTS, WRITE_FAULTS, SlowMotion


class Protocol(RuleBasedStateMachine):
    """What may happen, in any order."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.aws = mock_aws()
        self.aws.start()
        tracking_table(self.patch)
        self.world = SlowMotion()
        self.world.publish()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.drain()
            self._check_the_end()
        finally:
            self.aws.stop()
            self.patch.undo()

    def _check_the_end(self) -> None:
        world = self.world
        record = world.record()
        assert world.accepted or world.dead_letters, "lost"
        assert world.queue == []
        if world.accepted:
            assert record["status"] == "BOUNCED", record
            assert record["messageId"] in world.accepted
            expected = {"Delivery", "Bounce"}
            assert expected <= {e.partition("|")[0] for e in record["events"]}

    @rule()
    def publish(self) -> None:
        if len(self.world.queue) < 4:
            self.world.publish()

    @precondition(lambda self: any(m.visible_at <= self.world.now for m in self.world.queue))
    @rule()
    def receive(self) -> None:
        if len(self.world.executions) < 4:
            self.world.receive()

    @precondition(lambda self: self.world.executions)
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        self.world.advance(data.draw(st.sampled_from(self.world.executions)))

    @precondition(lambda self: self.world.executions)
    @rule(data=st.data(), fault=st.sampled_from(WRITE_FAULTS))
    def advance_with_a_failing_write(self, data: st.DataObject, fault: str) -> None:
        self.world.advance(data.draw(st.sampled_from(self.world.executions)), fault)

    @precondition(lambda self: any(e.step == "send" for e in self.world.executions))
    @rule(data=st.data(), fault=st.sampled_from(SEND_FAULTS))
    def advance_with_a_failing_ses(self, data: st.DataObject, fault: str) -> None:
        sending = [e for e in self.world.executions if e.step == "send"]
        self.world.advance(data.draw(st.sampled_from(sending)), fault, "SES")

    @precondition(lambda self: self.world.executions)
    @rule(data=st.data())
    def dispatcher_dies(self, data: st.DataObject) -> None:
        self.world.dispatcher_dies(data.draw(st.sampled_from(self.world.executions)))

    @precondition(lambda self: self.world.executions)
    @rule(data=st.data())
    def time_out(self, data: st.DataObject) -> None:
        self.world.time_out(data.draw(st.sampled_from(self.world.executions)))

    @precondition(lambda self: self.world.events)
    @rule(data=st.data(), fault=st.sampled_from((None, None, *WRITE_FAULTS)))
    def report(self, data: st.DataObject, fault: str | None) -> None:
        self.world.report(data.draw(st.sampled_from(self.world.events)), fault)

    @rule(seconds=st.sampled_from((1, 10, limits.CLAIM_LEASE, limits.IN_DOUBT_GRACE, 900)))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @invariant()
    def never_twice_unflagged(self) -> None:
        if hasattr(self, "world") and self.world.accepted:
            resent = resends(self.world.record())
            assert len(self.world.accepted) <= 1 + resent, self.world.record()

    @invariant()
    def no_message_leaves_before_its_outcome_is_known(self) -> None:
        if hasattr(self, "world") and not self.world.queue and not self.world.dead_letters:
            assert self.world.record()["status"] not in ("CLAIMED", "SENDING", "FAILED")


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.usefixtures("aws_world")
@pytest.mark.parametrize("death", DEATHS, ids=lambda d: d.name)
def test_a_death_at_each_point(death: Death) -> None:
    world = SlowMotion()
    row = death.play(world)
    assert 1 <= row.mails <= 1 + row.resends
    assert row.end == "BOUNCED"
    assert world.record()["notificationId"] == ID


@pytest.mark.usefixtures("aws_world")
def test_an_execution_that_outlived_its_lease_cannot_send() -> None:
    world = SlowMotion()
    world.publish()
    world.receive()
    (slow,) = world.executions
    world.advance(slow)
    world.wait(limits.CLAIM_LEASE)
    world.publish()
    world.receive()
    quick = world.executions[1]
    world.advance(quick)
    assert quick.step == "send"
    world.advance(slow)
    assert slow not in world.executions
    assert world.accepted == []
    world.drain()
    assert len(world.accepted) == 1
