"""What `infra/local/emulator.py` mends in MiniStack, and that it starts no version but the one it knows.

What needs a deployed stack is tested where it is: `emulator.CHECKS` names the tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.loopback import fetch
from infra.local.programs import Plan, aws, inbox, plain_env, ses
from infra.local.running_stack import until
from infra.local.ses.upstream import Upstream
from infra.local.settings import ROOT, LocalSettings
from tests.local.emulator import (
    ACCOUNT,
    PATIENT,
    REGION,
    client,
    create_function,
    lambda_asset,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = ROOT / "infra" / "local" / "emulator.py"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    with started(tmp_path_factory.mktemp("emulator") / "stack", aws) as plan:
        yield plan


def test_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    metadata = tmp_path / "ministack-99.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 99.0.0\n")
    program = aws(Plan.make(LocalSettings.on_free_ports(tmp_path)))
    refused = subprocess.run(
        program.argv,
        env=plain_env(tmp_path) | program.env | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 1
    assert "99.0.0 is installed" in refused.stderr
    tests = re.findall(r"^  (\S+)::(\w+)", refused.stderr, re.MULTILINE)
    assert len(tests) >= 6
    for path, name in tests:
        assert f"def {name}(" in (ROOT / path).read_text()


def test_the_version_that_is_pinned_is_the_one_it_was_written_for() -> None:
    written_for = re.search(r'^WRITTEN_FOR = "(.+)"$', SOURCE.read_text(), re.MULTILINE)
    pinned = (ROOT / "infra" / "locks" / "emulator.in").read_text().splitlines()
    assert written_for
    assert f"ministack=={written_for[1]}" in pinned


def test_loopback_counts_as_tls(emulator: Plan) -> None:
    sqs = client("sqs", emulator.settings.aws_url)
    queue = sqs.create_queue(QueueName="tls-only")["QueueUrl"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:tls-only",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sqs.send_message(QueueUrl=queue, MessageBody="x")


def test_a_topic_s_policy_knows_ses_by_its_source(emulator: Plan) -> None:
    sns = client("sns", emulator.settings.aws_url)
    topic = sns.create_topic(Name="of-one-set")["TopicArn"]
    source = f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set"
    statements = [
        {
            "Effect": effect,
            "Principal": principal,
            "Action": "sns:Publish",
            "Resource": topic,
            "Condition": {operator: {"aws:SourceArn": f"{source}/ours"}},
        }
        for effect, principal, operator in (
            ("Allow", {"Service": "ses.amazonaws.com"}, "StringEquals"),
            ("Deny", "*", "StringNotEquals"),
        )
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    upstream = Upstream(emulator.settings.aws_url, account=ACCOUNT, region=REGION)
    try:
        upstream.publish(topic, {}, configuration_set="ours")
        with pytest.raises(ClientError, match="AuthorizationError"):
            upstream.publish(topic, {}, configuration_set="another")
    finally:
        upstream.close()
    with pytest.raises(ClientError, match="AuthorizationError"):
        sns.publish(TopicArn=topic, Message="{}")


def test_a_client_of_the_emulator_alone_reaches_the_laptops_ses(tmp_path: Path) -> None:
    with started(tmp_path / "stack", aws, inbox, ses) as plan:
        endpoint = plan.settings.aws_url
        root = client("sesv2", endpoint, PATIENT)
        root.create_email_identity(EmailIdentity="shop.example")
        root.put_suppressed_destination(EmailAddress="gone+1@example.com", Reason="BOUNCE")
        fetch(f"{plan.ses_url}/_laptop/settings", {"rate": 7}, "PUT")
        listed = root.list_suppressed_destinations(Reasons=["BOUNCE"])
        assert [s["EmailAddress"] for s in listed["SuppressedDestinationSummaries"]] == [
            "gone+1@example.com"
        ]
        mail = {
            "FromEmailAddress": "orders@shop.example",
            "Destination": {"ToAddresses": ["jo@example.com"]},
            "Content": {"Simple": {"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "Grüße"}}}},
        }
        sent = root.send_email(**mail)["MessageId"]
        (message,) = fetch(f"{plan.ses_url}/_laptop/messages")
        assert message["messageId"] == sent

        may = {"Effect": "Allow", "Action": "ses:GetAccount", "Resource": "*"}
        iam = client("iam", endpoint)
        iam.create_user(UserName="asks")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        iam.put_user_policy(UserName="asks", PolicyName="may", PolicyDocument=policy)
        key = iam.create_access_key(UserName="asks")["AccessKey"]
        keys = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }
        user = client("sesv2", endpoint, PATIENT, **keys)
        assert user.get_account()["SendQuota"]["MaxSendRate"] == 7
        with pytest.raises(ClientError, match="ses:GetSuppressedDestination"):
            user.get_suppressed_destination(EmailAddress="gone+1@example.com")
        with pytest.raises(ClientError, match="ses:SendEmail"):
            user.send_email(**mail)
        stranger = client("sesv2", endpoint, PATIENT, **keys | {"aws_secret_access_key": "wrong"})
        with pytest.raises(ClientError) as refused:
            stranger.get_account()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_alarm_minds_its_dimensions(emulator: Plan) -> None:
    cloudwatch = client("cloudwatch", emulator.settings.aws_url)

    def put(queue: str, value: float) -> None:
        metric = {"MetricName": "Depth", "Value": value}
        dimensions = {"Dimensions": [{"Name": "QueueName", "Value": queue}]}
        cloudwatch.put_metric_data(Namespace="N", MetricData=[metric | dimensions])

    for queue in ("full", "empty"):
        cloudwatch.put_metric_alarm(
            AlarmName=queue,
            Namespace="N",
            MetricName="Depth",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
    put("empty", 0)
    put("full", 7)

    def states() -> dict[str, str]:
        alarms = cloudwatch.describe_alarms()["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}

    until(lambda: "INSUFFICIENT_DATA" not in states().values(), what="both to be evaluated")
    assert states() == {"full": "ALARM", "empty": "OK"}


def test_an_alarm_invokes_a_function_that_lets_it_and_its_failure_is_kept(emulator: Plan) -> None:
    cloudwatch, functions, sqs = (
        client(name, emulator.settings.aws_url) for name in ("cloudwatch", "lambda", "sqs")
    )
    source = "def handler(event, context): raise ValueError\n"
    queues, arns = {}, {}
    for name, alarm in (("lets", "calls"), ("lets-not", "another")):
        queues[name] = sqs.create_queue(QueueName=f"dead-{name}")["QueueUrl"]
        dead = {"TargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-{name}"}
        arns[name] = create_function(emulator, name, source, DeadLetterConfig=dead, Timeout=20)
        functions.add_permission(
            FunctionName=name,
            StatementId="alarm",
            Action="lambda:InvokeFunction",
            Principal="lambda.alarms.cloudwatch.amazonaws.com",
            SourceAccount=ACCOUNT,
            SourceArn=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}",
        )
    cloudwatch.put_metric_alarm(
        AlarmName="calls",
        Namespace="N",
        MetricName="Calls",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[arns["lets-not"], arns["lets"]],
    )
    cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "Calls", "Value": 5}])

    def letters(name: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=queues[name]).get(
            "Messages", []
        )
        return messages

    (letter,) = until(lambda: letters("lets"), seconds=30, what="the event, after three tries")
    event = json.loads(letter["Body"])["requestPayload"]
    assert event["source"] == "aws.cloudwatch"
    assert event["alarmArn"] == f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:calls"
    assert (event["accountId"], event["region"]) == (ACCOUNT, REGION)
    assert event["alarmData"]["alarmName"] == "calls"
    assert event["alarmData"]["state"]["value"] == "ALARM"
    assert letters("lets-not") == []


def test_a_schedule_tells_its_target_the_scheduled_time(emulator: Plan) -> None:
    sqs, scheduler = (client(name, emulator.settings.aws_url) for name in ("sqs", "scheduler"))
    queue = sqs.create_queue(QueueName="scheduled")["QueueUrl"]
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    scheduler.create_schedule(
        Name="tells-the-time",
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:scheduled",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any",
            "Input": '{"scheduledTime": "<aws.scheduler.scheduled-time>"}',
        },
    )
    (message,) = until(
        lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), what="the schedule's message"
    )
    told = json.loads(message["Body"])["scheduledTime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told)
    assert timedelta(0) <= datetime.fromisoformat(told) - at < timedelta(seconds=30)


def test_a_deployment_lets_what_is_at_work_end_it(emulator: Plan, tmp_path: Path) -> None:
    functions = client("lambda", emulator.settings.aws_url)
    source = (
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    pathlib.Path(event['at work']).touch()\n"
        "    while not pathlib.Path(event['go on']).exists(): time.sleep(0.05)\n"
        "    return [os.environ.get('VERSION'), os.getpid()]\n"
    )
    bootstrap = (emulator.lambda_dir / "bootstrap").read_text()
    environment = {"Variables": {"VERSION": "1"}}
    create_function(emulator, "deployed", source, Timeout=60, Environment=environment)

    def invoke(number: int) -> Any:
        event = {"at work": str(tmp_path / f"at-work-{number}"), "go on": str(tmp_path / "go-on")}
        answer = functions.invoke(FunctionName="deployed", Payload=json.dumps(event))
        return json.load(answer["Payload"])

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(invoke, 1)
        until((tmp_path / "at-work-1").exists)
        functions.update_function_configuration(
            FunctionName="deployed", Environment={"Variables": {"VERSION": "2"}}
        )
        second = pool.submit(invoke, 2)
        until((tmp_path / "at-work-2").exists)
        functions.update_function_code(
            FunctionName="deployed", ZipFile=lambda_asset(source + "# 3", bootstrap)
        )
        (tmp_path / "go-on").touch()
        (one, old), (two, new) = first.result(), second.result()
    assert (one, two) == ("1", "2")
    until(lambda: not psutil.pid_exists(old) and not psutil.pid_exists(new))
    assert invoke(3)[0] == "2"
    functions.delete_function(FunctionName="deployed")


def test_an_environment_that_dies_at_its_start_takes_no_other_along(
    emulator: Plan, tmp_path: Path
) -> None:
    functions = client("lambda", emulator.settings.aws_url)
    at_work, dying = tmp_path / "at-work", tmp_path / "dying"
    source = (
        "import pathlib, time\n"
        "def handler(event, context):\n"
        f"    pathlib.Path({str(at_work)!r}).touch()\n"
        f"    while not pathlib.Path({str(dying)!r}).exists(): time.sleep(0.05)\n"
        "    time.sleep(1)\n"
        "    return 'well'\n"
    )
    bootstrap = (
        f'#!/bin/sh\nif [ -e "{at_work}" ]; then touch "{dying}"; exit 1; fi\n'
        f'exec "{emulator.lambda_dir / "bootstrap"}"\n'
    )
    create_function(emulator, "waits", source, bootstrap=bootstrap, Timeout=60)

    def invoke() -> str:
        return str(functions.invoke(FunctionName="waits")["Payload"].read().decode())

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(invoke)
        until(at_work.exists, what="the first environment at work")
        assert "Runtime.ExitError" in invoke()
        assert first.result() == '"well"'


def test_each_invocation_has_its_own_lines(emulator: Plan) -> None:
    functions, logs = (client(name, emulator.settings.aws_url) for name in ("lambda", "logs"))
    source = (
        "def handler(event, context):\n"
        "    for line in range(50): print(f'{event} {line} ' + 'x' * 2000, flush=True)\n"
    )
    create_function(emulator, "tells", source, Timeout=60)

    def invoke(number: int) -> None:
        functions.invoke(FunctionName="tells", Payload=str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(invoke, range(80)))
    lines: dict[str, list[str]] = {}
    for page in logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/lambda/tells", filterPattern="xxx"
    ):
        for event in page["events"]:
            lines.setdefault(event["logStreamName"], []).append(event["message"].rstrip("x "))
    told = sorted(lines.values(), key=lambda each: int(each[0].split()[0]))
    assert told == [[f"{number} {line}" for line in range(50)] for number in range(80)]


# --- what waits where AWS would not: the fastest of several tells, since a wait is in each ----------


def test_an_execution_begins_at_once(emulator: Plan) -> None:
    states = client("stepfunctions", emulator.settings.aws_url, Config(inject_host_prefix=False))
    iam = client("iam", emulator.settings.aws_url)
    role = iam.create_role(RoleName="quick", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    machine = states.create_state_machine(
        name="quick", definition=json.dumps(definition), roleArn=role, type="EXPRESS"
    )["stateMachineArn"]
    executions = [states.start_sync_execution(stateMachineArn=machine) for _ in range(5)]
    assert min(e["stopDate"] - e["startDate"] for e in executions) < timedelta(milliseconds=100)


def test_an_event_goes_to_its_function_in_one_piece(emulator: Plan) -> None:
    """In two pieces, the second is on its way for 40 ms: until the first is acknowledged."""
    functions = client("lambda", emulator.settings.aws_url)
    create_function(emulator, "echoes", "def handler(event, context): return event", Timeout=60)

    def seconds() -> float:
        begun = time.monotonic()
        functions.invoke(FunctionName="echoes", Payload=json.dumps("x" * 2000))
        return time.monotonic() - begun

    # Linux acknowledges a connection's first segments at once.
    taken = [seconds() for _ in range(40)]
    assert min(taken[20:]) < 0.035


# --- the streams of tables ------------------------------------------------------------------------

PARTLY = """
def handler(event, _context):
    keys = [r["dynamodb"]["Keys"]["id"]["S"] for r in event["Records"]]
    print("GOT", " ".join(keys))
    if "deadly" in keys:
        raise RuntimeError
    bad = [r["dynamodb"]["SequenceNumber"] for r in event["Records"]
           if r["dynamodb"]["NewImage"].get("bad")]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in bad[:1]]}
"""


def test_a_stream_is_tried_again_from_the_first_failure_on(emulator: Plan) -> None:
    """And a batch that kills the function is halved, until the one that does it is told from the others."""
    tables, functions, sqs = (
        client(name, emulator.settings.aws_url) for name in ("dynamodb", "lambda", "sqs")
    )
    letters = sqs.create_queue(QueueName="stream-letters")["QueueUrl"]
    create_function(emulator, "partly", PARTLY)
    client("logs", emulator.settings.aws_url).create_log_group(logGroupName="/aws/lambda/partly")
    stream = tables.create_table(
        TableName="streamed",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]

    def put(key: str, **attributes: str) -> None:
        item = {name: {"S": value} for name, value in {"id": key, **attributes}.items()}
        tables.put_item(TableName="streamed", Item=item)

    for key in ("a", "b"):
        put(key)
    put("c", bad="yes")
    for key in ("d", "deadly", "e", "f"):
        put(key)
    functions.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName="partly",
        StartingPosition="TRIM_HORIZON",
        BatchSize=4,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={
            "OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:stream-letters"}
        },
    )
    until(lambda: batches(emulator, "partly")[-1:] == ["e f"], what="the last batch", seconds=30)
    assert batches(emulator, "partly") == [
        "a b c d",
        # From the failure on; the half of it that fails twice is given up, and so is what is left of the other.
        *("c d deadly e", "c d", "c d"),
        *("deadly e f", "deadly", "deadly"),
        "e f",
    ]
    bodies = [
        json.loads(m["Body"])
        for m in sqs.receive_message(QueueUrl=letters, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [b["requestContext"]["condition"] for b in bodies] == ["RetryAttemptsExhausted"] * 2


def batches(emulator: Plan, function: str) -> list[str]:
    """Return the keys that each invocation got."""
    logs = client("logs", emulator.settings.aws_url)
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    lines = [line for event in events for line in event["message"].splitlines()]
    return [line.removeprefix("GOT ") for line in lines if line.startswith("GOT ")]


def test_the_meter_counts_units_and_time(emulator: Plan) -> None:
    """A function's writes, with those of an index, and one whose condition fails; and its CPU time."""
    url = emulator.settings.aws_url
    client("dynamodb", url).create_table(
        TableName="metered",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("id", "order")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByOrder",
                "KeySchema": [{"AttributeName": "order", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    source = """
import boto3, time
table = boto3.resource("dynamodb").Table("metered")
def handler(event, context):
    table.put_item(Item={"id": "1", "order": "a", "text": "x" * 1500})
    remark = {"UpdateExpression": "SET remark = :o", "ExpressionAttributeValues": {":o": "1"}}
    table.update_item(Key={"id": "1"}, **remark)
    table.get_item(Key={"id": "1"}, ConsistentRead=True, ProjectionExpression="id")
    try:
        table.put_item(Item={"id": "1"}, ConditionExpression="attribute_not_exists(id)")
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        pass
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    time.sleep(0.2)
"""
    name = create_function(emulator, "metered", source)
    iam = client("iam", url)
    policy = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="metered", PolicyName="all", PolicyDocument=json.dumps({"Statement": [policy]})
    )
    invoke = client("lambda", url, PATIENT).invoke
    for _ in range(2):
        answer = invoke(FunctionName=name)
        assert "FunctionError" not in answer, answer["Payload"].read()
    told = fetch(f"{url}/_laptop/meter")
    assert told["writeUnits"]["metered"] == {"metered": 3 * 2 * 2, "metered/ByOrder": 1}
    assert told["readUnits"]["metered"] == {"metered": 2}
    for how in ("cold", "warm"):
        ran = told[how]["metered"]
        assert ran["invocations"] == 1
        assert ran["cpuMs"] > 100
        assert ran["ms"] - ran["cpuMs"] > 150
