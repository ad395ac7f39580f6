"""The function that tells the shop: what it publishes, what it leaves to come again, what it sets aside."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from steps import outcomes
from steps.aws.late_notice import LateNotice
from steps.aws.ledger_table import serialize
from steps.aws.queue import sqs
from steps.aws.topic import NotTaken, OutcomesTopic, sns
from steps.contract import limits
from steps.contract.errors import QueueUnavailable, TopicUnavailable, UnexpectedError
from tests.support import in_memory_aws
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import claimed_record
from tests.support.lambda_context import lambda_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steps.contract.batch_response import BatchResponse
    from steps.contract.outcome_event import OutcomeEvent
    from steps.ledger.rules import Record
    from steps.outcomes import StreamRecord


def change(number: int, after: Record | None = None, before: Record | None = None) -> StreamRecord:
    """Return the change of a record whose mail was accepted, or another."""
    accepted = claimed_record(status="SENT", messageId="m", orderId=f"ORDER{number}")
    images = {"NewImage": accepted if after is None else after, "OldImage": before}
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "SequenceNumber": f"{number:03}",
            "ApproximateCreationDateTime": NOW,
            **{
                name: {k: serialize(v) for k, v in image.items()}
                for name, image in images.items()
                if image is not None
            },
        },
    }


POISON = {"status": "SENT"}


@dataclass(frozen=True)
class FakeTopic(OutcomesTopic):
    """Takes what it is given, but for orders that it `refuses` now or `never` takes, or while it is `down`."""

    refuses: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    down: bool = False
    batches: list[list[str]] = field(default_factory=list)

    def publish(self, outcomes: Sequence[OutcomeEvent]) -> NotTaken:
        if self.down:
            raise TopicUnavailable("SNS answered AuthorizationError")
        orders = [outcome["subject"] for outcome in outcomes]
        self.batches.append(orders)
        return NotTaken(
            *(
                frozenset(i for i, order in enumerate(orders) if order in some)
                for some in (self.refuses, self.never)
            )
        )


def tell(topic: FakeTopic, *changes: StreamRecord) -> tuple[str | None, list[StreamRecord]]:
    """Return from where on the changes are to come again, and what was set aside."""
    letters: list[StreamRecord] = []

    def set_aside(record: StreamRecord, reason: str) -> None:
        assert reason == "UnexpectedError"
        letters.append(record)

    def read(record: StreamRecord) -> OutcomeEvent | None:
        return outcomes.read(record, source="/order-mail/test", release="1")

    teller = outcomes.Teller(topic=topic, read=read, set_aside=set_aside, late=notice([], Clock()))
    return teller.tell(list(changes)), letters


def notice(put: list[str], clock: Clock) -> LateNotice:
    return LateNotice(name="outcomesWaitSince", put=put.append, clock=clock)


def test_ten_outcomes_are_published_at_once() -> None:
    topic = FakeTopic("t")
    assert tell(topic, *(change(n) for n in range(23))) == (None, [])
    assert [len(batch) for batch in topic.batches] == [10, 10, 3]
    assert [order for batch in topic.batches for order in batch] == [f"ORDER{n}" for n in range(23)]


def test_what_says_nothing_is_not_published() -> None:
    sent = claimed_record(status="SENT", messageId="m")
    topic = FakeTopic("t")
    bookkeeping = change(1, after=sent | {"ignored": 1}, before=sent)
    assert tell(topic, bookkeeping, change(2, after=claimed_record())) == (None, [])
    assert topic.batches == []


def test_what_was_not_taken_comes_again_from_the_first_of_it_on() -> None:
    changes = [change(n) for n in range(1, 16)]
    assert tell(FakeTopic("t", down=True), *changes) == ("001", [])
    topic = FakeTopic("t", frozenset({"ORDER5", "ORDER7"}))
    assert tell(topic, *changes) == ("005", [])
    assert len(topic.batches) == 1, "what comes again need not be published before"
    assert tell(FakeTopic("t", frozenset({"ORDER12"})), *changes) == ("012", [])


def test_what_cannot_be_read_is_set_aside_and_the_others_are_told() -> None:
    topic = FakeTopic("t")
    poison = change(2, after=POISON)
    gone: Any = {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "004"}}
    assert tell(topic, change(1), poison, change(3), gone) == (None, [poison, gone])
    assert topic.batches == [["ORDER1", "ORDER3"]]


def test_what_sns_never_takes_is_set_aside_and_the_others_are_told() -> None:
    changes = [change(n) for n in range(1, 5)]
    topic = FakeTopic("t", never=frozenset({"ORDER2"}))
    assert tell(topic, *changes) == (None, [changes[1]])
    both = FakeTopic("t", refuses=frozenset({"ORDER3"}), never=frozenset({"ORDER2", "ORDER4"}))
    assert tell(both, *changes) == ("003", [changes[1]]), "the fourth comes again with the third"


def test_what_comes_again_is_set_aside_when_it_is_its_turn_and_once() -> None:
    poison = change(2, after=POISON)
    assert tell(FakeTopic("t", down=True), change(1), poison, change(3)) == ("001", [])
    late = FakeTopic("t", frozenset({"ORDER3"}))
    assert tell(late, change(1), poison, change(3)) == ("003", [poison])
    assert tell(FakeTopic("t", down=True), poison, change(3)) == ("003", [poison])


def test_what_can_be_neither_read_nor_set_aside_comes_again() -> None:
    def cannot(record: StreamRecord, reason: str) -> None:
        raise QueueUnavailable(f"{reason} of {record['eventName']}")

    def unreadable(_record: StreamRecord) -> OutcomeEvent | None:
        raise ValueError

    teller = outcomes.Teller(
        topic=FakeTopic("t"), read=unreadable, set_aside=cannot, late=notice([], Clock())
    )
    with pytest.raises(QueueUnavailable):
        teller.tell([change(1)])


def test_the_operators_hear_once_an_hour_that_outcomes_wait() -> None:
    letters: list[str] = []
    clock = Clock()
    late = notice(letters, clock)

    def fails(after: int) -> int:
        clock.now = NOW + after
        late.of(NOW)
        return len(letters)

    assert [fails(60 * minutes) for minutes in (0, 14, 16, 17, 75, 77, 100)] == [
        0,
        0,
        1,
        1,
        1,
        2,
        2,
    ]
    assert json.loads(letters[0]) == {"outcomesWaitSince": "2027-01-15T08:00:00Z"}


def test_a_notice_that_cannot_be_given_is_given_later() -> None:
    clock = Clock(NOW + 3_600)
    letters: list[str] = []

    def put(letter: str) -> None:
        if clock.elapsed < 3_700:
            raise QueueUnavailable("SQS answered ServiceUnavailable")
        letters.append(letter)

    late = LateNotice(name="outcomesWaitSince", put=put, clock=clock)
    late.of(NOW)
    clock.sleep(100)
    late.of(NOW)
    assert len(letters) == 1


def test_only_what_comes_again_is_late() -> None:
    letters: list[str] = []
    late = notice(letters, Clock(NOW + 3_600))
    for topic, expected in ((FakeTopic("t"), 0), (FakeTopic("t", down=True), 1)):
        teller = outcomes.Teller(
            topic=topic,
            read=lambda c: outcomes.read(c, source="s", release="1"),
            set_aside=lambda _, __: None,
            late=late,
        )
        teller.tell([change(1)])
        assert len(letters) == expected


# --- with AWS -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shop:
    """A queue that is subscribed to the topic, and the dead letters."""

    queue: str
    letters: str

    def messages(self, url: str) -> list[Any]:
        answer = sqs().receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return list(answer.get("Messages", ()))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with mock_aws():
        in_memory_aws.set_environment(monkeypatch)
        sns.cache_clear()
        sqs.cache_clear()
        outcomes._teller.cache_clear()
        topic = sns().create_topic(Name="outcomes")["TopicArn"]
        client = boto3.client("sqs")
        queue, letters = (client.create_queue(QueueName=n)["QueueUrl"] for n in ("shop", "letters"))
        sns().subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:shop",
            Attributes={"RawMessageDelivery": "true"},
        )
        settings = outcomes.OutcomesSettings(
            outcomes_topic=topic,
            dead_letter_queue=letters,
            release="1.2.3",
        )
        in_memory_aws.set_environment(monkeypatch, settings)
        yield Shop(queue, letters)


def handled(*changes: StreamRecord) -> BatchResponse:
    return outcomes.handler({"Records": list(changes)}, lambda_context())


def test_the_handler_tells_the_shop(shop: Shop) -> None:
    assert handled(change(1)) == {"batchItemFailures": []}
    (message,) = shop.messages(shop.queue)
    outcome = json.loads(message["Body"])
    assert outcome["data"]["orderId"] == "ORDER1"
    assert outcome["source"] == "arn:aws:sns:us-east-1:123456789012:outcomes"
    assert outcome["data"]["release"] == "1.2.3"
    attributes = {n: a["StringValue"] for n, a in message["MessageAttributes"].items()}
    assert attributes == {"status": "SENT", "eventType": "order.confirmed"}


def test_the_handler_keeps_what_it_cannot_read(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    poison = change(1, after=POISON | {"customerEmail": "jane@example.com"})
    assert handled(poison) == {"batchItemFailures": []}
    (letter,) = shop.messages(shop.letters)
    assert json.loads(letter["Body"]) == poison
    assert letter["MessageAttributes"]["reason"]["StringValue"] == UnexpectedError.__name__
    assert caplog.records
    assert not any("jane" in str(vars(line)) for line in caplog.records)


def test_the_handler_says_from_where_on_the_stream_is_to_come_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCOMES_TOPIC", "arn:aws:sns:us-east-1:123456789012:gone")
    old = change(4)
    old["dynamodb"]["ApproximateCreationDateTime"] = 0
    for _ in range(2):
        assert handled(old, change(5)) == {"batchItemFailures": [{"itemIdentifier": "004"}]}
    (letter,) = shop.messages(shop.letters)
    assert json.loads(letter["Body"]) == {"outcomesWaitSince": "1970-01-01T00:00:00Z"}
    assert letter["MessageAttributes"]["reason"]["StringValue"] == TopicUnavailable.__name__


def test_the_readme_s_consumer_knows_the_truth_in_whatever_order_it_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = Path("steps/README.md").read_text("utf-8").partition("## Outcomes")[2]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (block,) = [block for block in blocks if "def handle" in block]
    shop: dict[str, Any] = {}
    exec(block, shop)  # noqa: S102 - the README's own

    def told(status: str, sequence: int) -> None:
        outcome = {"notificationId": "n", "orderId": "O", "status": status, "sequence": sequence}
        shop["handle"]({"Body": json.dumps({"data": outcome})})

    for status, sequence in (("SENT", 3), ("BOUNCED", 7), ("DELIVERED", 5), ("BOUNCED", 7)):
        told(status, sequence)
    assert capsys.readouterr().out.split() == ["O", "SENT", "O", "BOUNCED"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InternalError", (None, {0})),
        ("KMSAccessDenied", (None, {0})),
        ("InvalidParameter", ({0}, None)),
        ("ParameterValueInvalid", ({0}, None)),
    ],
)
def test_only_what_is_about_the_message_itself_is_never_taken(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: tuple[set[int] | None, set[int] | None],
) -> None:
    """SNS calls a missing permission for the key the sender's fault, too, and that passes."""
    assert shop.queue
    answer = {"Failed": [{"Id": "0", "Code": code, "SenderFault": code != "InternalError"}]}
    monkeypatch.setattr(sns(), "publish_batch", lambda **_: answer)
    never, again = (frozenset(places or ()) for places in expected)
    told = outcomes.read(change(1), source="/order-mail/test", release="1")
    assert told
    assert OutcomesTopic("topic").publish([told]) == (again, never)


def test_a_batch_of_sns_s_is_no_larger_than_it_takes() -> None:
    assert limits.OUTCOMES_PER_PUBLISH == 10
    assert limits.OUTCOME_BATCH % limits.OUTCOMES_PER_PUBLISH == 0
