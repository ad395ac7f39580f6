"""The judge of `make chaos` notices each broken promise; then sixty orders while everything fails."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from infra.local.programs import LAMBDA_IMAGE, SKEWED_CLOCK
from infra.local.settings import ROOT
from steps.contract.metrics import Metric
from tests.local.chaos import facts as chaos_facts
from tests.local.chaos.faults import Operator
from tests.local.chaos.orders import Kind, Order, orders, publications
from tests.local.chaos.outcomes import Change
from tests.local.chaos.verdict import DeadLetter, Facts, Mail, Verdict, judge, true_statuses

if TYPE_CHECKING:
    from collections.abc import Callable


def order(number: int, kind: Kind = Kind.VALID, box: str = "") -> Order:
    return Order(
        order_id=f"CHAOS-{number}",
        message=f"message {number}",
        recipient=f"{number}@example.com",
        kind=kind,
        box=box,
    )


def mail(number: int, *published: str, box: str = "", answered: bool = True) -> Mail:
    return Mail(message_id=f"m{number}", box=box, answered=answered, published=frozenset(published))


DELIVERED, BOUNCED, TWICE, QUIET = order(1), order(2, box="bounce"), order(3), order(4)
INVALID, TOO_LARGE, GROWING = (
    order(5, Kind.INVALID),
    order(6, Kind.TOO_LARGE),
    order(7, Kind.GROWING),
)
LETTER = DeadLetter(message=TOO_LARGE.message, reason="MessageTooLarge")

RECORDS: dict[str, dict[str, Any]] = {
    DELIVERED.key: {"status": "DELIVERED", "messageId": "m1"},
    BOUNCED.key: {"status": "BOUNCED", "messageId": "m2", "reason": "Permanent/General"},
    TWICE.key: {"status": "DELIVERED", "messageId": "m30", "resends": 1},
    QUIET.key: {"status": "SENT", "messageId": "m4"},
    INVALID.rejected_key: {"status": "REJECTED", "reasons": ["orderId: is no text"]},
    GROWING.rejected_key: {"status": "REJECTED", "reasons": ["$: takes 300000 bytes"]},
}


def history(key: str) -> list[Change]:
    """Return what happened to a record until it was as it is among `RECORDS`."""
    end = {"notificationId": key, "orderId": f"order of {key}", **RECORDS[key]}
    sent = {name: value for name, value in end.items() if name != "reason"} | {"status": "SENT"}
    steps: list[dict[str, Any]] = [{}, end | {"sequence": 1}]
    if "messageId" in end:
        steps = [{}, *({**sent, "status": status} for status in ("CLAIMED", "SENDING")), sent]
        steps += [end | {"events": {"x"}}, end | {"events": {"x", "y"}}]
        steps = [step and {**step, "sequence": 10 + place} for place, step in enumerate(steps)]
    return [Change(old=old, new=new) for old, new in pairwise(steps)]


def telling(change: Change, **said: Any) -> dict[str, Any]:
    names = ("notificationId", "sequence", "status", "reason", "messageId", "orderId")
    data = {name: change.new[name] for name in names if name in change.new} | said
    if "reasons" in change.new:
        data["reason"] = "InvalidEvent"
    return {"id": f"{data['notificationId']}-{data['sequence']}", "data": data}


CHANGES = [change for key in RECORDS for change in history(key)]
TOLD = [telling(change) for change in CHANGES if change.says_something]

GOOD = Facts(
    orders=[DELIVERED, BOUNCED, TWICE, QUIET, INVALID, TOO_LARGE, GROWING],
    mails={
        DELIVERED.key: [mail(1, "Send", "Delivery")],
        BOUNCED.key: [mail(2, "Send", "Bounce", box="bounce")],
        TWICE.key: [mail(3, answered=False), mail(30, "Send", "Delivery")],
        QUIET.key: [mail(4, "Send")],
    },
    inbox=frozenset({"m1", "m3", "m30", "m4"}),
    records={key: {**RECORDS[key], "orderId": f"order of {key}"} for key in RECORDS},
    told=[*TOLD, TOLD[0], TOLD[3]],
    changes=CHANGES,
    left=[LETTER],
    letters=[LETTER],
    counted={
        Metric.SENT: 3,
        Metric.DELIVERED: 2,
        Metric.REJECTED: 2,
        Metric.FAILED: 1,
        Metric.IN_DOUBT: 1,
    },
)


def wrong(verdict: Verdict) -> dict[str, list[str]]:
    return {what: orders_ for what, orders_ in verdict.wrong.items() if orders_}


def with_record(of: Order, **changes: Any) -> Facts:
    record = {**GOOD.records[of.key], **changes}
    return replace(GOOD, records={**GOOD.records, of.key: record})


def with_mails(of: Order, *mails: Mail) -> Facts:
    return replace(GOOD, mails={**GOOD.mails, of.key: [*mails]})


def without_record(key: str) -> Facts:
    return replace(GOOD, records={k: r for k, r in GOOD.records.items() if k != key})


def with_count(metric: Metric, value: float) -> Facts:
    return replace(GOOD, counted={**GOOD.counted, metric: value})


def with_told(of: Order, number: int, **said: Any) -> Facts:
    """Have the outcome of this number (0: SENT) of an order say something else."""
    ids = [one["id"] for one in TOLD if one["data"]["notificationId"] == of.key]
    told = [
        {**one, "data": one["data"] | said} if one["id"] == ids[number] else one for one in TOLD
    ]
    return replace(GOOD, told=told)


def swapped_sequences() -> Facts:
    """Let what happened first have the higher sequence."""
    first, last = (one for one in TOLD if one["data"]["notificationId"] == DELIVERED.key)
    swapped = [
        {"id": other["id"], "data": one["data"] | {"sequence": other["data"]["sequence"]}}
        for one, other in ((first, last), (last, first))
    ]
    return replace(GOOD, told=[*(one for one in TOLD if one not in (first, last)), *swapped])


def happened_with(*sequences: int) -> Facts:
    """Let the writes of an order have these sequences, and be told so."""
    ours = history(DELIVERED.key)
    numbered = [
        Change(old=change.old, new={**change.new, "sequence": sequence})
        for change, sequence in zip(ours, sequences, strict=True)
    ]
    others = [one for one in TOLD if one["data"]["notificationId"] != DELIVERED.key]
    told = [telling(change) for change in numbered if change.says_something]
    return replace(
        GOOD,
        told=[*others, *told],
        changes=[*(change for change in CHANGES if change not in ours), *numbered],
    )


def test_nothing_is_wrong_where_the_promise_is_kept() -> None:
    verdict = judge(GOOD)
    assert wrong(verdict) == {}
    assert verdict.good
    assert (verdict.by_event, verdict.by_resend, verdict.extra) == (0, 1, 1)
    assert verdict.untold == {"SENT": 1}
    tellings = verdict.tellings
    assert (len(tellings.once), tellings.repeated, tellings.late) == (len(TOLD), 2, 0)


def test_outcomes_may_come_again_and_late() -> None:
    verdict = judge(replace(GOOD, told=[*TOLD[::-1], *TOLD]))
    assert wrong(verdict) == {}
    tellings = verdict.tellings
    assert (len(tellings.once), tellings.repeated, tellings.late) == (len(TOLD), len(TOLD), 3)


def test_a_record_that_is_open_again_has_the_outcomes_it_once_had() -> None:
    failed = {**history(DELIVERED.key)[-1].new, "status": "FAILED", "reason": "Bug", "sequence": 16}
    claimed = failed | {"status": "CLAIMED", "sequence": 17}
    changes = [Change(old={}, new=failed), Change(old=failed, new=claimed)]
    facts = replace(
        GOOD,
        records=with_record(DELIVERED, status="CLAIMED").records,
        changes=[*CHANGES, *changes],
        told=[*TOLD, telling(changes[0])],
    )
    assert list(wrong(judge(facts))) == ["never final"]
    assert "outcomes missing" in wrong(judge(replace(facts, told=TOLD)))


DEAD = DeadLetter(message=DELIVERED.message, reason="UnexpectedError", execution="e")

BROKEN: dict[str, tuple[str, Callable[[], Facts]]] = {
    "no mail": ("lost", lambda: with_mails(DELIVERED)),
    "told to be delivered, and is not": (
        "lost",
        lambda: replace(GOOD, inbox=GOOD.inbox - {"m1"}),
    ),
    "a second mail without a flag": (
        "duplicates, unflagged",
        lambda: with_record(TWICE, resends=0),
    ),
    "nobody will send it": ("never final", lambda: with_record(DELIVERED, status="CLAIMED")),
    "given up": (
        "never final",
        lambda: replace(with_record(DELIVERED, status="FAILED"), left=[LETTER, DEAD]),
    ),
    "the run did not end": ("never final", lambda: replace(GOOD, unfinished="3 messages")),
    "less than SES said": ("untrue statuses", lambda: with_record(DELIVERED, status="SENT")),
    "SES never took it": (
        "untrue statuses",
        lambda: replace(with_mails(DELIVERED), inbox=GOOD.inbox - {"m1"}),
    ),
    "more than SES said": ("untrue statuses", lambda: with_record(QUIET, status="DELIVERED")),
    "an automatic reply taken for a delay": (
        "untrue statuses",
        lambda: replace(
            with_mails(QUIET, mail(4, "Send", "Bounce", box="ooto")),
            records=with_record(QUIET, status="DELAYED").records,
        ),
    ),
    "another mail's id": ("untrue statuses", lambda: with_record(DELIVERED, messageId="m2")),
    "an invalid event without a record": (
        "wrongly rejected",
        lambda: without_record(INVALID.rejected_key),
    ),
    "one that grows without a record": (
        "wrongly rejected",
        lambda: without_record(GROWING.rejected_key),
    ),
    "rejected without a reason": (
        "wrongly rejected",
        lambda: replace(
            GOOD, records={**GOOD.records, INVALID.rejected_key: {"status": "REJECTED"}}
        ),
    ),
    "a large one that nobody knows of": ("wrongly rejected", lambda: replace(GOOD, left=[])),
    "a mail to nobody": ("wrongly rejected", lambda: with_mails(INVALID, mail(5, "Send"))),
    "counted less than true": ("wrongly counted", lambda: with_count(Metric.SENT, 2)),
    "counted more than true": ("wrongly counted", lambda: with_count(Metric.FAILED, 2)),
    "a mail to the simulator counted": ("wrongly counted", lambda: with_count(Metric.BOUNCED, 1)),
    "a batch that died of a message": (
        "batches broken",
        lambda: replace(GOOD, broken_batches=["UnicodeEncodeError"]),
    ),
    "nobody is told of anything": ("outcomes missing", lambda: replace(GOOD, told=[])),
    "the last word is not told": ("outcomes missing", lambda: replace(GOOD, told=TOLD[:-1])),
    "a word in between is not told": ("outcomes missing", lambda: replace(GOOD, told=TOLD[1:])),
    "a record without a change is not told": (
        "outcomes missing",
        lambda: replace(GOOD, told=[], changes=[]),
    ),
    "told another status": ("outcomes untrue", lambda: with_told(DELIVERED, 1, status="BOUNCED")),
    "told another status on the way": (
        "outcomes untrue",
        lambda: with_told(DELIVERED, 0, status="DELAYED"),
    ),
    "told another reason": ("outcomes untrue", lambda: with_told(BOUNCED, 1, reason="Transient")),
    "told no reason": ("outcomes untrue", lambda: with_told(BOUNCED, 1, reason=None)),
    "told another mail": ("outcomes untrue", lambda: with_told(DELIVERED, 1, messageId="m2")),
    "told another order": ("outcomes untrue", lambda: with_told(DELIVERED, 1, orderId="other")),
    "told of what is no record": (
        "outcomes untrue",
        lambda: replace(without_record(QUIET.key), changes=CHANGES),
    ),
    "told what never happened": (
        "outcomes untrue",
        lambda: replace(GOOD, told=[*TOLD, telling(CHANGES[0], status="FAILED", sequence=5)]),
    ),
    "a lower sequence that claims a later status": ("outcomes untrue", swapped_sequences),
    "a later write with a lower sequence": (
        "outcomes untrue",
        lambda: happened_with(11, 12, 14, 13, 15),
    ),
    "a write that keeps the sequence": (
        "outcomes untrue",
        lambda: happened_with(11, 12, 12, 13, 14),
    ),
    "an id that says two things": (
        "outcomes untrue",
        lambda: replace(GOOD, told=[*TOLD, TOLD[0] | {"time": "later"}]),
    ),
    "the record says something else than what happened": (
        "outcomes untrue",
        lambda: with_record(BOUNCED, reason="Permanent/NoEmail"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_broken_promise_is_noticed(case: str) -> None:
    promise, facts = BROKEN[case]
    verdict = judge(facts())
    assert promise in wrong(verdict)
    assert not verdict.good


def test_what_may_still_wait_is_not_lost_but_never_final() -> None:
    waits = order(8)
    facts = replace(GOOD, orders=[*GOOD.orders, waits], left=[], unfinished="3 messages")
    assert list(wrong(judge(facts))) == ["never final"]
    assert judge(facts).wrong["never final"][1].startswith("CHAOS-8 without a record")


def test_a_metric_may_count_again_for_each_death_and_each_lost_answer() -> None:
    again = with_count(Metric.SENT, 6)
    assert judge(replace(again, deaths=1, lost_answers=1)).good
    assert not judge(replace(again, deaths=1)).good


def test_a_letter_of_a_mail_to_the_simulator_is_not_counted() -> None:
    given_up = DeadLetter(message=BOUNCED.message, reason="UnexpectedError", execution="e")
    facts = replace(GOOD, letters=[LETTER, given_up])
    assert "wrongly counted" not in wrong(judge(facts))
    counted = replace(facts, counted={**GOOD.counted, Metric.FAILED: 2})
    assert "wrongly counted" in wrong(judge(counted))


def test_less_is_counted_only_where_record_was_killed() -> None:
    one_less = replace(with_count(Metric.SENT, 2), deaths=9)
    assert not judge(one_less).good
    assert judge(replace(one_less, record_deaths=1)).good
    assert not judge(replace(with_count(Metric.SENT, 1), record_deaths=1)).good
    assert not judge(replace(with_count(Metric.DELIVERED, 1), record_deaths=1)).good


def test_letters_are_uncounted_only_where_a_dispatcher_was_killed() -> None:
    uncounted = replace(with_count(Metric.FAILED, 0), deaths=9, record_deaths=9)
    assert not judge(uncounted).good
    assert judge(replace(uncounted, dispatcher_deaths=1)).good


def test_an_event_among_the_feedback_dead_letters_may_be_missing() -> None:
    mails = [mail(1, "Send", "Delivery", "Complaint", box="complaint")]
    assert true_statuses(mails, frozenset()) == {"COMPLAINED"}
    assert true_statuses(mails, frozenset({("m1", "Complaint")})) == {"DELIVERED", "COMPLAINED"}


def test_the_operator_has_outcomes_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [{"dynamodb": {"SequenceNumber": str(number)}} for number in (8, 9, 10, 11)]
    bodies: list[dict[str, Any]] = [
        stream[0],
        {"DDBStreamBatchInfo": {"startSequenceNumber": "9", "endSequenceNumber": "10"}},
        {"eventType": "Send", "mail": {"messageId": "m1"}},
    ]
    monkeypatch.setattr(chaos_facts, "stream", lambda _: stream)
    stack = Mock(**{"dead_letters.side_effect": [[{"Body": json.dumps(b)} for b in bodies], []]})
    operator = Operator(stack)
    assert operator.tell_again() == operator.retold == 2
    calls = stack.client("lambda").invoke.call_args_list
    assert [json.loads(call.kwargs["Payload"])["Records"] for call in calls] == [
        stream[:1],
        stream[1:3],
    ]
    assert operator.internal == bodies
    assert chaos_facts.unread_events(bodies) == {("m1", "Send"): 1}


def test_the_letters_of_a_copy_do_not_matter_once_the_order_has_its_mail() -> None:
    assert wrong(judge(replace(GOOD, left=[LETTER, DEAD]))) == {}


def test_a_seed_gives_the_same_orders_and_each_kind_of_poison() -> None:
    made = orders(60, random.Random(7))  # noqa: S311 - must be repeatable
    assert made == orders(60, random.Random(7))  # noqa: S311 - must be repeatable
    assert {each.kind for each in made} == set(Kind)
    assert len({each.order_id for each in made}) == len({each.key for each in made}) == 60
    assert all(each.message.isascii() for each in made)
    for each in made:
        size = len(each.message)
        assert each.by_sqs == (each.kind is Kind.TOO_LARGE), size
        assert (size > 190_000) == (each.kind in {Kind.TOO_LARGE, Kind.GROWING})
    cut = [each for each in made if each.kind is Kind.VALID and "\\ud" in each.message]
    assert len(cut) > 2
    published = publications(made, random.Random(7))  # noqa: S311 - must be repeatable
    assert set(published) == set(made)
    assert len(published) > 65


@pytest.mark.parametrize(("skew", "most"), [("", 0.5), ("120", 120.5)])
def test_a_workers_clock_is_wrong_only_where_it_is_told_to(skew: str, most: float) -> None:
    worker = str(LAMBDA_IMAGE / "python")
    code = "import datetime, time; print(time.time() - datetime.datetime.now().timestamp())"
    env = {"PYTHONPATH": str(SKEWED_CLOCK)} | ({"CLOCK_SKEW_SECONDS": skew} if skew else {})
    wrong_by = [
        float(subprocess.run([worker, "-c", code], env=env, capture_output=True, check=True).stdout)
        for _ in range(4)
    ]
    assert all(abs(each) < most for each in wrong_by)
    assert (max(wrong_by) - min(wrong_by) > 0.5) == bool(skew)


def test_chaos_keeps_the_promise(say: Callable[[str], None]) -> None:
    command = [sys.executable, "-u", "-m", "tests.local.chaos", "--orders", "60", "--seed", "7"]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout
        for line in run.stdout:
            lines.append(line)
            if line.startswith(("·", "  ")):
                say(line.rstrip())
    output = "".join(lines)
    assert run.returncode == 0, output
    for promise in judge(GOOD).wrong:
        assert re.search(rf"│ {promise} +│ 0 ", output), output
    assert re.search(r"│ faults never seen +│ none ", output), output
