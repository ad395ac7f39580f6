"""What the stack tells of itself: a few figures while a run goes on, everything once it has ended."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

import psutil

from infra.local.embedded_metrics import GROUPS, parse
from infra.local.loopback import fetch
from infra.local.processes import mark, marked
from infra.local.supervisor import read_status
from steps.aws.ledger_table import deserialize
from steps.contract.metrics import Metric
from steps.ledger.ses_events import NOTIFICATION_TAG
from tests.local.chaos.outcomes import Change
from tests.local.chaos.verdict import DeadLetter, Mail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from infra.local.programs import Plan
    from infra.local.running_stack import Json, RunningStack


@dataclass(frozen=True)
class Now:
    """A few cheap figures: what is still to come, and how far everything is.

    taken: mails that SES took. waiting: messages of the order queue, visible or not. to_come: events that SES
    will publish, or that wait on their queue. held: requests that the fault proxy holds back or forwards.
    calls: all that it ever saw; each function makes some. worked: seconds of CPU that the workers took that are
    alive, to a tenth; one that starts takes most of a second. Where both stand still nothing runs.
    """

    taken: int
    waiting: int
    to_come: int
    held: int
    calls: int
    worked: float

    @property
    def idle(self) -> bool:
        """Whether nothing is to come that anyone knows of."""
        return not (self.waiting or self.to_come or self.held)


def look(stack: RunningStack) -> Now:
    """Ask for the figures: a few requests, whatever the number of orders."""
    ses = stack.ses("stats")
    proxy = fetch(f"{stack.plan.faults_url}/_microburst/stats")
    return Now(
        taken=ses["accepted"],
        waiting=stack.waiting(),
        to_come=ses["events_pending"] + stack.waiting("email-ses-events-queue"),
        held=proxy["in_flight"],
        calls=proxy["requests"]["total"],
        worked=round(sum(map(_worked, workers(stack.plan))), 1),
    )


def workers(plan: Plan) -> Iterator[tuple[str, psutil.Process]]:
    """Find the stack's Lambda workers, with their functions' names."""
    for process in marked(mark(plan.settings.state_dir, "aws")):
        with suppress(psutil.Error, OSError):
            if name := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
                yield name, process


def _worked(worker: tuple[str, psutil.Process]) -> float:
    with suppress(psutil.Error, OSError):
        took = worker[1].cpu_times()
        return took.user + took.system
    return 0.0


def mails(stack: RunningStack) -> dict[str, list[Mail]]:
    """Return what SES took, by notification id."""
    grouped = defaultdict(list)
    for mail in stack.ses("messages"):
        local, _, domain = mail["destination"][0].partition("@")
        box = local.partition("+")[0] if domain == "simulator.amazonses.com" else ""
        grouped[mail["tags"][NOTIFICATION_TAG][0]].append(
            Mail(
                message_id=mail["messageId"],
                box=box,
                answered=mail["answered"],
                published=frozenset(mail["published"]),
            )
        )
    return dict(grouped)


def inbox(folder: Path) -> list[str]:
    """Return the message ids of the mails in MailDev's folder; its REST API would send all of each mail."""
    ids = []
    for path in folder.glob("*.eml"):
        with path.open("rb") as file:
            ids.append(BytesHeaderParser().parse(file)["Message-ID"].strip("<>").partition("@")[0])
    return ids


def dead_letter(letter: Json) -> DeadLetter:
    """Read a dead letter of the order queue; SQS itself gives no reason."""
    attached = {n: a["StringValue"] for n, a in letter.get("MessageAttributes", {}).items()}
    return DeadLetter(
        message=letter["Body"],
        reason=attached.get("reason", ""),
        execution=attached.get("execution", ""),
    )


def unread_events(letters: Iterable[Json]) -> Counter[tuple[str, str]]:
    """Return the message ids and types of the events of SES's in what internal dead letters say."""
    found: Counter[tuple[str, str]] = Counter()
    for letter in letters:
        if "mail" in letter:  # A schedule that could not start, and an outcome, are here, too.
            found[letter["mail"]["messageId"], letter["eventType"]] += 1
    return found


def stream(stack: RunningStack) -> Iterator[Json]:
    """Read the tracking table's stream from its beginning to its end: the changes of one shard."""
    client, arn = stack.client("dynamodbstreams"), stack.table.latest_stream_arn
    (shard,) = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = client.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    while (answer := client.get_records(ShardIterator=iterator))["Records"]:
        yield from answer["Records"]
        iterator = answer["NextShardIterator"]


def changes(stack: RunningStack) -> list[Change]:
    """Return all changes of records; the other items of the table have no status."""
    found = []
    for record in stream(stack):
        images = record["dynamodb"]
        old, new = (_image(images.get(name, {})) for name in ("OldImage", "NewImage"))
        if "status" in new:
            found.append(Change(old=old, new=new))
    return found


def _image(item: Json) -> Json:
    return {name: deserialize(value) for name, value in item.items() if name != "event"}


def told_again(stack: RunningStack, letter: Json) -> list[Json]:
    """Return the changes that an internal dead letter is about, as the function for outcomes takes them."""
    if "dynamodb" in letter:
        return [letter]
    if not (batch := letter.get("DDBStreamBatchInfo")):
        return []
    numbers = range(int(batch["startSequenceNumber"]), int(batch["endSequenceNumber"]) + 1)
    return [
        record for record in stream(stack) if int(record["dynamodb"]["SequenceNumber"]) in numbers
    ]


def metrics(stack: RunningStack) -> dict[Metric, float]:
    """Return what each metric counted, by the functions' logs: CloudWatch lags them on a busy laptop."""
    logs = stack.client("logs")
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=GROUPS)
    counted: dict[Metric, float] = defaultdict(float)
    for group in (group["logGroupName"] for page in groups for group in page["logGroups"]):
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern='"CloudWatchMetrics"'
        )
        for event in (event for page in pages for event in page["events"]):
            for _, datum in parse(event["message"]):
                counted[Metric(datum["MetricName"])] += datum["Value"]
    return counted


def broken_batches(stack: RunningStack) -> list[str]:
    """Return what dispatchers failed on with a whole batch; a killed one says nothing."""
    lines = map(json.loads, stack.log_lines("email-processor", filterPattern='"unexpected error"'))
    return [f"{line.get('error')} in {line.get('frames', ['?'])[-1]}" for line in lines]


def memory(plan: Plan) -> tuple[int, int]:
    """Return the bytes of memory that this process and the emulator take."""
    emulator = psutil.Process(read_status(plan.settings.state_dir)["aws"].pid)
    return psutil.Process().memory_info().rss, emulator.memory_info().rss
