"""Starts MiniStack, in MiniStack's own environment, with a few of its rules mended.

TLS: the queues' and topics' policies refuse requests without it, on the laptop as on AWS. The local
endpoint is plain HTTP on loopback, so all would be refused; here loopback counts as secure transport.

SES: MiniStack authorises `SendEmail` on the resource `*` and knows none of its condition keys, so a
policy that names an identity, a configuration set or `ses:FromAddress` allows nothing. Here the
resources and keys are those of AWS's service authorization reference for `ses:SendEmail`. And it sends nothing,
has no quota and no suppression list: what comes for SES v2 goes to the laptop's SES, which asks MiniStack by
the caller's own signature whether it may.

Roles: to MiniStack `aws:PrincipalArn` is the session of a role; to AWS it is the role (IAM User Guide, "AWS
global condition context keys"). And MiniStack asks for `sns:PublishBatch`, which is no action: AWS asks for
`sns:Publish` (Service Authorization Reference, "Actions defined by Amazon SNS"). So it is with SQS's batches.

Topics: MiniStack takes whoever calls its SNS for a principal of the account. Here a call that names the source
it is made for (`x-amz-source-arn`, as AWS's services do among themselves) is one of SES's.

Alarms: MiniStack evaluates them over all metrics of a name, whatever their dimensions. And it knows no Lambda
function as an alarm's action; AWS invokes it asynchronously, where the function's policy lets the alarm
(CloudWatch User Guide, "Invoke a Lambda function from an alarm").

Schedules: MiniStack hands a target its input as it is written; AWS puts the scheduled time into it (EventBridge
Scheduler User Guide, "Adding context attributes").

Dead letters: MiniStack's CloudFormation leaves a function's dead-letter queue out.

Lambda: when one environment dies while it starts, MiniStack kills all others of the function with it, in
the middle of their work; those that start again meet the same fate. And when a function is changed, it kills
its environments at once; AWS lets each end its invocation, and sends new ones to new environments.

Streams: MiniStack takes the batch of a table's stream for done whatever the function answers; see
`stream_mappings.py`.

Logs: MiniStack takes what a function has written to be complete when nothing came for 5 ms. On a busy machine
the rest shows up at the environment's next invocation, or never if it dies before; our metrics are in it.

Meter: MiniStack's `ConsumedCapacity` is wrong for reads and missing where a condition fails, and it counts no
CPU time. `meter.py` counts both, and nobody who asks has to ask otherwise.

Pauses: MiniStack waits for 150 ms before an execution's first state, and its runtime API answers in two pieces,
of which the second waits until the first is acknowledged. AWS does neither. `gate.py` has the second.

Callers: MiniStack lets every web page in, and so do the servers by which it hands functions their events.
`gate.py` says who may call.

All of it re-binds names that MiniStack may rename in any version, so it starts no other than `WRITTEN_FOR`.
"""

import asyncio
import http.client
import http.server
import json
import math
import os
import re
import select
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parseaddr
from importlib.metadata import version
from types import FunctionType
from typing import Any

WRITTEN_FOR = "1.5.33"

CHECKS = {
    "TLS": "tests/local/test_emulator.py::test_loopback_counts_as_tls",
    "TLS of what no request began": "tests/local/test_scheduled_workflows.py"
    "::test_the_schedulers_own_targets_run_the_workflows",
    "SES": "tests/local/test_ses.py::test_iam_decides",
    "SES of all clients": "tests/local/test_emulator.py"
    "::test_a_client_of_the_emulator_alone_reaches_the_laptops_ses",
    "roles": "tests/local/test_outcomes.py::test_a_mail_that_arrives_and_one_that_bounces",
    "batches": "tests/local/test_operator_dead.py"
    "::test_the_fresh_is_mailed_and_the_stale_is_recorded",
    "topics": "tests/local/test_emulator.py::test_a_topic_s_policy_knows_ses_by_its_source",
    "alarms": "tests/local/test_emulator.py::test_an_alarm_minds_its_dimensions",
    "alarms' functions": "tests/local/test_emulator.py"
    "::test_an_alarm_invokes_a_function_that_lets_it_and_its_failure_is_kept",
    "schedules": "tests/local/test_emulator.py::test_a_schedule_tells_its_target_the_scheduled_time",
    "dead letters": "tests/local/test_overdue.py::test_what_fails_for_good_is_kept",
    "Lambda": "tests/local/test_emulator.py"
    "::test_an_environment_that_dies_at_its_start_takes_no_other_along",
    "deployments": "tests/local/test_emulator.py::test_a_deployment_lets_what_is_at_work_end_it",
    "streams": "tests/local/test_emulator.py::test_a_stream_is_tried_again_from_the_first_failure_on",
    "logs": "tests/local/test_emulator.py::test_each_invocation_has_its_own_lines",
    "meter": "tests/local/test_emulator.py::test_the_meter_counts_units_and_time",
    "pauses": "tests/local/test_emulator.py::test_an_execution_begins_at_once",
    "answers in two pieces": "tests/local/test_emulator.py"
    "::test_an_event_goes_to_its_function_in_one_piece",
    "callers": "tests/local/test_gate.py::test_what_another_page_asks_for_is_refused",
    "callers of the runtime API": "tests/local/test_gate.py"
    "::test_a_functions_runtime_api_serves_its_runtime_alone",
}
"""What is mended to the test that fails without it."""

if (installed := version("ministack")) != WRITTEN_FOR:
    sys.exit(
        f"infra/local/emulator.py mends privates of MiniStack {WRITTEN_FOR}, and {installed} is installed.\n"
        "`make setup` installs the one that pyproject.toml pins. To move to another: pin it there, set"
        " WRITTEN_FOR, compare each private that is re-bound with MiniStack's new source, and run\n"
        + "\n".join(f"  {test}  ({mended})" for mended, test in CHECKS.items())
    )

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import (
    cloudwatch,
    dynamodb,
    eventbridge,
    lambda_svc,
    ses_v2,
    sns,
    stepfunctions,
)
from ministack.services import (
    sts as sts_svc,
)
from ministack.services.cloudformation import provisioners

from infra.local import stream_mappings
from infra.local.capacity import item_bytes
from infra.local.gate import NO_PAGE, GatedHandler, gated
from infra.local.meter import PATH, Meter, cpu_ms


def _where(function: Any, **names: Any) -> Any:
    """Return a function that is this one, but for what these global names mean in it."""
    defaults = function.__defaults__
    return FunctionType(function.__code__, function.__globals__ | names, argdefs=defaults)


_pin_request_origin = app.pin_request_origin
_enforce_ses_v2 = app._enforce_ses_v2


def _pin_loopback_as_secure(source_ip: str, *_: bool) -> None:
    _pin_request_origin(source_ip, secure_transport=True)


def _enforce_send_email(
    method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any
) -> Any:
    if (method, path.rstrip("/")) != ("POST", "/v2/email/outbound-emails"):
        return _enforce_ses_v2(method, path, headers, body, *rest)
    query_params, request_id = rest
    mail = json.loads(body)
    name, address = parseaddr(mail.get("FromEmailAddress", ""))
    identity = address if address in ses_v2._identities else address.rpartition("@")[2]
    prefix = f"arn:aws:ses:{app.extract_region(headers, query_params)}:{get_account_id()}"
    resources = [f"{prefix}:identity/{identity}"]
    if configuration_set := mail.get("ConfigurationSetName"):
        resources.append(f"{prefix}:configuration-set/{configuration_set}")
    keys = {
        "ses:FromAddress": address,
        "ses:FromDisplayName": name,
        "ses:Recipients": [to for group in mail.get("Destination", {}).values() for to in group],
    }
    for resource in resources:
        denied = app._enforce_data_plane(
            *("sesv2", "ses:SendEmail", headers, query_params, request_id),
            resource_arn=resource,
            service_context=keys,
            named_resource=resource,
        )
        if denied:
            return denied
    return None


# Of its own: a call of SES's comes back to MiniStack, whose threads must not all be waiting for it.
_ses_calls = ThreadPoolExecutor(32, thread_name_prefix="ses")


def _ask_ses(
    method: str, target: str, headers: dict[str, str], body: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    connection = http.client.HTTPConnection(os.environ["LAPTOP_SES"], timeout=60)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        answered = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.getheaders()
            if name.lower().startswith(("x-amz", "content-type", "content-length"))
        ]
        return answer.status, answered, answer.read()
    except (OSError, http.client.HTTPException):  # an answer that SES drops, too
        return http.HTTPStatus.BAD_GATEWAY, [(b"content-length", b"0")], b""
    finally:
        connection.close()


def _with_ses(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Return an ASGI application in which the laptop's SES answers for SES v2, all but its own requests."""

    async def route(scope: Any, receive: Any, send: Any) -> None:
        sent = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope.get("headers", [])
        }
        ours = scope["type"] == "http" and scope["path"].startswith("/v2/email/")
        if not ours or "x-laptop-ses" in sent:
            await inner(scope, receive, send)
            return
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        # SES's gate wants its own Host; the caller signed this one.
        sent["x-forwarded-host"] = sent.pop("host")
        sent.pop("transfer-encoding", None)
        status, headers, answer = await asyncio.get_running_loop().run_in_executor(
            _ses_calls, _ask_ses, scope["method"], target, sent, body
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return route


_extract_iam_action = iam_actions.extract_iam_action


_BATCHES = {
    "sns:PublishBatch": "sns:Publish",
    **{
        f"sqs:{action}Batch": f"sqs:{action}"
        for action in ("ChangeMessageVisibility", "DeleteMessage", "SendMessage")
    },
}


def _extract_action(*request: Any) -> str | None:
    action = _extract_iam_action(*request)
    return _BATCHES.get(action, action) if action else None


_resolve_condition_key = iam_evaluator._resolve_condition_key


def _resolve_role(key: str, context: Any) -> Any:
    value = _resolve_condition_key(key, context)
    if key.lower() != "aws:principalarn":
        return value
    return re.sub(r"^(arn:aws:)sts(::\d+:)assumed-role/([^/]+)/.*$", r"\1iam\2role/\3", value)


_service_source: ContextVar[str] = ContextVar("source of a service's call", default="")
_handle_sns = sns.handle_request
_enforce_topic_policy = sns._enforce_topic_policy


async def _handle_sns_of_service(
    method: str, path: str, headers: dict[str, str], *rest: Any
) -> Any:
    _service_source.set(headers.get("x-amz-source-arn", ""))
    return await _handle_sns(method, path, headers, *rest)


def _enforce_topic_policy_on_services(topic: dict[str, Any], action: str) -> Any:
    source = _service_source.get()
    allowed = source and sns.topic_policy_allows(
        topic["arn"], "ses.amazonaws.com", source, get_account_id()
    )
    return None if allowed else _enforce_topic_policy(topic, action)


_evaluate_alarm_over = cloudwatch._evaluate_alarm


def _evaluate_alarm(alarm: dict[str, Any]) -> None:
    """Evaluate an alarm over the metric with its dimensions; MiniStack takes those of all."""
    wanted = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    metrics = {key: points for key, points in cloudwatch._metrics.items() if key[2] == wanted}
    _where(_evaluate_alarm_over, _metrics=metrics)(alarm)


_dispatch_to_topics = cloudwatch._dispatch_alarm_actions
_ACTIONS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}


def _dispatch_alarm_actions(
    alarm: dict[str, Any], old_state: str, new_state: str, reason: str
) -> None:
    """Publish to the topics among a state's actions, and invoke the functions."""
    _dispatch_to_topics(alarm, old_state, new_state, reason)
    if not alarm.get("ActionsEnabled", True):
        return
    for action in alarm.get(_ACTIONS[new_state]) or []:
        name = sns._lambda_function_name_from_arn_spec(parse_arn(action))
        function = lambda_svc._functions.get(name) if name else None
        if function and _lets_alarm_invoke(function, action, alarm["AlarmArn"]):
            lambda_svc.invoke_async_with_retry(
                function, _alarm_event(alarm, old_state, new_state, reason)
            )


def _lets_alarm_invoke(function: dict[str, Any], arn: str, alarm_arn: str) -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=get_region(),
        service_context={"aws:sourcearn": alarm_arn, "aws:sourceaccount": get_account_id()},
    )
    service = "lambda.alarms.cloudwatch.amazonaws.com"
    decided = iam_evaluator.evaluate_resource_policy(function["policy"], context, service=service)
    return bool(decided.decision == "Allow")


def _alarm_event(
    alarm: dict[str, Any], old_state: str, new_state: str, reason: str
) -> dict[str, Any]:
    """Return what AWS invokes a function with (same page, "Event object sent from CloudWatch to Lambda")."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    metric = {
        "namespace": alarm["Namespace"],
        "name": alarm["MetricName"],
        "dimensions": {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []},
    }
    stat = {"metric": metric, "period": alarm["Period"], "stat": alarm["Statistic"]}
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": get_account_id(),
        "time": now,
        "region": get_region(),
        "alarmData": {
            "alarmName": alarm["AlarmName"],
            "state": {"value": new_state, "reason": reason, "timestamp": now},
            "previousState": {"value": old_state},
            "configuration": {
                "description": alarm.get("AlarmDescription", ""),
                "metrics": [{"id": str(uuid.uuid4()), "metricStat": stat, "returnData": True}],
            },
        },
    }


_invoke_target = eventbridge._invoke_target


def _invoke_with_context(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> None:
    if event.get("Source") == "aws.scheduler" and "Input" in target:
        moment = datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = target["Input"].replace("<aws.scheduler.scheduled-time>", moment)
        target = target | {"Input": told}
    _invoke_target(target, event, *rest)


_meter = Meter()
_asking: ContextVar[str] = ContextVar("function that asks DynamoDB", default="")
_handle_dynamodb = dynamodb.handle_request
_add_consumed_capacity = dynamodb._add_consumed_capacity
_conditional_check_failed = dynamodb._conditional_check_failed


async def _handle_dynamodb_of_function(
    method: str, path: str, headers: dict[str, str], *rest: Any
) -> Any:
    # A function's session has its name.
    session = sts_svc._sessions.get(extract_access_key_id(headers, {})) or {}
    _asking.set(session.get("Arn", "").rpartition("/")[2])
    return await _handle_dynamodb(method, path, headers, *rest)


def _meter_done(
    answer: dict[str, Any],
    asked: dict[str, Any],
    name: str,
    index_name: str | None = None,
    **written: Any,
) -> None:
    """Meter what is done: a write where the items before and after it are there."""
    table, key = dynamodb._tables[name], asked.get("Key")
    if written:
        _meter.wrote(_asking.get(), table, written.get("old_item"), written.get("new_item"))
    else:
        # One item is billed whole; of many, what is sent is what is known here.
        items = [dynamodb._get_item_by_key(table, key)] if key else answer.get("Items", [])
        size = sum(item_bytes(item) for item in items if item)
        where = f"{name}/{index_name}" if index_name else name
        _meter.read(_asking.get(), where, size, consistent=bool(asked.get("ConsistentRead", False)))
    _add_consumed_capacity(answer, asked, name, index_name=index_name, **written)


def _meter_refused(asked: dict[str, Any], item: Any, *message: str) -> Any:
    if asked.get("TableName"):
        table = dynamodb._tables[dynamodb._normalize_table_name(asked["TableName"])]
        _meter.wrote(_asking.get(), table, item, item)
    return _conditional_check_failed(asked, item, *message)


def _with_meter(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Return an ASGI application that tells what the meter counted."""

    async def route(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await inner(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(_meter.told()).encode()})

    return route


_invoke_worker = lambda_runtime.ProvidedWorker.invoke


def _invoke_metered(worker: Any, *arguments: Any, **keywords: Any) -> Any:
    process = worker._proc.pid if worker._proc else None
    began, cpu = time.monotonic(), cpu_ms(process)
    answer = _invoke_worker(worker, *arguments, **keywords)
    if worker._proc:  # it lives still
        cold = bool(answer.get("cold_start")) or worker._proc.pid != process
        _meter.ran(
            worker.func_name,
            cold=cold,
            ms=math.ceil((time.monotonic() - began) * 1000),
            cpu_ms=cpu_ms(worker._proc.pid) - (0 if cold else cpu),
        )
    return answer


def _invoke_alone(worker: Any, *arguments: Any, **keywords: Any) -> Any:
    """Invoke; an environment that died in its start is an error of this invocation alone."""
    try:
        return _invoke_metered(worker, *arguments, **keywords)
    except RuntimeError as error:
        kind = getattr(error, "error_type", "Runtime.ExitError")
        return {
            "status": "error",
            "error": str(error),
            "error_payload": {"errorMessage": str(error), "errorType": kind},
            "cold_start": True,
            "log": "",
        }


class _Output:
    """What an environment writes, line by line. An invocation answers after its last line."""

    def __init__(self, stream: Any, lines: Any) -> None:
        self._stream, self._lines = stream, lines
        self._lock = threading.Lock()
        self._begun = b""
        os.set_blocking(stream.fileno(), False)

    def take(self) -> bool:
        """Take all that is written by now; return whether more may come."""
        with self._lock:
            try:
                while not self._stream.closed and (data := os.read(self._stream.fileno(), 65_536)):
                    *whole, self._begun = (self._begun + data).split(b"\n")
                    for line in whole:
                        self._lines.put(line.decode("utf-8", errors="replace"))
            except BlockingIOError:
                return True
            return False

    def pump(self) -> None:
        """Take until the environment ends: a full pipe would stop it."""
        written = select.poll()
        written.register(self._stream, select.POLLIN)
        while self.take():
            written.poll()
        with self._lock:
            self._stream.close()
            if self._begun:
                self._lines.put(self._begun.decode("utf-8", errors="replace"))


def _pump_output(worker: Any, stream: Any, lines: Any) -> None:
    worker.output = _Output(stream, lines)
    worker.output.pump()


def _drain_all(worker: Any, **_: float) -> str:
    if worker.output:
        worker.output.take()
    return str(worker._drain_stderr())


def _end_each_after_its_work(environments: Sequence[Any]) -> None:
    def end(environment: Any) -> None:
        while environment.in_use:
            time.sleep(0.05)
        lambda_runtime.kill_workers([environment])

    for environment in environments:
        threading.Thread(target=end, args=(environment,), daemon=True).start()


_deploying: ContextVar[bool] = ContextVar("deploying", default=False)
_invalidate_worker = lambda_svc.invalidate_worker


def _replace_environments(*function: Any, **qualified: Any) -> Any:
    """Give new invocations new environments."""
    if not _deploying.get():
        return _invalidate_worker(*function, **qualified)
    replace = _where(_invalidate_worker, kill_workers=_end_each_after_its_work)
    return replace(*function, **qualified)


def _without_killing(update: Callable[..., Any]) -> Callable[..., Any]:
    def run(*function: Any) -> Any:
        deploying = _deploying.set(True)
        try:
            return update(*function)
        finally:
            _deploying.reset(deploying)

    return run


class _NoPause:
    """Stands for `time` where that is asked for nothing but a pause that AWS does not make."""

    @staticmethod
    def sleep(seconds: float) -> None:
        """Go on at once."""


_lambda_resource = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
_create_function = _lambda_resource["create"]


def _create_with_dead_letters(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
    name, attributes = _create_function(logical_id, props, stack_name)
    if "DeadLetterConfig" in props:
        lambda_svc._functions[name]["config"]["DeadLetterConfig"] = props["DeadLetterConfig"]
    return name, attributes


cloudwatch._evaluate_alarm = _evaluate_alarm
cloudwatch._dispatch_alarm_actions = _dispatch_alarm_actions
dynamodb.handle_request = _handle_dynamodb_of_function
dynamodb._add_consumed_capacity = _meter_done
dynamodb._conditional_check_failed = _meter_refused
eventbridge._invoke_target = _invoke_with_context
sns.handle_request = _handle_sns_of_service
sns._enforce_topic_policy = _enforce_topic_policy_on_services
lambda_svc._poll_dynamodb_streams = stream_mappings.poll
lambda_svc.invalidate_worker = _replace_environments
lambda_svc._update_config = _without_killing(lambda_svc._update_config)
lambda_svc._update_code = _without_killing(lambda_svc._update_code)
lambda_runtime.ProvidedWorker.invoke = _invoke_alone
lambda_runtime.ProvidedWorker.output = None
lambda_runtime.ProvidedWorker._pump_output = _pump_output
lambda_runtime.ProvidedWorker._drain_stderr_bounded = _drain_all
# Lines are put into it under a lock, where nothing may wait for room.
lambda_runtime._PROVIDED_LOG_MAX_LINES = 0
_lambda_resource["create"] = _create_with_dead_letters
stepfunctions._run_execution = _where(stepfunctions._run_execution, time=_NoPause)
app.pin_request_origin = _pin_loopback_as_secure
iam_actions.extract_iam_action = _extract_action
iam_evaluator._resolve_condition_key = _resolve_role
# What no request began, such as a schedule, has no origin and would count as insecure.
iam_evaluator._request_origin = ContextVar("origin", default=("127.0.0.1", True))
app._enforce_ses_v2 = _enforce_send_email
# Any port: the laptop's SES and the fault proxy pass on what was signed for theirs.
app.app = gated(_with_meter(_with_ses(app.app)), None, NO_PAGE)
http.server.BaseHTTPRequestHandler = GatedHandler  # type: ignore[misc]
app.main()
