"""Dead letters: each is told by its kind, sent through again once it may, and never lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from infra.operator import letters
from infra.operator.aws import Deployment
from infra.operator.cli.base import cli
from infra.operator.dead import (
    Choice,
    drop,
    listing,
    redrive,
    rehearse,
    show_letter,
)
from infra.operator.erase import Subject, count
from infra.operator.errors import NotFound
from infra.operator.find import find
from infra.operator.letters import INTERNAL, ORDERS, Kind, Letter, peek, taken
from infra.operator.output import HIDDEN
from infra.operator.reconcile import reconcile
from steps.contract.handler import metrics
from steps.ledger import rules
from tests.operator.environment import (
    ADDRESS,
    ENV,
    REGION,
    an_order,
    audit_lines,
    bodies,
    keep,
    put,
    records,
    stale,
    waiting,
)

SES_EVENT = json.dumps(
    {
        "eventType": "Bounce",
        "mail": {
            "messageId": "m-1",
            "destination": [ADDRESS],
            "tags": {"notificationId": ["a" * 40]},
        },
    }
)
CHANGE = json.dumps(
    {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {"notificationId": {"S": "b" * 40}},
            "NewImage": {"orderId": {"S": "O-7"}, "customerEmail": {"S": ADDRESS}},
            "ApproximateCreationDateTime": 1732552180.862,
        },
    }
)


OF_SES, NONE = ("", "a" * 40), ("", "")


class Function:
    """Stands in for Lambda: answers each invocation, and remembers what it was called with."""

    def __init__(self, *answers: dict[str, Any], error: bool = False) -> None:
        self.answers, self.error, self.payloads = answers, error, list[Any]()

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert FunctionName == f"email-outcomes-{ENV}"
        self.payloads.append(json.loads(Payload))
        body = io.BytesIO(json.dumps(self.answers[len(self.payloads) - 1]).encode())
        return {"Payload": body} | ({"FunctionError": "Unhandled"} if self.error else {})


# --- looking --------------------------------------------------------------------------------------


def test_a_look_sees_each_letter_once_and_hides_none(deployment: Deployment) -> None:
    put_there = {put(deployment, ORDERS, an_order(f"O-{n}")) for n in range(23)}
    for look in (1, 2):
        seen = peek(deployment, ORDERS).letters
        assert len(seen) == 23
        assert {letter.message_id for letter in seen} == put_there
        assert {letter.receives for letter in seen} == {look}


@pytest.mark.parametrize(
    ("body", "attributes", "kind", "names"),
    [
        (SES_EVENT, {}, Kind.SES_EVENT, OF_SES),
        (SES_EVENT, {"reason": "RecordNotFound"}, Kind.SES_EVENT, OF_SES),
        (
            json.dumps({"Records": [{"Sns": {"Message": SES_EVENT}}]}),
            {"ErrorMessage": "RecordNotFound"},
            Kind.SES_EVENT,
            OF_SES,
        ),
        (
            json.dumps({"TopicArn": "arn:aws:sns:...", "Message": SES_EVENT}),
            {},
            Kind.SES_EVENT,
            OF_SES,
        ),
        (
            json.dumps({"requestPayload": {"Records": [{"Sns": {"Message": SES_EVENT}}]}}),
            {},
            Kind.SES_EVENT,
            OF_SES,
        ),
        (CHANGE, {"reason": "UnexpectedError"}, Kind.OUTCOME, ("O-7", "b" * 40)),
        ('{"outcomesWaitSince": "2026-11-25T16:29:42Z"}', {}, Kind.LATE_NOTICE, NONE),
        (
            '{"sesEventsWaitSince": "2026-11-25T16:29:42Z"}',
            {"reason": "LedgerUnavailable"},
            Kind.LATE_NOTICE,
            NONE,
        ),
        ('{"DDBStreamBatchInfo": {"batchSize": 3}}', {}, Kind.STREAM_BATCH, NONE),
        ("{}", {"ERROR_CODE": "AccessDenied"}, Kind.SCHEDULE, NONE),
        ("{}", {"ErrorMessage": "LedgerUnavailable"}, Kind.INVOCATION, NONE),
        ('{"requestPayload": 5}', {"ErrorMessage": "x"}, Kind.INVOCATION, NONE),
        ("no JSON", {}, Kind.UNKNOWN, NONE),
        ("[" * 5000, {}, Kind.UNKNOWN, NONE),
    ],
)
def test_a_letter_is_told_by_its_shape(
    deployment: Deployment,
    body: str,
    attributes: dict[str, str],
    kind: Kind,
    names: tuple[str, str],
) -> None:
    put(deployment, INTERNAL, body, **attributes)
    (letter,) = peek(deployment, INTERNAL).letters
    assert letter.kind == kind
    assert (letter.order_id, letter.notification_id) == names
    assert letter.reason == next(iter(attributes.values()), "")
    if kind is Kind.SES_EVENT:
        assert json.loads(letter.content) == json.loads(SES_EVENT)


@pytest.mark.parametrize(
    ("waits", "words", "log"),
    [
        ("outcomesWaitSince", "the shop waits for outcomes", "email-outcomes"),
        ("sesEventsWaitSince", "SES's events wait to be added to their records", "email-feedback"),
    ],
)
def test_a_notice_says_what_waits_and_which_log_knows_why(
    deployment: Deployment, waits: str, words: str, log: str
) -> None:
    body = {waits: "2026-11-25T16:29:42Z"}
    message_id = put(deployment, INTERNAL, json.dumps(body), reason="as asked")
    shown = show_letter(deployment, message_id, address=False)
    assert shown.words == f"a notice: {words}, and nothing is lost yet: as asked"
    assert shown.next_step.startswith(f"The log of {log} has the reason in its warnings")
    assert shown.content == body
    (left,) = rehearse(deployment, Choice(), fresh_only=True).stayed
    assert (left.letter.message_id, left.why) == (message_id, shown.next_step)


def test_an_order_s_letter_has_its_reason_and_its_order_as_logs_show_it(
    deployment: Deployment,
) -> None:
    put(deployment, ORDERS, an_order("jo@example.com"), reason="SendRejected", execution="arn:x")
    put(deployment, ORDERS, f'\ufeff{{"orderId": "O-1", "n": {"9" * 5000}}}')
    put(deployment, ORDERS, "no JSON")
    found = {letter.order_id: letter for letter in peek(deployment, ORDERS).letters}
    assert set(found) == {"", "O-1", "f4e19df2e6c609fb"}
    letter = found["f4e19df2e6c609fb"]
    assert (letter.kind, letter.reason, letter.execution) == (Kind.ORDER, "SendRejected", "arn:x")


def test_what_is_printed_holds_no_customer(deployment: Deployment) -> None:
    message_id = put(deployment, ORDERS, an_order("O-1"), reason="oops jo@example.com")
    put(deployment, INTERNAL, SES_EVENT)
    put(deployment, INTERNAL, CHANGE)
    run = CliRunner()
    for words in (["list"], ["list", "--json"], ["show", message_id[:8]]):
        answer = run.invoke(cli, ["dead", *words, "--env", ENV, "--region", REGION])
        assert answer.exit_code == 0
        for secret in ("@", "John Doe", "Product Name", "59.98"):
            assert secret not in answer.output, (words, answer.output)
    for letter in peek(deployment, INTERNAL).letters:
        shown = show_letter(deployment, letter.message_id, address=False)
        assert "@" not in json.dumps(shown.content)
    open_ = run.invoke(
        cli, ["dead", "show", message_id, "--env", ENV, "--region", REGION, "--show-address"]
    )
    assert ADDRESS in open_.output
    shown = show_letter(deployment, message_id, address=False)
    assert shown.content["orderId"] == "O-1"
    assert shown.content["customerEmail"] == HIDDEN
    assert shown.content["orderItems"] == [{"name": HIDDEN, "quantity": HIDDEN, "price": HIDDEN}]


def test_letters_are_listed_in_groups_the_largest_first(deployment: Deployment) -> None:
    for n in range(3):
        put(deployment, ORDERS, an_order(f"O-{n}"), reason="SendRejected")
    put(deployment, ORDERS, an_order("O-9"))
    put(deployment, INTERNAL, SES_EVENT)
    found = listing(deployment)
    assert [(g.queue, g.reason, g.count) for g in found.groups] == [
        (ORDERS, "SendRejected", 3),
        (ORDERS, "", 1),
        (INTERNAL, "", 1),
    ]
    assert [len(listing(deployment, queue).letters) for queue in (ORDERS, INTERNAL)] == [4, 1]
    assert found.notes == []


def test_there_may_be_more_than_is_looked_at(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "LETTERS_MAX", 10)
    for n in range(13):
        put(deployment, ORDERS, an_order(f"O-{n}"))
    found = listing(deployment)
    assert len(found.letters) == 10
    assert found.notes == [letters.unseen(ORDERS, 3)]


def test_letters_of_one_reason_and_several_kinds_have_each_their_next_step(
    deployment: Deployment,
) -> None:
    put(deployment, INTERNAL, json.dumps({"sesEventsWaitSince": "2026-11-30T00:00:00Z"}))
    put(deployment, INTERNAL, SES_EVENT)
    groups = {group.kind: group.next_step for group in listing(deployment).groups}
    assert "order-mail dead drop" in groups[Kind.LATE_NOTICE]
    assert "order-mail dead redrive" in groups[Kind.SES_EVENT]


def test_letters_that_another_command_has_are_told_by_whoever_looks(deployment: Deployment) -> None:
    mine, other = put(deployment, ORDERS, an_order("O-1")), put(deployment, INTERNAL, CHANGE)
    with taken(deployment, ORDERS) as held:
        assert [letter.message_id for letter in held] == [mine]
        said = letters.unseen(ORDERS, 1)
        found = listing(deployment)
        assert ([letter.message_id for letter in found.letters], found.notes) == ([other], [said])
        assert said in find(deployment, "O-1").unasked
        assert said in reconcile(deployment, ["O-1"]).notes
        everything = Choice(queue=ORDERS)
        done = redrive(deployment, everything, fresh_only=False, why="x")
        assert (done.notes, done.failed) == ([said], True)
        with pytest.raises(NotFound, match="could not be looked at"):
            rehearse(deployment, Choice(order="O-1"), fresh_only=False)
        left = count(deployment, Subject(order="O-1"))
        assert (left.dead_letters, left.letters_not_looked_at) == (0, 1)
        assert left
    assert listing(deployment).notes == []


# --- sending through again ------------------------------------------------------------------------


def test_what_is_fresh_is_sent_and_what_is_stale_is_recorded(deployment: Deployment) -> None:
    fresh = an_order("O-1")
    put(deployment, ORDERS, fresh, reason="SendRejected", execution="arn:x")
    put(deployment, ORDERS, stale("O-2"), reason="SendRejected")
    assert rehearse(deployment, Choice(), fresh_only=True).counts == {
        "redriven": 1,
        "rejected": 1,
        "left": 0,
    }
    assert (records(), bodies(deployment)) == ([], [])

    done = redrive(deployment, Choice(), fresh_only=True, why="mended for jo@example.com")
    assert (done.counts, done.failed) == ({"redriven": 1, "rejected": 1, "left": 0}, False)
    (message,) = waiting(deployment)
    assert message["Body"] == fresh
    assert "MessageAttributes" not in message
    (record,) = records()
    assert (record["orderId"], record["status"]) == ("O-2", "REJECTED")
    assert record["reasons"] == [
        "eventTimestamp: is too long ago: order.shipped is sent for 14 days after the event"
    ]
    assert peek(deployment, ORDERS).letters == []
    assert metrics.metric_set == {}
    begun, ended = audit_lines()
    assert (begun["what"], begun["why"]) == ("dead redrive", "mended for (address)")
    assert (ended["state"], ended["redriven"], ended["rejected"], ended["orders"]) == (
        "done",
        1,
        1,
        ["O-1", "O-2"],
    )


def test_a_claim_that_a_stale_order_holds_ends_as_the_record_step_ends_it(
    deployment: Deployment,
) -> None:
    notification_id = rules.notification_id("O-2", "order.shipped", ADDRESS)
    keep({"notificationId": notification_id, "orderId": "O-2", "status": "FAILED"})
    put(deployment, ORDERS, stale("O-2"))
    redrive(deployment, Choice(), fresh_only=True, why="x")
    by_id = {record["notificationId"]: record for record in records()}
    assert len(by_id) == 2
    assert by_id[notification_id]["status"] == "REJECTED"
    assert by_id[notification_id]["reason"] == rules.INVALID_EVENT


def test_without_fresh_only_the_workflow_judges(deployment: Deployment) -> None:
    put(deployment, ORDERS, stale("O-2"))
    put(deployment, ORDERS, "no JSON")
    assert redrive(deployment, Choice(), fresh_only=False, why="x").counts["redriven"] == 2
    assert bodies(deployment) == sorted([stale("O-2"), "no JSON"])
    assert records() == []


def test_a_crash_between_sending_and_deleting_repeats_and_never_loses(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = deployment.client("sqs")
    delete, failed = sqs.delete_message, list[str]()

    def fails_once(**arguments: Any) -> Any:
        if not failed:
            failed.append("once")
            raise ClientError({"Error": {"Code": "InternalError"}}, "DeleteMessage")
        return delete(**arguments)

    monkeypatch.setattr(sqs, "delete_message", fails_once)
    put(deployment, ORDERS, an_order("O-1"))
    with pytest.raises(ClientError):
        redrive(deployment, Choice(), fresh_only=True, why="x")
    assert [letter.order_id for letter in peek(deployment, ORDERS).letters] == ["O-1"]
    assert audit_lines()[-1]["state"] == "failed"
    redrive(deployment, Choice(), fresh_only=True, why="x")
    assert bodies(deployment) == [an_order("O-1")] * 2  # The second is a duplicate to the workflow.
    assert peek(deployment, ORDERS).letters == []


def test_an_order_or_a_reason_chooses(deployment: Deployment) -> None:
    put(deployment, ORDERS, an_order("O-1"), reason="SendRejected")
    put(deployment, ORDERS, an_order("jo@example.com"), reason="SendRejected")
    put(deployment, ORDERS, an_order("O-3"))
    for choice in (
        Choice(order="O-1"),
        Choice(order="jo@example.com", error="SendRejected"),
        Choice(error="none"),
    ):
        assert redrive(deployment, choice, fresh_only=False, why="x").counts["redriven"] == 1
    assert peek(deployment, ORDERS).letters == []
    with pytest.raises(NotFound):
        rehearse(deployment, Choice(order="O-1"), fresh_only=False)
    assert rehearse(deployment, Choice(), fresh_only=False).counts["redriven"] == 0


def test_ses_s_events_go_to_their_queue_without_their_envelopes(deployment: Deployment) -> None:
    put(deployment, INTERNAL, json.dumps({"Records": [{"Sns": {"Message": SES_EVENT}}]}))
    put(deployment, INTERNAL, SES_EVENT, reason="LedgerUnavailable")
    assert redrive(deployment, Choice(), fresh_only=True, why="x").counts["redriven"] == 2
    assert bodies(deployment, "email-ses-events-queue") == [SES_EVENT] * 2
    assert peek(deployment, INTERNAL).letters == []


@pytest.mark.parametrize(
    ("function", "moved"),
    [
        (Function({"batchItemFailures": []}), True),
        (Function({"batchItemFailures": [{"itemIdentifier": "1"}]}), False),
        (Function({"errorType": "UnexpectedError"}, error=True), False),
    ],
)
def test_an_outcome_is_gone_only_once_it_is_told(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, function: Function, *, moved: bool
) -> None:
    clients = {"lambda": function, "sqs": deployment.client("sqs")}
    clients |= {name: deployment.client(name) for name in ("sts", "logs")}
    monkeypatch.setattr(Deployment, "client", lambda _, service: clients[service])
    put(deployment, INTERNAL, CHANGE, reason="UnexpectedError")
    done = redrive(deployment, Choice(), fresh_only=False, why="x")
    assert function.payloads == [{"Records": [json.loads(CHANGE)]}]
    assert done.counts == {"redriven": int(moved), "rejected": 0, "left": int(not moved)}
    assert done.failed is not moved
    assert len(peek(deployment, INTERNAL).letters) == int(not moved)


def test_what_cannot_be_sent_again_is_left_and_said(deployment: Deployment) -> None:
    put(deployment, INTERNAL, "{}", ERROR_CODE="AccessDenied", ERROR_MESSAGE="no role")
    put(deployment, ORDERS, an_order("O-1"), reason="MessageTooLarge")
    done = redrive(deployment, Choice(), fresh_only=False, why="x")
    assert (done.counts, done.failed) == ({"redriven": 0, "rejected": 0, "left": 2}, False)
    assert len(peek(deployment, INTERNAL).letters) == len(peek(deployment, ORDERS).letters) == 1
    too_large, schedule = (left.why for left in done.stayed)
    assert "smaller event" in too_large
    assert "the schedule's role" in schedule


# --- the command line -----------------------------------------------------------------------------


def order_mail(*words: str, answer: str = "") -> Any:
    return CliRunner().invoke(cli, [*words, "--env", ENV, "--region", REGION], input=answer)


def test_redrive_asks_first_and_wants_to_know_which(deployment: Deployment) -> None:
    put(deployment, ORDERS, an_order("O-1"))
    assert order_mail("dead", "redrive", "--reason", "x").exit_code == 2
    assert order_mail("dead", "redrive", "--all", "--order", "O-1", "--reason", "x").exit_code == 2
    refused = order_mail("dead", "redrive", "--all", "--reason", "x", answer="n\n")
    assert refused.exit_code == 1
    assert bodies(deployment) == []
    assert audit_lines() == []
    done = order_mail("dead", "redrive", "--all", "--reason", "x", "--json", "--yes")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "redriven": 1,
        "rejected": 0,
        "left": 0,
        "stayed": [],
        "notes": [],
    }


def test_drop_says_what_is_lost_and_deletes(deployment: Deployment) -> None:
    put(deployment, ORDERS, an_order("O-1"))
    kept = put(deployment, ORDERS, an_order("O-2"))
    assert order_mail("dead", "drop", "--reason", "x").exit_code == 2
    refused = order_mail("dead", "drop", "--order", "O-1", "--reason", "x", answer="n\n")
    assert "the customer gets no mail" in " ".join(refused.output.split())
    assert len(peek(deployment, ORDERS).letters) == 2
    done = order_mail("dead", "drop", "--order", "O-1", "--reason", "x", "--yes", "--json")
    assert json.loads(done.stdout) == {"dropped": 1, "orders": ["O-1"]}
    assert [letter.message_id for letter in peek(deployment, ORDERS).letters] == [kept]
    drop(deployment, Choice(letter=kept[:8]), why="x")
    assert peek(deployment, ORDERS).letters == []
    assert audit_lines()[-1]["orders"] == ["O-2"]


def test_one_letter_is_shown_by_enough_of_its_id(deployment: Deployment) -> None:
    put(deployment, ORDERS, an_order("O-1"))
    put(deployment, ORDERS, an_order("O-2"))
    with pytest.raises(NotFound, match="2 letters"):
        show_letter(deployment, "", address=False)
    with pytest.raises(NotFound):
        show_letter(deployment, "nothing", address=False)


def test_no_id_at_all_is_no_letter(deployment: Deployment) -> None:
    with pytest.raises(NotFound):
        show_letter(deployment, "", address=False)


def test_a_letter_that_comes_back_at_once_is_sent_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes_back(of: Deployment, letter: Letter) -> str:
        if len(sent) < 10:  # enough to tell it from a loop
            sent.append(put(of, letter.queue, letter.body))
        return ""

    sent: list[str] = []
    put(deployment, ORDERS, an_order("O-1"))
    monkeypatch.setattr("infra.operator.dead._send", comes_back)
    done = redrive(deployment, Choice(), fresh_only=False, why="x")
    assert (done.redriven, len(sent)) == (1, 1)
