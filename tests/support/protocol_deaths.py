"""What each death leaves behind, and how it is settled: `python -m tests.support.protocol_deaths`.

Plays one order with a death at every point of the protocol, before and after each write and the call
of SES, and prints the table of `steps/ledger/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from steps.contract import limits
from steps.contract.handler import logger
from steps.ledger.rules import resends
from tests.support.send_protocol import WRITES_NOTHING, SlowMotion


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What a death left in the record, how that was settled, and how often the mail went out."""

    left: str
    settled: str
    mails: int
    resends: int
    end: str


@dataclass(frozen=True, kw_only=True)
class Death:
    """Who dies, at which point: the workflow's state, the fault, and where in its step it strikes."""

    who: str
    when: str
    state: str
    fault: str
    at: str = ""
    events_lost: bool = False
    last_receive: bool = False

    @property
    def name(self) -> str:
        """Who and when, as the table says it."""
        return f"{self.who}, {self.when}"

    def play(self, slow_motion: SlowMotion) -> Aftermath:
        """Run an order into this death, look, then let everything else go well."""
        self._die(slow_motion)
        if self.last_receive:
            while slow_motion.executions:
                slow_motion.advance(slow_motion.executions[0])
        left = slow_motion.record().get("status", "no record")
        withheld = slow_motion.events if self.events_lost else []
        slow_motion.events = [event for event in slow_motion.events if event not in withheld]
        assert bool(slow_motion.dead_letters) is self.last_receive
        slow_motion.redrive()
        settled = self._settle(slow_motion)
        for event in withheld:
            slow_motion.report(event)
        record = slow_motion.record()
        return Aftermath(
            left=left,
            settled=settled,
            mails=len(slow_motion.accepted),
            resends=resends(record),
            end=record["status"],
        )

    def _die(self, slow_motion: SlowMotion) -> None:
        slow_motion.publish(receives=limits.QUEUE_MAX_RECEIVES - 1 if self.last_receive else 0)
        slow_motion.receive()
        (execution,) = slow_motion.executions
        if self.state == WRITES_NOTHING:
            slow_motion.advance(execution)
            execution.state = self.state
            while execution.state == self.state:
                slow_motion.fail(execution, "Runtime.ExitError")
            slow_motion.advance(execution)
        while execution.state != self.state and execution in slow_motion.executions:
            slow_motion.advance(execution)
        if self.who == "feedback":
            slow_motion.advance(execution)
            slow_motion.report(slow_motion.events[1], self.fault)
        elif self.who == "dispatcher":
            slow_motion.dispatcher_dies(execution)
            while self.fault == "dies after" and slow_motion.executions:
                slow_motion.advance(execution)
            slow_motion.executions.clear()
        else:
            # A step that is repeated by the machine dies for good only at its last try.
            for _ in range(1 + limits.STEP_RETRIES):
                if execution in slow_motion.executions:
                    slow_motion.advance(execution, self.fault, self.at)

    @staticmethod
    def _settle(slow_motion: SlowMotion) -> str:
        before, accepted = slow_motion.now, len(slow_motion.accepted)
        slow_motion.drain()
        waited = round(slow_motion.now - before)
        sent_now = len(slow_motion.accepted) > accepted
        way = "redelivery sends" if sent_now else "redelivery finds it sent"
        if resends(slow_motion.record()):
            way = "grace period, then sent again, flagged"
        elif not waited:
            return "nothing to settle" if accepted else way
        return f"{way}, after {waited} s"


def _around_a_write(step: str, state: str, written: str, at: str = "write") -> tuple[Death, Death]:
    before, after = (
        Death(who=step, when=f"{when} writing {written}", state=state, fault=f"dies {when}", at=at)
        for when in ("before", "after")
    )
    return before, after


def _after_ses_accepted(
    when: str, fault: str, *, events_lost: bool = False, last_receive: bool = False
) -> Death:
    return Death(
        who="send",
        when=when,
        state="Send",
        fault=fault,
        at="SES",
        events_lost=events_lost,
        last_receive=last_receive,
    )


DEATHS = [
    Death(who="dispatcher", when="execution started", state="Dedup", fault="dies before"),
    Death(
        who="dispatcher",
        when="execution ended, message not deleted",
        state="Dedup",
        fault="dies after",
    ),
    Death(
        who="validate or render",
        when="at any point (they write nothing)",
        state=WRITES_NOTHING,
        fault="",
    ),
    *_around_a_write("dedup", "Dedup", "claim"),
    *_around_a_write("send", "Send", "SENDING", at="SENDING"),
    _after_ses_accepted("after SES accepted, its event arrives", "dies after"),
    _after_ses_accepted(
        "after SES accepted, its event never arrives", "dies after", events_lost=True
    ),
    _after_ses_accepted("SES accepted, the answer was lost", "answer lost"),
    _after_ses_accepted(
        "likewise, at the last receive; then redriven", "answer lost", last_receive=True
    ),
    _after_ses_accepted(
        "likewise, and its event never arrives",
        "answer lost",
        events_lost=True,
        last_receive=True,
    ),
    *_around_a_write("record", "Record", "SENT"),
    *_around_a_write("feedback", "Send", "a delivery", at=""),
]


def table() -> str:
    """Play every death; return the Markdown table."""
    lines = [
        "| who dies | when | the record then | settled by | mails | in doubt |",
        "|---|---|---|---|---|---|",
    ]
    for death in DEATHS:
        aftermath = death.play(SlowMotion())
        cells = (
            death.who,
            death.when,
            f"`{aftermath.left}`",
            aftermath.settled,
            str(aftermath.mails),
            str(aftermath.resends),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    logger.setLevel("CRITICAL")
    print(table())
