"""The hourly function, deployed: a delayed mail that SES never reported on again becomes UNDELIVERED."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from infra.local.running_stack import until
from tests.support.in_memory_aws import claimed_record

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack


def plant(stack: RunningStack, overdue_at: float) -> str:
    """Keep the record of a mail that was delayed, and of which nothing was heard since."""
    notification_id = f"overdue-{secrets.token_hex(3)}"
    record = claimed_record(
        notificationId=notification_id,
        orderId=notification_id,
        status="DELAYED",
        overdue="DELAYED",
        overdueAt=int(overdue_at),
    )
    stack.table.put_item(Item=record)
    return notification_id


def test_an_overdue_mail_is_undelivered_and_a_waiting_one_is_not(stack: RunningStack) -> None:
    overdue, waiting = plant(stack, 0), plant(stack, datetime.now(UTC).timestamp() + 3600)
    answer = stack.client("lambda").invoke(FunctionName=stack.name("email-overdue"))
    assert "FunctionError" not in answer, answer["Payload"].read()
    record = stack.table.get_item(Key={"notificationId": overdue})["Item"]
    assert (record["status"], record["reason"]) == ("UNDELIVERED", "NoReportAfterDelay")
    assert "overdueAt" not in record
    assert stack.table.get_item(Key={"notificationId": waiting})["Item"]["status"] == "DELAYED"
    assert any('"undelivered":1' in line for line in stack.log_lines("email-overdue"))


def test_the_schedule_runs_the_function_every_hour(stack: RunningStack) -> None:
    scheduler = stack.client("scheduler")
    schedule = scheduler.get_schedule(Name=stack.name("email-overdue"))
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    target = schedule["Target"]
    assert target["Arn"] == stack.arn("lambda", "function:email-overdue")
    overdue = plant(stack, 0)
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    scheduler.create_schedule(
        Name=f"overdue-now-{secrets.token_hex(3)}",
        ScheduleExpression=soon,
        Target=target,
        FlexibleTimeWindow={"Mode": "OFF"},
    )
    until(
        lambda: (
            stack.table.get_item(Key={"notificationId": overdue})["Item"]["status"] == "UNDELIVERED"
        ),
        seconds=90,
        what="the schedule's own run",
    )


def test_what_fails_for_good_is_kept(stack: RunningStack) -> None:
    function = stack.client("lambda").get_function_configuration(
        FunctionName=stack.name("email-overdue")
    )
    assert function["DeadLetterConfig"]["TargetArn"] == stack.arn("sqs", "email-internal-dlq")
