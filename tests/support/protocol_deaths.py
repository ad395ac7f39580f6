"""What each death leaves behind, and how it is settled: `python -m tests.support.protocol_deaths`.

Plays one order with a death at every point of the protocol, before and after each write and the call
of SES, and prints the table of `steps/ledger/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from steps.contract import limits
from steps.contract.handler import logger
from steps.ledger.rules import resends
from tests.support.in_memory_aws import tracking_table
from tests.support.send_protocol import SlowMotion

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found after a death, and in the end."""

    left: str
    settled: str
    mails: int
    resends: int
    end: str


@dataclass(frozen=True, kw_only=True)
class Death:
    """Who dies, at which point: the step, the fault, and where in the step it strikes."""

    who: str
    when: str
    step: str
    fault: str
    at: str = ""
    events_lost: bool = False

    @property
    def name(self) -> str:
        """Who and when, as the table says it."""
        return f"{self.who}, {self.when}"

    def play(self, world: SlowMotion) -> Row:
        """Run an order into this death, look, then let everything else go well."""
        world.publish()
        world.receive()
        (execution,) = world.executions
        while execution.step != self.step and execution in world.executions:
            world.advance(execution)
        if self.who == "feedback":
            world.advance(execution)
            world.report(world.events[1], self.fault)
        elif self.who == "dispatcher":
            world.dispatcher_dies(execution)
            while self.fault == "dies after" and world.executions:
                world.advance(execution)
            world.executions.clear()
        else:
            # A step that is repeated by the machine dies for good only at its last try.
            for _ in range(1 + limits.STEP_RETRIES):
                if execution in world.executions:
                    world.advance(execution, self.fault, self.at)
        left = world.record().get("status", "no record")
        held_back = world.events if self.events_lost else []
        world.events = [e for e in world.events if e not in held_back]
        settled_by = self._drain(world)
        for event in held_back:
            world.report(event)
        record = world.record()
        return Row(
            left=left,
            settled=settled_by,
            mails=len(world.accepted),
            resends=resends(record),
            end=record["status"],
        )

    @staticmethod
    def _drain(world: SlowMotion) -> str:
        before, accepted = world.now, len(world.accepted)
        world.drain()
        waited = round(world.now - before)
        how = "redelivery sends" if len(world.accepted) > accepted else "redelivery finds it sent"
        if resends(world.record()):
            how = "grace period, then sent again, flagged"
        elif not waited:
            return "nothing to settle" if accepted else how
        return f"{how}, after {waited} s"


def _deaths() -> Iterator[Death]:
    yield Death(who="dispatcher", when="execution started", step="dedup", fault="dies before")
    yield Death(
        who="dispatcher",
        when="execution ended, message not deleted",
        step="dedup",
        fault="dies after",
    )
    yield Death(
        who="validate or render",
        when="at any point (they write nothing)",
        step="send",
        fault="dies before",
        at="SENDING",
    )
    for who, step, what in (
        ("dedup", "dedup", "claim"),
        ("send", "send", "SENDING"),
        ("record", "record", "SENT"),
    ):
        at = "SENDING" if step == "send" else "write"
        yield Death(who=who, when=f"before writing {what}", step=step, fault="dies before", at=at)
        yield Death(who=who, when=f"after writing {what}", step=step, fault="dies after", at=at)
        if step == "send":
            yield Death(
                who=who,
                when="after SES accepted, its event arrives",
                step=step,
                fault="dies after",
                at="SES",
            )
            yield Death(
                who=who,
                when="after SES accepted, its event never arrives",
                step=step,
                fault="dies after",
                at="SES",
                events_lost=True,
            )
            yield Death(
                who=who,
                when="SES accepted, the answer was lost",
                step=step,
                fault="answer lost",
                at="SES",
            )
    for fault, when in (("dies before", "before"), ("dies after", "after")):
        yield Death(who="feedback", when=f"{when} writing a delivery", step="send", fault=fault)


DEATHS = list(_deaths())


def table() -> str:
    """Play every death; return the Markdown table."""
    lines = [
        "| who dies | when | the record then | settled by | mails | in doubt |",
        "|---|---|---|---|---|---|",
    ]
    for death in DEATHS:
        with pytest.MonkeyPatch.context() as patch, mock_aws():
            tracking_table(patch)
            row = death.play(SlowMotion())
        lines.append(
            f"| {death.who} | {death.when} | `{row.left}` | {row.settled} | {row.mails} | {row.resends} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    logger.setLevel("CRITICAL")
    print(table())
