"""Every role, tried on everything that any role may do, and on what nobody may: its job and no more.

The table says each role's job once. All of the other roles' jobs, and `NOBODY`, are what it must not do.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from infra.operator import permissions
from infra.operator.audit import LOG_GROUP
from tests.infra.judges.iam import ALLOWED, DENIED, Asked, Request, actions, answers
from tests.infra.judges.policies import ACCOUNT, Policies
from tests.support.templates import resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.judges.deployments import Deployment

REGION = "eu-central-1"
WITH_ALL = "prod with a key and pausing"
SENDER = "orders@shop.example"
OTHER_ACCOUNT = "999999999999"


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def sqs(action: str, queue: str) -> Request:
    return Request(f"sqs:{action}", arn("sqs", f"{queue}-prod"))


def publish(topic: str) -> Request:
    return Request("sns:Publish", arn("sns", f"{topic}-prod"))


def start(action: str, machine: str) -> Request:
    return Request(f"states:{action}", arn("states", f"stateMachine:{machine}-prod"))


def invoke(function: str, version: str = "") -> Request:
    return Request("lambda:InvokeFunction", arn("lambda", f"function:{function}-prod{version}"))


def send(resource: str, sender: str = SENDER, action: str = "SendEmail") -> Request:
    return Request(f"ses:{action}", arn("ses", resource), (("ses:FromAddress", sender),))


def document(action: str, key: str, bucket: str = "shop-documents") -> Request:
    return Request(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}")


def search(*functions: str) -> set[Request]:
    """Return requests to look for lines in functions' logs, by both forms of a group's ARN."""
    return {
        Request("logs:FilterLogEvents", arn("logs", f"log-group:/aws/lambda/{name}-prod{form}"))
        for name in functions
        for form in ("", ":*")
    }


def everywhere(*names: str) -> set[Request]:
    """Return requests of actions that take no resource."""
    return {Request(name, "*") for name in names}


TRACKING = "table/email-delivery-tracking-prod"
REPORTS = "table/email-reports-prod"


def items(action: str, *keys: str, table: str = TRACKING) -> set[Request]:
    return {
        Request(f"dynamodb:{action}", arn("dynamodb", table), (("dynamodb:LeadingKeys", key),))
        for key in keys
    }


def query(index: str) -> Request:
    return Request("dynamodb:Query", arn("dynamodb", f"{TRACKING}/index/{index}"))


def stream(action: str) -> Request:
    return Request(f"dynamodb:{action}", arn("dynamodb", f"{TRACKING}/stream/2026-11-25T12:00"))


KEY = "keyFEDD6EC0"
"""Its logical id, since a key has no name."""

ANY_ITEM = ("a-record", "pace", "attempts-of-a-message")
OWN_ITEMS = ANY_ITEM[1:]
ATTRIBUTE = ("dynamodb:Attributes", "event")


def scan(
    *attributes: str,
    select: str = "SPECIFIC_ATTRIBUTES",
    of: str = f"{TRACKING}/index/OrderIdIndex",
) -> Request:
    """Return a request to read a whole table or index, of each item these attributes."""
    asked = (*(("dynamodb:Attributes", name) for name in attributes), ("dynamodb:Select", select))
    return Request("dynamodb:Scan", arn("dynamodb", of), asked)


def key(*names: str) -> set[Request]:
    return {Request(f"kms:{name}", arn("kms", f"key/{KEY}")) for name in names}


USES_KEY = key("Decrypt", "GenerateDataKey")
TABLE_KEY = key("Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")

TRACES = everywhere("xray:PutTraceSegments", "xray:PutTelemetryRecords")


def function(base: str, *job: Request | set[Request]) -> tuple[str, set[Request]]:
    """Return a function's role with its job, and what all functions do: logs of its own."""
    stream = arn("logs", f"log-group:/aws/lambda/{base}-prod:log-stream:s")
    logs = {Request(f"logs:{name}", stream) for name in ("CreateLogStream", "PutLogEvents")}
    return f"{base}-role", united(*job, logs)


def machine(base: str, *job: Request | set[Request]) -> tuple[str, set[Request]]:
    """Return a workflow's role with its job, and what all workflows do: log delivery, and traces."""
    delivery = everywhere(
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
    )
    return f"{base}-role", united(*job, delivery, TRACES)


def schedule(base: str, *job: Request | set[Request]) -> tuple[str, set[Request]]:
    return f"{base}-schedule-role", united(*job, sqs("SendMessage", "email-internal-dlq"), USES_KEY)


def invokes(*functions: str) -> set[Request]:
    return {invoke(name, version) for name in functions for version in ("", ":1")}


def united(*parts: Request | set[Request]) -> set[Request]:
    return set().union(*({part} if isinstance(part, Request) else part for part in parts))


CONFIGURATION_SET = "configuration-set/email-notifications-prod"

JOBS = dict(
    [
        function("email-validate"),
        function(
            "email-dedup", items("PutItem", *ANY_ITEM), items("UpdateItem", *ANY_ITEM), TABLE_KEY
        ),
        function("email-render"),
        function(
            "email-send",
            items("UpdateItem", *ANY_ITEM),
            TABLE_KEY,
            send("identity/shop.example"),
            # In the sandbox SES asks for the recipient's identity, too.
            send("identity/customer@example.com"),
            send(CONFIGURATION_SET),
            document("GetObject", "mails/2026/4711.pdf"),
        ),
        function(
            "email-record", items("PutItem", *ANY_ITEM), items("UpdateItem", *ANY_ITEM), TABLE_KEY
        ),
        function(
            "email-processor",
            {sqs(name, "email-order-queue") for name in ("ReceiveMessage", "DeleteMessage")},
            {sqs(name, "email-order-queue") for name in ("GetQueueAttributes", "GetQueueUrl")},
            sqs("ChangeMessageVisibility", "email-order-queue"),
            sqs("SendMessage", "email-order-dlq"),
            start("StartSyncExecution", "email-order-workflow"),
            items("GetItem", *OWN_ITEMS),
            items("UpdateItem", *OWN_ITEMS),
            everywhere("ses:GetAccount"),
            TABLE_KEY,
        ),
        function(
            "email-feedback",
            {sqs(name, "email-ses-events-queue") for name in ("ReceiveMessage", "DeleteMessage")},
            sqs("GetQueueAttributes", "email-ses-events-queue"),
            items("GetItem", *ANY_ITEM),
            items("UpdateItem", *ANY_ITEM),
            sqs("SendMessage", "email-internal-dlq"),
            TABLE_KEY,
        ),
        function(
            "email-overdue",
            items("UpdateItem", *ANY_ITEM),
            query("OverdueIndex"),
            sqs("SendMessage", "email-internal-dlq"),
            TABLE_KEY,
        ),
        function(
            "email-outcomes",
            {stream(name) for name in ("DescribeStream", "GetRecords", "GetShardIterator")},
            everywhere("dynamodb:ListStreams"),
            publish("email-outcomes"),
            sqs("SendMessage", "email-internal-dlq"),
            USES_KEY,
        ),
        function(
            "cost-monitoring",
            everywhere("ce:GetCostAndUsage", "cloudwatch:GetMetricStatistics", "ses:GetAccount"),
            items("PutItem", "cost", table=REPORTS),
            items("Query", "cost", table=REPORTS),
            TABLE_KEY,
        ),
        function(
            "email-bounce-rate",
            everywhere("cloudwatch:GetMetricStatistics", "ses:GetAccount"),
            items("PutItem", "cost", table=REPORTS),
            items("Query", "cost", table=REPORTS),
            TABLE_KEY,
        ),
        function(
            "email-reconciliation",
            everywhere("cloudwatch:GetMetricStatistics"),
            scan("notificationId", "orderId", "status", "timestamp"),
            items("PutItem", "cost", table=REPORTS),
            items("Query", "cost", table=REPORTS),
            TABLE_KEY,
        ),
        function(
            "email-rejections",
            everywhere("cloudwatch:GetMetricStatistics"),
            search("email-validate", "email-send"),
            items("PutItem", "cost", table=REPORTS),
            items("Query", "cost", table=REPORTS),
            publish("email-alerts"),
            sqs("SendMessage", "email-internal-dlq"),
            TABLE_KEY,
        ),
        function(
            "email-canary",
            publish("email-order-events"),
            publish("email-alerts"),
            items("GetItem", *ANY_ITEM),
            items("PutItem", "cost", table=REPORTS),
            items("Query", "cost", table=REPORTS),
            sqs("SendMessage", "email-internal-dlq"),
            TABLE_KEY,
        ),
        function(
            "email-pause",
            Request("ses:PutConfigurationSetSendingOptions", arn("ses", CONFIGURATION_SET)),
            items("PutItem", "cost", table=REPORTS),
            TABLE_KEY,
        ),
        machine(
            "email-order-workflow",
            invokes(
                *(f"email-{step}" for step in ("validate", "dedup", "render", "send", "record"))
            ),
        ),
        machine("cost-analysis", invokes("cost-monitoring"), publish("email-alerts"), USES_KEY),
        machine(
            "bounce-rate-check",
            invokes("email-bounce-rate", "email-pause"),
            publish("email-alerts"),
            USES_KEY,
        ),
        machine(
            "reconciliation", invokes("email-reconciliation"), publish("email-alerts"), USES_KEY
        ),
        schedule("email-overdue", invokes("email-overdue")),
        schedule("email-rejections", invokes("email-rejections")),
        schedule("email-canary", invokes("email-canary")),
        schedule("cost-analysis", start("StartExecution", "cost-analysis")),
        schedule("reconciliation", start("StartExecution", "reconciliation")),
        schedule("bounce-rate-check", start("StartExecution", "bounce-rate-check")),
    ]
)
"""What each role must be able to do."""

EVERY_JOB = united(*JOBS.values())


def elsewhere(request: Request) -> Request:
    """Return the same of something of another's with nearly our name."""
    names = ("-prod", "-prod-of-another"), (KEY, f"{KEY}-of-another")
    resource = request.resource
    for ours, theirs in names:
        resource = resource.replace(ours, theirs)
    return replace(request, resource=resource)


NOBODY = united(
    *(elsewhere(request) for request in EVERY_JOB if elsewhere(request) != request),
    items("DeleteItem", "a-record"),
    # What a rejected event's record keeps of an order.
    {replace(r, context=(*r.context, ATTRIBUTE)) for r in items("GetItem", "a-record")},
    items("BatchWriteItem", "a-record"),
    {Request(f"dynamodb:{name}", arn("dynamodb", TRACKING)) for name in ("Scan", "DeleteTable")},
    # An address, or all there is.
    scan("orderId", "customerEmail"),
    scan("event"),
    scan(select="ALL_ATTRIBUTES"),
    {scan("orderId", of=of) for of in (TRACKING, REPORTS, f"{TRACKING}/index/OverdueIndex")},
    query("OrderIdIndex"),
    items("GetItem", "a-record", table="table/some-other-table"),
    items("GetItem", "cost", table=REPORTS),
    sqs("PurgeQueue", "email-order-queue"),
    sqs("SendMessage", "email-order-queue"),
    sqs("SendMessage", "email-ses-events-queue"),
    sqs("ChangeMessageVisibility", "email-ses-events-queue"),
    sqs("ReceiveMessage", "email-order-dlq"),
    publish("email-ses-events"),
    start("StartExecution", "email-order-workflow"),
    start("StartExecution", "another"),
    invoke("email-processor"),
    send("identity/shop.example", sender="ceo@shop.example"),
    send(CONFIGURATION_SET, sender="ceo@shop.example"),
    send("identity/shop.example", action="SendRawEmail"),
    Request("ses:DeleteEmailIdentity", arn("ses", "identity/shop.example")),
    everywhere("ses:PutAccountSendingAttributes", "ses:PutSuppressedDestination"),
    key("CreateGrant", "ScheduleKeyDeletion", "PutKeyPolicy", "DisableKey"),
    Request("lambda:UpdateFunctionCode", arn("lambda", "function:email-send-prod")),
    search("email-record", "email-processor", "email-rejections"),
    Request("logs:DeleteLogGroup", arn("logs", "log-group:/aws/lambda/email-send-prod")),
    {
        Request("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        Request("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        document("GetObject", "another-prefix/4711.pdf"),
        document("GetObject", "mails-of-another/4711.pdf"),
        document("GetObject", "mails/4711.pdf", bucket="shop-documents-of-another"),
        document("PutObject", "mails/4711.pdf"),
        document("DeleteObject", "mails/4711.pdf"),
        document("GetObjectVersion", "mails/4711.pdf"),
        Request("s3:ListBucket", "arn:aws:s3:::shop-documents"),
        Request("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:a-b-c")),
    },
)
"""What no role may do."""


@pytest.fixture(scope="module")
def policies(deployments: dict[str, Deployment]) -> Policies:
    return Policies(deployments[WITH_ALL])


@pytest.fixture(scope="module")
def allowed(policies: Policies) -> dict[str, set[Request]]:
    return allowed_by(policies)


def allowed_by(policies: Policies) -> dict[str, set[Request]]:
    """Try every role on everything; return what is allowed by role."""
    requests = sorted(NOBODY | EVERY_JOB)
    asked = [
        (name, Asked(role, request))
        for name, role in policies.roles.items()
        for request in requests
    ]
    allowed: dict[str, set[Request]] = {name: set() for name in policies.roles}
    said = answers(policies, [one for _, one in asked])
    for (name, one), answer in zip(asked, said, strict=True):
        assert answer in (ALLOWED, *DENIED), answer
        if answer == ALLOWED:
            allowed[name].add(one.request)
    return allowed


def test_every_role_has_its_job_in_the_table(policies: Policies) -> None:
    assert set(policies.roles) == set(JOBS)


@pytest.mark.parametrize("role", JOBS)
def test_a_role_may_do_its_job_and_nothing_else(
    allowed: dict[str, set[Request]], role: str
) -> None:
    assert allowed[role] - JOBS[role] == set()
    assert JOBS[role] - allowed[role] == set()


@pytest.mark.parametrize("role", JOBS)
def test_the_table_has_each_action_that_a_role_is_granted(policies: Policies, role: str) -> None:
    job = {request.action for request in JOBS[role]}
    granted = actions(policies, policies.roles[role])
    assert [g for g in granted if not any(fnmatchcase(action, g) for action in job)] == []


def test_every_function_has_a_role_of_its_own(policies: Policies) -> None:
    for template in policies.deployment.templates.values():
        roles = [str(f["Role"]) for f in resources(template, "AWS::Lambda::Function").values()]
        assert len(roles) == len(set(roles))


def test_without_a_key_no_role_may_use_one(deployments: dict[str, Deployment]) -> None:
    without = Policies(deployments["prod"])
    granted = {action for role in without.roles.values() for action in actions(without, role)}
    assert [action for action in granted if action.startswith("kms:")] == []


def test_without_a_prefix_no_role_may_read_an_object(deployments: dict[str, Deployment]) -> None:
    without = Policies(deployments["prod"])
    granted = {action for role in without.roles.values() for action in actions(without, role)}
    assert [action for action in granted if action.startswith("s3:")] == []


def test_a_wildcard_is_noticed(policies: Policies) -> None:
    templates = copy.deepcopy(policies.deployment.templates)
    for policy in resources(templates["email-notifications-prod"], "AWS::IAM::Policy").values():
        if policy["PolicyName"].startswith("emailvalidaterole"):
            everything = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
            policy["PolicyDocument"]["Statement"].append(everything)
    broken = Policies(replace(policies.deployment, templates=templates))
    assert allowed_by(broken)["email-validate-role"] - JOBS["email-validate-role"]


# --- people ---------------------------------------------------------------------------------------


def asked_by(commands: permissions.Commands) -> set[Request]:
    """Return the requests of some of `order-mail`'s commands, on one resource of each kind."""
    return {
        Request(action, resource if resource == "*" else arn_of(resource))
        for needs in commands.values()
        for need in needs
        for action in need.actions
        for resource in need.on
        # Lines are written to a stream; without one the ARN is for MiniStack, which asks for the group.
        if "audit" not in resource or resource.endswith(":*")
    }


def arn_of(resource: str) -> str:
    service, _, name = resource.format(env="prod").partition(":")
    stream = f"{LOG_GROUP}-prod:*"
    return arn(service, name.replace(stream, f"{stream[:-1]}log-stream:s").replace("*", "anything"))


def allowed_to(policies: Policies, person: str, requests: set[Request]) -> set[Request]:
    """Return what a person may do whose role has the managed policy of their job."""
    role = f"arn:aws:iam::{ACCOUNT}:role/order-mail-{person}-prod-{REGION}"
    in_order = sorted(requests)
    said = answers(policies, [Asked(role, request) for request in in_order])
    return {request for request, answer in zip(in_order, said, strict=True) if answer == ALLOWED}


def test_a_person_may_do_what_their_commands_ask_and_nothing_else(policies: Policies) -> None:
    support, operator = asked_by(permissions.SUPPORT), asked_by(permissions.OPERATOR)
    assert support < operator
    theirs = operator | USES_KEY
    others = {elsewhere(request) for request in operator} - theirs
    forbidden = others | {
        *items("DeleteItem", "a-record"),
        Request("dynamodb:DeleteTable", arn("dynamodb", TRACKING)),
        publish("email-ses-events"),
        publish("email-outcomes"),
        publish("email-alerts"),
        sqs("PurgeQueue", "email-order-queue"),
        sqs("DeleteMessage", "email-order-queue"),
        send("identity/shop.example"),
        invoke("email-processor"),
        start("StartExecution", "email-order-workflow"),
        Request("logs:DeleteLogGroup", arn("logs", "log-group:/order-mail/audit-prod")),
        Request("logs:FilterLogEvents", arn("logs", "log-group:/aws/lambda/another-prod:*")),
        *everywhere("iam:PassRole", "ses:PutAccountSendingAttributes"),
        *key("ScheduleKeyDeletion", "PutKeyPolicy"),
    }
    assert allowed_to(policies, "support", theirs | forbidden) == support | USES_KEY
    assert allowed_to(policies, "operator", theirs | forbidden) == theirs


def test_a_policy_fits_what_iam_takes(policies: Policies) -> None:
    managed = [p for p in policies.documents if p.type == "AWS::IAM::ManagedPolicy"]
    assert len(managed) == 2
    for policy in managed:
        # "IAM and AWS STS quotas", IAM User Guide: characters of a managed policy, white space apart.
        assert len(json.dumps(policy.document, separators=(",", ":"))) <= 6144


# --- who may assume a role, publish, send a message, use the key ----------------------------------

OURS = ("aws:SourceAccount", ACCOUNT)
THEIRS = ("aws:SourceAccount", OTHER_ACCOUNT)
PLAIN = ("aws:SecureTransport", "false")


def source(arn: str) -> tuple[str, str]:
    return "aws:SourceArn", arn


ALARM = source(f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:email-send-failures-prod")
OTHER_ALARM = source(f"arn:aws:cloudwatch:{REGION}:{OTHER_ACCOUNT}:alarm:email-send-failures-prod")
SET = source(arn("ses", CONFIGURATION_SET))
OTHER_SET = source(arn("ses", "configuration-set/another"))


def log_group(account: str) -> tuple[str, str]:
    """Return what CloudWatch Logs says of the group that it encrypts."""
    group = f"arn:aws:logs:{REGION}:{account}:log-group:/aws/lambda/email-send-prod"
    return "kms:EncryptionContext:aws:logs:arn", group


def service_requests() -> Iterator[tuple[str, Request, bool]]:
    """Yield services, what they ask for, and whether they may."""
    for queue, topic in (
        ("email-order-queue", "email-order-events-prod"),
        ("email-order-dlq", "email-order-events-prod"),
        ("email-ses-events-queue", "email-ses-events-prod"),
        ("email-internal-dlq", "email-ses-events-prod"),
    ):
        to_queue = sqs("SendMessage", queue)
        ours = source(arn("sns", topic))
        yield "sns", replace(to_queue, context=(ours,)), True
        yield "sns", replace(to_queue, context=(ours, PLAIN)), False
        yield "sns", replace(to_queue, context=(source(arn("sns", "another")),)), False
        yield "sns", replace(sqs("ReceiveMessage", queue), context=(ours,)), False
        yield "events", replace(to_queue, context=(ours,)), False
    ses_topic = source(arn("sns", "email-ses-events-prod"))
    yield "sns", replace(sqs("SendMessage", "email-order-dlq"), context=(ses_topic,)), False
    yield "sns", replace(invoke("email-feedback"), context=(ses_topic,)), False
    alerts, ses_events = publish("email-alerts"), publish("email-ses-events")
    yield "cloudwatch", replace(alerts, context=(OURS, ALARM)), True
    yield "cloudwatch", replace(alerts, context=(OURS, ALARM, PLAIN)), False
    yield "cloudwatch", replace(alerts, context=(THEIRS, OTHER_ALARM)), False
    yield "events", replace(alerts, context=(OURS, ALARM)), False
    called = invoke("email-rejections")
    rejections = source(arn("cloudwatch", "alarm:email-rejections-prod"))
    another = source(arn("cloudwatch", "alarm:email-queue-age-prod"))
    yield "lambda.alarms.cloudwatch", replace(called, context=(OURS, rejections)), True
    yield "lambda.alarms.cloudwatch", replace(called, context=(OURS, another)), False
    yield "lambda.alarms.cloudwatch", replace(called, context=(THEIRS, rejections)), False
    yield "cloudwatch", replace(called, context=(OURS, rejections)), False
    yield "ses", replace(ses_events, context=(OURS, SET)), True
    yield "ses", replace(ses_events, context=(THEIRS, SET)), False
    yield "ses", replace(ses_events, context=(OURS, OTHER_SET)), False
    yield "ses", replace(publish("email-order-events"), context=(OURS, SET)), False
    for name, ours, theirs in (
        *((name, OURS, THEIRS) for name in ("sns", "ses", "cloudwatch")),
        (f"logs.{REGION}", log_group(ACCOUNT), log_group(OTHER_ACCOUNT)),
    ):
        for use in USES_KEY:
            yield name, replace(use, context=(ours,)), True
            yield name, replace(use, context=(theirs,)), False
        for abuse in key("ScheduleKeyDeletion", "PutKeyPolicy", "CreateGrant"):
            yield name, replace(abuse, context=(ours,)), False
    for use in USES_KEY:
        yield "events", replace(use, context=(OURS,)), False


def test_services_may_use_what_their_part_takes(policies: Policies) -> None:
    rows = list(service_requests())
    said = answers(policies, [Asked(f"{name}.amazonaws.com", request) for name, request, _ in rows])
    wrong = [
        (row, answer)
        for row, answer in zip(rows, said, strict=True)
        if answer not in ((ALLOWED,) if row[2] else DENIED)
    ]
    assert wrong == []


def test_a_role_is_assumed_by_its_service_alone(policies: Policies) -> None:
    services = ("lambda", "states", "scheduler", "ec2", "events")
    rows = [
        (name, service, Asked(f"{service}.amazonaws.com", Request("sts:AssumeRole", role, context)))
        for name, role in policies.roles.items()
        for context in [(OURS, source(assumed_for(name)))]
        for service in services
    ]
    said = answers(policies, [asked for *_, asked in rows])
    assert set(said) <= {ALLOWED, *DENIED}
    assert {
        (name, service)
        for (name, service, _), answer in zip(rows, said, strict=True)
        if answer == ALLOWED
    } == {(name, assumed_for(name).split(":")[2]) for name in policies.roles}


def assumed_for(role: str) -> str:
    """Return the ARN of the function, workflow or schedule that has a role."""
    base = role.removesuffix("-role")
    if base in MACHINES:
        return arn("states", f"stateMachine:{base}-prod")
    if base.endswith("-schedule"):
        return arn("scheduler", f"schedule/default/{base.removesuffix('-schedule')}-prod")
    return arn("lambda", f"function:{base}-prod")


MACHINES = ("email-order-workflow", "cost-analysis", "bounce-rate-check", "reconciliation")

SHOP = f"arn:aws:iam::{ACCOUNT}:role/shop"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (publish("email-order-events"), ALLOWED),
        (replace(publish("email-order-events"), context=(PLAIN,)), "ExplicitlyDenied"),
        (publish("email-alerts"), "ExplicitlyDenied"),
        (publish("email-ses-events"), "ExplicitlyDenied"),
        (sqs("ReceiveMessage", "email-order-dlq"), ALLOWED),
        (replace(sqs("ReceiveMessage", "email-order-dlq"), context=(PLAIN,)), "ExplicitlyDenied"),
    ],
)
def test_what_another_role_of_the_account_may_do_when_it_is_granted(
    policies: Policies, request_: Request, answer: str
) -> None:
    granted, not_granted = Asked(SHOP, request_, granted=True), Asked(SHOP, request_)
    first, second = answers(policies, [granted, not_granted])
    assert first == answer
    assert second in DENIED
