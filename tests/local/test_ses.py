"""The laptop's SES over HTTP: boto3 in front, the emulator and the inbox behind."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from infra.local.loopback import LOOPBACK, fetch
from infra.local.programs import aws, inbox
from infra.local.running_stack import until
from infra.local.ses.core import Ses
from infra.local.ses.server import Server
from infra.local.ses.settings import SesSettings
from infra.local.ses.upstream import Upstream
from steps.aws import ses as ses_door
from tests.local.emulator import ACCOUNT, PATIENT, REGION, client, started
from tests.support.sample_mails import email
from tests.unit.aws.test_refusals import AS_SES_SAYS

ARN = f"arn:aws:ses:{REGION}:{ACCOUNT}"
KINDS = ["SEND", "DELIVERY", "DELIVERY_DELAY", "BOUNCE", "COMPLAINT", "REJECT"]


@dataclass
class Stack:
    """What the tests talk to; `sesv2` is root's client, `role` that of a role that may send."""

    ses: Ses
    url: str
    endpoint: str
    inbox: str
    sesv2: Any
    role: Any
    queue: str

    def control(self, name: str, method: str = "GET", body: Any = None) -> Any:
        return fetch(f"{self.url}/_laptop/{name}", body, method)

    def set(self, **settings: Any) -> None:
        self.control("settings", "PUT", settings)

    def send(self, to: str = "customer@example.com", by: Any = None, **changes: Any) -> str:
        asked: dict[str, Any] = {
            "FromEmailAddress": "Shop <orders@shop.example>",
            "Destination": {"ToAddresses": [to]},
            "ConfigurationSetName": "set",
            "EmailTags": [{"Name": "notificationId", "Value": "4f1d"}],
            "Content": {
                "Simple": {
                    "Subject": {"Data": "Grüße"},
                    "Body": {"Text": {"Data": "Grüße"}, "Html": {"Data": "<p>Grüße</p>"}},
                    "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                }
            },
        }
        return str((by or self.role).send_email(**asked | changes)["MessageId"])

    def message(self, message_id: str) -> dict[str, Any]:
        return next(m for m in self.control("messages") if m["messageId"] == message_id)

    def published(self, message_id: str, count: int) -> list[str]:
        """Wait until `count` events of a message are published; return their types, sorted."""
        types: list[str] = until(
            lambda: t if len(t := self.message(message_id)["published"]) >= count else None,
            what=f"{count} events, there are {self.message(message_id)['published']}",
        )
        return sorted(types)

    def received(self, message_id: str, count: int) -> list[dict[str, Any]]:
        """Wait until `count` events of a message came through SNS into the queue; return them."""
        sqs = client("sqs", self.endpoint)
        events: list[dict[str, Any]] = []

        def complete() -> bool:
            answer = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
            events.extend(e for e in bodies if e["mail"]["messageId"] == message_id)
            return len(events) >= count

        until(complete, what=f"{count} events")
        sqs.close()
        return events


def _role(endpoint: str) -> dict[str, str]:
    """Return the credentials of a role that may send as one address through one configuration set."""
    iam, sts = client("iam", endpoint), client("sts", endpoint)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    may = {
        "Effect": "Allow",
        "Action": "ses:SendEmail",
        "Resource": [f"{ARN}:identity/shop.example", f"{ARN}:configuration-set/set"],
        "Condition": {"StringEquals": {"ses:FromAddress": "orders@shop.example"}},
    }
    version = {"Version": "2012-10-17"}
    iam.create_role(
        RoleName="email-send", AssumeRolePolicyDocument=json.dumps(version | {"Statement": [trust]})
    )
    iam.put_role_policy(
        RoleName="email-send",
        PolicyName="send",
        PolicyDocument=json.dumps(version | {"Statement": [may]}),
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/email-send"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="email-send")["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


def _queue(endpoint: str) -> tuple[str, str]:
    """Make a topic, and a queue that gets what is published to it; return its ARN and its URL."""
    sns, sqs = client("sns", endpoint), client("sqs", endpoint)
    topic = sns.create_topic(Name="email-ses-events")["TopicArn"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
    policy = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    url = sqs.create_queue(
        QueueName="events",
        Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [policy]})},
    )["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    return topic, url


@pytest.fixture(scope="module")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started(tmp_path_factory.mktemp("ses") / "stack", aws, inbox) as plan:
        endpoint = plan.settings.aws_url
        upstream = Upstream(endpoint, account=ACCOUNT, region=REGION)
        ses = Ses(upstream, (LOOPBACK, plan.smtp_port), SesSettings())
        server = Server(0, ses)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://{LOOPBACK}:{server.server_port}"
        root = client("sesv2", url, PATIENT)
        root.create_email_identity(EmailIdentity="shop.example")
        root.create_configuration_set(ConfigurationSetName="set")
        topic, queue = _queue(endpoint)
        root.create_configuration_set_event_destination(
            ConfigurationSetName="set",
            EventDestinationName="events",
            EventDestination={
                "Enabled": True,
                "MatchingEventTypes": KINDS,
                "SnsDestination": {"TopicArn": topic},
            },
        )
        role = client("sesv2", url, **_role(endpoint))
        yield Stack(ses, url, endpoint, plan.settings.inbox_url, root, role, queue)
        root.close()
        role.close()
        server.shutdown()
        thread.join()
        server.server_close()
        ses.close()


@pytest.fixture
def stack(running_stack: Stack) -> Stack:
    running_stack.control("reset", "POST")
    running_stack.set(rate=1000)
    return running_stack


def refused(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Return the exception class, status and message that boto3 raises."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return type(caught.value).__name__, status, response["Error"]["Message"]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "name", "status"),
    [
        ({"paused": True}, "SendingPausedException", 400),
        ({"suspended": True}, "AccountSuspendedException", 400),
        ({"sandbox": True}, "MessageRejected", 400),
        ({"sender_verified": False}, "MessageRejected", 400),
        ({"mail_from_verified": False}, "MailFromDomainNotVerifiedException", 400),
        ({"daily_quota": 0}, "LimitExceededException", 400),
        ({"throttle": 1}, "TooManyRequestsException", 429),
    ],
)
def test_each_refusal_is_its_exception(
    stack: Stack, settings: dict[str, Any], name: str, status: int
) -> None:
    stack.set(**settings)
    assert refused(stack.send)[:2] == (name, status)
    assert stack.control("messages") == []


def test_each_refusal_in_ses_s_own_words_means_what_the_table_says(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ses_door, "sesv2", lambda: stack.role)
    door = ses_door.Ses(sender="orders@shop.example", configuration_set="set")
    for code, text, means in AS_SES_SAYS:
        stack.set(refusal=f"{code}: {text}")
        with pytest.raises(means):
            door.send(email("order.confirmed"), tags={})
    stack.set(refusal="")
    assert door.send(email("order.confirmed"), tags={})


@pytest.mark.parametrize("settings", [{"paused": True}, {"suspended": True}])
def test_a_paused_account_says_so_in_one_way_or_the_other(
    stack: Stack, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ses_door, "sesv2", lambda: stack.sesv2)
    stack.set(**settings)
    assert ses_door.sending_account().paused


def test_unknown_configuration_set_and_bad_request(stack: Stack) -> None:
    missing = refused(lambda: stack.send(by=stack.sesv2, ConfigurationSetName="other"))
    assert missing[:2] == ("NotFoundException", 404)
    bad = refused(lambda: stack.send(EmailTags=[{"Name": "to", "Value": "a@b.example"}]))
    assert bad[:2] == ("BadRequestException", 400)
    bulk = {
        "DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": "{}"}},
        "BulkEmailEntries": [{"Destination": {"ToAddresses": ["a@b.example"]}}],
    }
    assert refused(lambda: stack.sesv2.send_bulk_email(**bulk))[0] == "BadRequestException"


def test_a_paused_configuration_set_sends_nothing(stack: Stack) -> None:
    pause = stack.sesv2.put_configuration_set_sending_options
    pause(ConfigurationSetName="set", SendingEnabled=False)
    try:
        assert refused(stack.send)[0] == "SendingPausedException"
    finally:
        pause(ConfigurationSetName="set", SendingEnabled=True)
    stack.send()


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"FromEmailAddress": "other@shop.example"}, "identity/shop.example"),
        ({"ConfigurationSetName": "other"}, "configuration-set/other"),
        ({"FromEmailAddress": "orders@else.example"}, "identity/else.example"),
    ],
)
def test_iam_decides(stack: Stack, changes: dict[str, Any], resource: str) -> None:
    _, status, message = refused(lambda: stack.send(**changes))
    assert status == 403
    assert f"{ARN}:{resource} " in message
    assert "role/email-send" in message
    assert refused(stack.role.get_account)[1] == 403
    assert stack.control("stats")["denied"] == 1
    stack.send()


def test_a_wrong_signature_is_refused(stack: Stack) -> None:
    keys = _keys(stack.role)
    stranger = client("sesv2", stack.url, **keys | {"aws_secret_access_key": "wrong"})
    assert refused(lambda: stack.send(by=stranger))[1] == 403
    stranger.close()
    assert stack.control("messages") == []


def _keys(of: Any) -> dict[str, str]:
    keys = of._request_signer._credentials.get_frozen_credentials()
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
    }


# --- account --------------------------------------------------------------------------------------


def test_get_account_tells_quota_and_state(stack: Stack) -> None:
    stack.set(rate=7, daily_quota=100)
    stack.send()
    account = stack.sesv2.get_account()
    assert account["SendQuota"] == {
        "Max24HourSend": 100,
        "MaxSendRate": 7,
        "SentLast24Hours": 1,
    }
    assert account["ProductionAccessEnabled"]
    stack.sesv2.put_account_sending_attributes(SendingEnabled=False)
    assert not stack.sesv2.get_account()["SendingEnabled"]
    assert refused(stack.send)[0] == "SendingPausedException"


def test_a_hard_bounce_suppresses_until_it_is_lifted(stack: Stack) -> None:
    to = "gone@example.com"
    first = stack.send(to)
    stack.control("events", "POST", {"messageId": first, "eventType": "Bounce"})
    entry = stack.sesv2.get_suppressed_destination(EmailAddress=to)["SuppressedDestination"]
    assert (entry["Reason"], entry["Attributes"]["MessageId"]) == ("BOUNCE", first)
    assert stack.published(stack.send(to), 2) == ["Bounce", "Send"]
    stack.sesv2.delete_suppressed_destination(EmailAddress=to)
    assert stack.published(stack.send(to), 2) == ["Delivery", "Send"]
    gone = refused(lambda: stack.sesv2.delete_suppressed_destination(EmailAddress=to))
    assert gone[0] == "NotFoundException"


def test_an_entry_is_found_as_it_is_spelt_and_heeded_however_it_is(stack: Stack) -> None:
    ask = stack.sesv2.get_suppressed_destination
    stack.sesv2.put_suppressed_destination(EmailAddress="Jo@example.com", Reason="BOUNCE")
    assert refused(lambda: ask(EmailAddress="jo@example.com"))[0] == "NotFoundException"
    assert ask(EmailAddress="Jo@example.com")["SuppressedDestination"]["Reason"] == "BOUNCE"
    assert stack.published(stack.send("jo@example.com"), 2) == ["Bounce", "Send"]


def test_a_transient_bounce_and_an_account_that_wants_none_suppress_nothing(stack: Stack) -> None:
    detail = {"bounceType": "Transient", "bounceSubType": "MailboxFull"}
    event = {"messageId": stack.send(), "eventType": "Bounce"}
    made = stack.control("events", "POST", event | {"detail": detail})
    assert made["bounce"]["bounceSubType"] == "MailboxFull"
    stack.sesv2.put_account_suppression_attributes(SuppressedReasons=["COMPLAINT"])
    stack.control("events", "POST", event)
    assert stack.sesv2.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []
    stack.control("events", "POST", event | {"eventType": "Complaint"})
    listed = stack.sesv2.list_suppressed_destinations(Reasons=["COMPLAINT"])
    assert len(listed["SuppressedDestinationSummaries"]) == 1
    listed = stack.sesv2.list_suppressed_destinations(Reasons=["BOUNCE"])
    assert listed["SuppressedDestinationSummaries"] == []


def test_the_rate_throttles_what_exceeds_the_burst(stack: Stack) -> None:
    stack.set(rate=0.001)  # the burst of two passes, the next token comes in a quarter of an hour
    stack.send()
    stack.send()
    assert refused(stack.send)[:2] == ("TooManyRequestsException", 429)
    stats = stack.control("stats")
    assert (stats["accepted"], stats["throttled"]) == (2, 1)


def test_every_action_but_a_send_is_answered_once_a_second(stack: Stack) -> None:
    impatient = client("sesv2", stack.url)
    impatient.get_account()
    for action in (impatient.get_account, impatient.list_email_identities):
        assert refused(action)[:2] == ("TooManyRequestsException", 429)
    for _ in range(3):
        stack.send()
        stack.control("stats")
    stack.sesv2.get_account()
    impatient.close()
    stats = stack.control("stats")
    assert (stats["calls"], stats["throttled"]) == (3, 0), "of sends"


# --- mail and events ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "types"),
    [
        ("success", ["Send", "Delivery"]),
        ("bounce", ["Send", "Bounce"]),
        ("complaint", ["Send", "Delivery", "Complaint"]),
        ("ooto", ["Send", "Delivery", "Bounce"]),
        ("suppressionlist", ["Send", "Bounce"]),
    ],
)
def test_the_simulator(stack: Stack, box: str, types: list[str]) -> None:
    message_id = stack.send(f"{box}+label@simulator.amazonses.com")
    assert stack.published(message_id, len(types)) == sorted(types)
    assert stack.message(message_id)["outcome"] == types[-1]
    assert stack.sesv2.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []


def test_events_reach_the_topic_with_our_tags(stack: Stack) -> None:
    events = stack.received(stack.send(), 2)
    assert sorted(event["eventType"] for event in events) == ["Delivery", "Send"]
    for event in events:
        tags = event["mail"]["tags"]
        assert tags["notificationId"] == ["4f1d"]
        assert tags["ses:configuration-set"] == ["set"]
        assert event["mail"]["sourceArn"] == f"{ARN}:identity/shop.example"


def test_the_inbox_holds_the_real_mail_when_its_delivery_is_told(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = stack.ses._inbox.deliver

    def deliver_slowly(*mail: Any) -> None:
        time.sleep(0.3)  # longer than a delivery's event takes
        deliver(*mail)

    monkeypatch.setattr(stack.ses._inbox, "deliver", deliver_slowly)
    message_id = stack.send("inbox@example.com")
    bounced = stack.send("bounce@simulator.amazonses.com")
    until(lambda: "Delivery" in stack.message(message_id)["published"], every=0.001)
    mails = fetch(f"{stack.inbox}/api/email")
    (mail,) = [mail for mail in mails if message_id in json.dumps(mail)]
    stack.published(bounced, 2)
    assert bounced not in json.dumps(fetch(f"{stack.inbox}/api/email"))
    assert mail["subject"] == "Grüße"
    assert (mail["text"].strip(), "<p>Grüße</p>" in mail["html"]) == ("Grüße", True)
    assert mail["headers"]["auto-submitted"] == "auto-generated"
    assert mail["headers"]["message-id"] == f"<{message_id}@email.amazonses.com>"
    assert mail["envelope"]["from"]["address"] == f"{message_id}@amazonses.com"
    assert "4f1d" not in json.dumps(mail["headers"])


def test_a_lost_connection_to_the_inbox_is_made_anew(stack: Stack) -> None:
    sent = []
    for _ in range(3):
        sent.append(stack.send("lost-connection@example.com"))
        stack.published(sent[-1], 2)
        stack.ses._inbox.close()
    inbox = json.dumps(fetch(f"{stack.inbox}/api/email"))
    assert [message_id for message_id in sent if message_id not in inbox] == []


# --- faults ---------------------------------------------------------------------------------------


def test_errors_before_and_after_acceptance_look_alike(stack: Stack) -> None:
    stack.set(error_before=1)
    before = refused(stack.send)
    assert stack.control("messages") == []
    stack.set(error_before=0, error_after=1)
    assert refused(stack.send) == before
    assert before[1] == 500
    stats = stack.control("stats")
    counted = [stats[name] for name in ("calls", "accepted", "errors_before", "errors_after")]
    assert counted == [2, 1, 1, 1]
    [message] = stack.control("messages")
    assert not message["answered"]
    assert stack.published(message["messageId"], 2) == ["Delivery", "Send"]


def test_a_dropped_answer_leaves_a_sent_mail(stack: Stack) -> None:
    stack.set(drop_answer=1)
    with pytest.raises(ConnectionClosedError):
        stack.send()
    [message] = stack.control("messages")
    assert stack.published(message["messageId"], 2) == ["Delivery", "Send"]
    assert stack.control("stats")["answers_dropped"] == 1


def test_a_slow_answer_comes_late(stack: Stack) -> None:
    stack.set(slow=1, slow_seconds=0.3)
    start = time.monotonic()
    stack.send()
    assert time.monotonic() - start >= 0.3


def test_events_repeated_lost_and_late(stack: Stack) -> None:
    stack.set(events_repeated=1)
    assert stack.published(stack.send(), 4) == ["Delivery", "Delivery", "Send", "Send"]
    stack.set(events_repeated=0, events_lost=1)
    lost = stack.send()
    stack.set(events_lost=0, events_late_min=0.3, events_late_max=0.4, delay_delivery=1)
    start = time.monotonic()
    late = stack.send("late@example.com")
    until(lambda: stack.message(late)["published"], every=0.01)
    assert time.monotonic() - start >= 0.3
    assert stack.published(late, 3) == ["Delivery", "DeliveryDelay", "Send"]
    assert stack.message(lost)["published"] == []


def test_faults_depend_on_seed_and_mail_not_on_order(stack: Stack) -> None:
    def run(numbers: range | list[int]) -> set[int]:
        stack.control("reset", "POST")
        stack.set(rate=1000, throttle=0.5, seed=7)
        throttled = set()
        for number in numbers:
            try:
                stack.send(f"c{number}@example.com")
            except stack.role.exceptions.TooManyRequestsException:
                throttled.add(number)
        return throttled

    first = run(range(16))
    assert 0 < len(first) < 16
    assert run(list(reversed(range(16)))) == first


def test_get_account_can_be_throttled(stack: Stack) -> None:
    stack.set(throttle_account=1)
    once = client("sesv2", stack.url)  # the other one tries again
    assert refused(once.get_account)[:2] == ("TooManyRequestsException", 429)
    once.close()
    stack.set(throttle_account=0)
    assert stack.sesv2.get_account()["SendingEnabled"]
    assert stack.control("stats")["account_throttled"] == 1


def test_wrong_control_calls_say_what_is_right(stack: Stack) -> None:
    for name, method, body, word in [
        ("settings", "PUT", {"throttle": 2}, "throttle"),
        ("settings", "PUT", {"trottle": 1}, "trottle"),
        ("nothing", "GET", None, "PUT /_laptop/settings"),
        ("events", "POST", {"messageId": "x", "eventType": "Bounce"}, "No message x"),
        ("events", "POST", {}, "messageId"),
    ]:
        with pytest.raises(urllib.request.HTTPError) as caught:
            stack.control(name, method, body)
        with caught.value as answer:
            assert word in json.load(answer)["message"]


def test_the_page_is_served(stack: Stack) -> None:
    with urllib.request.urlopen(stack.url, timeout=30) as answer:  # noqa: S310 - loopback
        assert b"The laptop's SES" in answer.read()
