"""`order-mail find`: what became of an order's mails, in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.find import Moment, Story, find, hidden
from infra.operator.letters import ORDERS, taken, unseen
from infra.operator.story import shown_time
from infra.operator.trail import FEEDBACK_LOG as FEEDBACK
from infra.operator.trail import WORKFLOW_LOG
from steps.contract.order_id import UNKNOWN_ORDER, shown
from steps.ledger import rules
from steps.ledger.status import Status
from tests.operator.environment import MESSAGE, keep, put

if TYPE_CHECKING:
    from infra.operator.find import Finding
    from steps.ledger.rules import Record
    from tests.operator.environment import Environment

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
"""When the notification was claimed."""

JO = "Jo@example.com"

SEND, RECORD, DEDUP, VALIDATE, PROCESSOR = (
    f"/aws/lambda/email-{name}" for name in ("send", "record", "dedup", "validate", "processor")
)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def moment(seconds: float) -> str:
    return rules.iso(after(seconds).timestamp())


def a_record(status: Status, owner: str = "owner", **more: Any) -> Record:
    order_id = more.get("orderId", "ORDER1")
    return {
        "notificationId": rules.notification_id(order_id, "order.confirmed", JO),
        "orderId": order_id,
        "customerEmail": JO,
        "eventType": "order.confirmed",
        "status": status,
        "timestamp": moment(2),
        "owner": owner,
        "sequence": round(AT.timestamp() * 1000) + 3,
        "leaseUntil": round(AT.timestamp()) + 60,
        "ttl": round(AT.timestamp()) + 1000,
    } | more


def sent(status: Status, *events: str, **more: Any) -> Record:
    accepted: dict[str, Any] = {
        "sendingAt": round(after(1).timestamp()),
        "messageId": "0100-m",
        "events": {f"{event}|{moment(3)}#a" for event in events},
    }
    return a_record(status, **(accepted | more))


def only(finding: Finding) -> Story:
    (story,) = finding.stories
    return story


def happened(moments: list[Moment]) -> list[tuple[str, str, str]]:
    return [(m.at, m.what, m.detail) for m in moments]


def attempted(moments: list[Moment]) -> list[str]:
    return [m.what for m in moments if m.what.startswith("Attempt")]


def test_a_delivered_mail_and_its_timeline(environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    published = round(after(-1).timestamp())
    keep(sent(Status.DELIVERED, "Send", "Delivery", owner=arn, publishedAt=published))
    said = {"execution_id": arn, "order_id": "ORDER1"}
    environment.log(WORKFLOW_LOG, after(-0.5), execution_arn=arn, type="ExecutionStarted")
    environment.log(SEND, after(2), message="accepted", message_id="0100-m", **said)
    finding = find(environment.deployment, "ORDER1")
    story = only(finding)
    assert story.words == "Delivered"
    assert story.announced == "Order confirmed"
    assert story.reason == "The recipient's server took the mail."
    assert happened(story.timeline) == [
        (moment(-1), "Published: the event is on the order queue", ""),
        (moment(0), "Taken up: the notification was claimed", ""),
        (moment(1), "Handed to SES", ""),
        (moment(2), "Sent: SES accepted the mail", ""),
        (moment(2), "Attempt: sent", "ORDER1-1a2b3c4d-1"),
        (moment(3), "SES: sending", ""),
        (moment(3), "SES: delivered", ""),
    ]
    shown = f"{arn}?startDate={round(after(-0.5).timestamp() * 1000)}"
    console = "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1"
    assert [m.link for m in story.timeline if m.link] == [
        f"{console}#/express-executions/details/{shown}"
    ]
    assert (finding.notes, finding.unasked, finding.elsewhere) == ([], [], [])
    assert not finding.is_empty


@pytest.mark.parametrize("which", ["notification", "execution", "arn"])
def test_every_name_of_an_order_finds_it(which: str, environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    record = sent(Status.DELIVERED, "Delivery", owner=arn)
    keep(record)
    terms = {
        "notification": record["notificationId"],
        "execution": "ORDER1-1a2b3c4d-1",
        "arn": arn,
    }
    assert only(find(environment.deployment, terms[which])).order_id == "ORDER1"


def test_the_mail_of_an_execution_is_found_by_what_logs_say_of_it(environment: Environment) -> None:
    arn = environment.execution(shown(JO))
    record = sent(Status.DELIVERED, "Delivery", owner=arn, orderId=JO)
    keep(record)
    said = {"execution_id": arn, "order_id": shown(JO), "notification_id": record["notificationId"]}
    environment.log(SEND, after(2), message="accepted", message_id="0100-m", **said)
    for term in (JO, arn, shown(JO)):
        assert only(find(environment.deployment, term)).order_id == JO


# --- by SES's message id --------------------------------------------------------------------------


def mail_id(at: datetime) -> str:
    """Return a message id as SES made it at that time."""
    return f"010e{round(at.timestamp() * 1000):012x}-5b3f2d14-8c07-4a0e-9d43-6f1f0c2b7a55-000000"


@pytest.mark.parametrize(
    ("log", "words", "id_", "logged"),
    [
        (SEND, "accepted", mail_id(after(2)), after(2.1)),
        (FEEDBACK, "a second mail went out", mail_id(after(2)), after(3_600)),
        # What SES never promised: the time is not in it, or is another one.
        (SEND, "accepted", "5b3f2d14-8c07-4a0e-9d43-6f1f0c2b7a55-message", after(2)),
        (SEND, "accepted", mail_id(after(-5 * 86_400)), after(2)),
        (SEND, "accepted", "ffff" * 4 + mail_id(AT)[16:], after(-13 * 86_400)),
    ],
    # Not by the ids, whose times differ from one process to the next.
    ids=["sent", "second", "of-no-time", "of-another-time", "of-a-time-to-come"],
)
def test_a_message_id_finds_the_order_by_what_was_logged_when_ses_took_the_mail(
    log: str, words: str, id_: str, logged: datetime, environment: Environment
) -> None:
    record = sent(Status.DELIVERED, "Delivery", orderId=JO, messageId=id_)
    keep(record)
    said = {"order_id": shown(JO), "notification_id": record["notificationId"]}
    environment.log(log, logged, message=words, message_id=id_, **said)
    assert only(find(environment.deployment, id_)).order_id == JO
    assert find(environment.deployment, mail_id(after(9))).stories == []


def test_a_line_of_before_has_the_order_alone(environment: Environment) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    id_ = mail_id(after(2))
    environment.log(SEND, after(2), message="accepted", message_id=id_, order_id="ORDER1")
    assert only(find(environment.deployment, id_)).order_id == "ORDER1"


def test_who_cannot_read_the_logs_is_told_so_where_a_message_id_finds_nothing(
    environment: Environment,
) -> None:
    group = environment.deployment.name(FEEDBACK)
    environment.deployment.client("logs").delete_log_group(logGroupName=group)
    finding = find(environment.deployment, mail_id(after(2)))
    assert finding.notes == [f"There is no log {group}."]


def test_the_workflows_own_log_tells_the_end_of_an_execution(environment: Environment) -> None:
    deferred, done = (environment.execution("A.1", receives) for receives in (1, 2))
    keep(sent(Status.SENT, "Send", orderId="A.1", owner=done))
    cause = json.dumps({"Error": "SendThrottled", "Cause": "{}"})
    history = [
        (deferred, 1, "ExecutionStarted", {}),
        (deferred, 2, "FailStateEntered", {"name": "Deferred"}),
        (deferred, 2, "ExecutionFailed", {"error": "Deferred", "cause": cause}),
        (done, 9, "ExecutionStarted", {}),
        (done, 10, "SucceedStateEntered", {"name": "Sent"}),
        (done, 10, "ExecutionSucceeded", {}),
        (environment.execution("A-1-2"), 9, "ExecutionStarted", {}),  # another order
    ]
    for arn, at, type_, details in history:
        environment.log(WORKFLOW_LOG, after(at), execution_arn=arn, type=type_, details=details)
    attempts = [m for m in only(find(environment.deployment, "A.1")).timeline if m.link]
    throttled = "SendThrottled: There are more mails than SES lets us send in a second."
    assert happened(attempts) == [
        (moment(2), "Attempt: put off", f"A-1-1a2b3c4d-1. {throttled}"),
        (moment(10), "Attempt: sent", "A-1-1a2b3c4d-2"),
    ]


def test_a_receipt_that_was_not_recorded_is_no_end_of_the_order(environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    keep(a_record(Status.SENDING, owner=arn, sendingAt=round(after(1).timestamp())))
    said = {"execution_id": arn, "order_id": "ORDER1"}
    environment.log(SEND, after(2), message="accepted", message_id="0100-m", **said)
    environment.log(RECORD, after(3), message="step failed", error="LedgerUnavailable", **said)
    assert attempted(only(find(environment.deployment, "ORDER1")).timeline) == ["Attempt: put off"]


def test_an_attempt_that_the_workflow_did_not_log_has_no_link_and_a_note_says_why(
    environment: Environment,
) -> None:
    done, failed = (environment.execution("ORDER1", receives) for receives in (2, 1))
    keep(sent(Status.DELIVERED, "Delivery", owner=done))
    cause = {"error": "Deferred", "cause": json.dumps({"Error": "SendThrottled"})}
    environment.log(
        WORKFLOW_LOG, after(1), execution_arn=failed, type="ExecutionFailed", details=cause
    )
    assert find(environment.deployment, "ORDER1").notes == []
    environment.log(SEND, after(2), message="accepted", execution_id=done, order_id="ORDER1")
    finding = find(environment.deployment, "ORDER1")
    timeline = only(finding).timeline
    assert attempted(timeline) == ["Attempt: put off", "Attempt: sent"]
    assert [m.what for m in timeline if m.link] == ["Attempt: put off"]
    (note,) = finding.notes
    assert "WORKFLOW_LOG_LEVEL" in note


def test_why_a_mail_has_links_in_place_of_its_attachments(environment: Environment) -> None:
    keep(sent(Status.DELIVERED, "Delivery", attachmentsLinked="NotFound"))
    story = only(find(environment.deployment, "ORDER1"))
    assert story.details["links in place of attachments"] == "NotFound"
    keep(sent(Status.DELIVERED, "Delivery"))
    story = only(find(environment.deployment, "ORDER1"))
    assert "links in place of attachments" not in story.details


def test_an_address_on_the_suppression_list(environment: Environment) -> None:
    reason = "Permanent/OnAccountSuppressionList"
    keep(sent(Status.BOUNCED, f"Bounce|{reason}", reason=reason))
    since = datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC)
    environment.ses.listed["jo@example.com"] = {"Reason": "COMPLAINT", "LastUpdateTime": since}
    story = only(find(environment.deployment, "ORDER1"))
    assert story.words == "Came back"
    assert story.reason == (
        "SES did not try: the address is on the account's suppression list since 2026-11-02, "
        "because of a complaint."
    )
    environment.ses.listed.clear()
    assert only(find(environment.deployment, "ORDER1")).reason == (
        "SES did not try: the address was on the account's suppression list then. It is not on it now."
    )


def test_a_rejected_event_says_which_fields_and_quotes_nothing(environment: Environment) -> None:
    reasons = [
        "orderItems[0].price: must be an amount",
        "customerEmail: is not an address: there is a character that is none: @",
    ]
    id_ = rules.rejected_id("message")
    keep(a_record(Status.REJECTED, notificationId=id_, reasons=reasons, event="{}"))
    story = only(find(environment.deployment, id_))
    assert story.reason == (
        "Nothing was sent. The order event is not valid. orderItems[].price: must be an amount; "
        "customerEmail: is not an address."
    )
    assert story.timeline[0].what == "The event was rejected"


def test_a_rejected_event_that_names_no_order_is_found_by_its_text(
    environment: Environment,
) -> None:
    for event in ('{"id": "ORDER7"}', '{"id": "ORDER77"}', '{"id": "XORDER7"}'):
        keep(
            a_record(
                Status.REJECTED,
                notificationId=rules.rejected_id(event),
                orderId=UNKNOWN_ORDER,
                reasons=["orderId: is required"],
                event=event,
            )
        )
    story = only(find(environment.deployment, "ORDER7"))
    assert story.notification_id == rules.rejected_id('{"id": "ORDER7"}')
    assert find(environment.deployment, "ORDER8").is_empty


def test_what_waits_on_the_queue_is_known_from_the_dispatchers_log(
    environment: Environment,
) -> None:
    environment.ses.sends = False
    for seconds, delay in ((0, 5), (60, 1800)):
        said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "SendingPaused"}
        environment.log(PROCESSOR, after(seconds), message="later", delay=delay, **said)
    finding = find(environment.deployment, "ORDER1")
    assert finding.sending.paused
    (sighting,) = finding.elsewhere
    assert sighting.place == "order queue"
    since, until = shown_time(AT), shown_time(after(1860))
    assert sighting.what == f"It waits on the order queue since {since}: Sending is paused."
    assert sighting.next_step == (
        "Nothing: it goes out when the pause is lifted (order-mail lift). "
        f"The next try is at {until}."
    )
    environment.ses.sends, environment.ses.enabled = True, False
    assert find(environment.deployment, "ORDER1").elsewhere == [sighting]
    environment.ses.enabled = True
    (sighting,) = find(environment.deployment, "ORDER1").elsewhere
    assert sighting.what == f"It waits on the order queue since {since}: sending was paused."
    assert sighting.next_step == (
        f"Nothing: the pause is lifted, and it goes out by itself. The next try is at {until}."
    )


def test_an_order_whose_dead_letter_was_taken_away_is_told_of(environment: Environment) -> None:
    said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "MessageTooLarge"}
    environment.log(PROCESSOR, AT, message="dead letter", **said)
    finding = find(environment.deployment, "ORDER1")
    assert not finding.is_empty
    (sighting,) = finding.elsewhere
    assert (sighting.place, sighting.at) == ("log of the dispatcher", moment(0))
    assert sighting.what == (
        "The order was given up: The order event is larger than the workflow takes. Its letter is not among "
        "the dead letters any more."
    )
    body = json.dumps({"orderId": "ORDER1"})
    put(environment.deployment, "email-order-dlq", body, reason="MessageTooLarge")
    (sighting,) = find(environment.deployment, "ORDER1").elsewhere
    assert sighting.place == "dead letters (email-order-dlq)"
    assert sighting.next_step.startswith("It would be too large again: have the shop publish a")


def test_a_letter_that_another_command_has_is_not_called_gone(environment: Environment) -> None:
    said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "MessageTooLarge"}
    environment.log(PROCESSOR, AT, message="dead letter", **said)
    put(environment.deployment, ORDERS, json.dumps({"orderId": "ORDER1"}))
    with taken(environment.deployment, ORDERS) as held:
        assert len(list(held)) == 1
        finding = find(environment.deployment, "ORDER1")
    assert finding.is_empty
    assert finding.unasked == [unseen(ORDERS, 1)]


def test_an_order_that_was_sent_through_again_is_on_the_queue_and_not_gone(
    environment: Environment,
) -> None:
    said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "UnexpectedError"}
    environment.log(PROCESSOR, AT, message="dead letter", **said)
    put(environment.deployment, "email-order-queue", json.dumps({"orderId": "ORDER1"}))
    (sighting,) = find(environment.deployment, "ORDER1").elsewhere
    assert sighting.place == "order queue"


def test_what_happened_before_the_claim_is_on_the_timeline(environment: Environment) -> None:
    keep(a_record(Status.CLAIMED, publishedAt=round(after(-3 * 86400).timestamp())))
    for seconds, paused in ((-7200, True), (-60, False)):
        report = {"date": moment(seconds), "paused": paused, "by": "jo", "why": "drill"}
        environment.deployment.reports.keep("pause", report, 2**31)
    said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "QuotaExceeded", "delay": 60}
    environment.log(PROCESSOR, after(-3 * 86400 + 1), message="later", **said)
    story = only(find(environment.deployment, "ORDER1"))
    assert [m.what for m in story.timeline] == [
        "Published: the event is on the order queue",
        "Put back on the queue",
        "Sending was paused",
        "The pause was lifted",
        "Taken up: the notification was claimed",
    ]


def test_a_claim_that_was_taken_over_was_published_again(environment: Environment) -> None:
    keep(a_record(Status.CLAIMED, publishedAt=round(after(86400).timestamp())))
    assert [m.what for m in only(find(environment.deployment, "ORDER1")).timeline] == [
        "Taken up: the notification was claimed",
        "Published again: the event is on the order queue",
    ]


def test_what_a_function_said_comes_before_the_end_of_its_execution(
    environment: Environment,
) -> None:
    arn = environment.execution("ORDER1")
    keep(sent(Status.DELIVERED, "Delivery", owner=arn))
    said = {"execution_id": arn, "order_id": "ORDER1"}
    doubt = "in doubt: no event of SES's came, sending again"
    environment.log(DEDUP, after(1.1), message=doubt, **said)
    environment.log(SEND, after(1.6), message="accepted", message_id="0100-m", **said)
    timeline = [m.what for m in only(find(environment.deployment, "ORDER1")).timeline]
    assert timeline[2:4] == ["Sent again: SES never told of the first try", "Attempt: sent"]


@pytest.mark.parametrize("status", [Status.REJECTED, Status.FAILED])
def test_a_resend_that_failed_sent_nothing_again(status: Status, environment: Environment) -> None:
    first = sent(Status.UNDELIVERED, "Bounce|Transient/General")
    keep(first)
    keep(a_record(status, notificationId="f" * 40, resendOf=first["notificationId"]))
    stories = find(environment.deployment, "ORDER1").stories
    (old,) = (s for s in stories if s.notification_id == first["notificationId"])
    assert "order-mail resend" in old.next_step


def test_a_mail_that_was_sent_again_asks_for_no_third_one(environment: Environment) -> None:
    first = sent(Status.COMPLAINED, "Complaint|OnAccountSuppressionList")
    again = {"notificationId": "f" * 40, "resendOf": first["notificationId"]}
    later = {"sequence": round(after(60).timestamp() * 1000)}
    keep(first)
    keep(sent(Status.DELIVERED, "Delivery") | again | later)
    new, old = find(environment.deployment, "ORDER1").stories
    assert new.words == "Delivered"
    assert old.next_step == (
        f"Nothing here: the mail was sent again at {shown_time(after(60))} (delivered)."
    )


def test_what_ses_held_back_was_not_reported_by_anybody(environment: Environment) -> None:
    keep(sent(Status.COMPLAINED, "Complaint|OnAccountSuppressionList"))
    story = only(find(environment.deployment, "ORDER1"))
    assert story.timeline[-1].what == "SES: held back"


def test_an_address_is_no_term_and_it_is_said_what_takes_one(environment: Environment) -> None:
    (note,) = find(environment.deployment, JO).notes
    assert "order-mail erase --address ADDRESS --dry-run" in note


def test_a_claim_whose_message_waits_says_so_itself(environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    keep(a_record(Status.CLAIMED, owner=arn))
    said = {"order_id": "ORDER1", "message_id": MESSAGE, "reason": "SenderNotReady"}
    environment.log(PROCESSOR, after(2), message="later", delay=5, **said)
    finding = find(environment.deployment, "ORDER1")
    story = only(finding)
    assert story.words == "Waiting"
    assert "SES does not accept the shop's sender address" in story.reason
    assert finding.elsewhere == []


def test_a_message_that_nobody_has_taken_is_seen_on_the_queue(environment: Environment) -> None:
    put(environment.deployment, "email-order-queue", json.dumps({"orderId": "ORDER1"}))
    put(environment.deployment, "email-order-queue", json.dumps({"orderId": "ORDER2"}))
    finding = find(environment.deployment, "ORDER1")
    assert [sighting.place for sighting in finding.elsewhere] == ["order queue"]
    (note,) = finding.notes
    assert note == (
        "2 of about 2 messages on the order queue were looked at; a look counts as one of a message's "
        "200 receives."
    )


def test_what_nobody_can_look_at_is_told_where_nothing_is_found(environment: Environment) -> None:
    put(environment.deployment, "email-order-queue", json.dumps({"orderId": "ORDER1"}))
    deployment = environment.deployment
    deployment.client("sqs").receive_message(
        QueueUrl=deployment.queue_url("email-order-queue"), VisibilityTimeout=600
    )
    finding = find(deployment, "ORDER1")
    assert finding.is_empty
    (note,) = finding.notes
    assert note.startswith("About 1 messages on the order queue are in work or put off")
    keep(a_record(Status.DELIVERED))
    assert find(deployment, "ORDER1").notes == []


def test_a_dead_letter_is_found_by_its_order(environment: Environment) -> None:
    body = json.dumps({"orderId": "ORDER1", "customerEmail": JO})
    put(environment.deployment, "email-order-dlq", body, reason="MessageTooLarge")
    put(
        environment.deployment,
        "email-order-dlq",
        '{"orderId": 5, "note": "ORDER1 of Jo@example.com"}',
    )
    put(environment.deployment, "email-order-dlq", json.dumps({"orderId": "ORDER11"}))
    finding = hidden(find(environment.deployment, "ORDER1"))
    assert sorted(sighting.what for sighting in finding.elsewhere) == [
        "The order was given up: SQS moved it after too many tries.",
        "The order was given up: The order event is larger than the workflow takes.",
    ]
    assert JO not in repr(finding)


def test_executions_of_an_order_of_two_notifications_are_told_apart_by_their_message(
    environment: Environment,
) -> None:
    messages = (MESSAGE, "2" * 36, "3" * 36)
    first, second, third = (environment.execution("ORDER1", message=m) for m in messages)
    shipped = rules.notification_id("ORDER1", "order.shipped", JO, {"shipmentId": "P1"})
    keep(sent(Status.DELIVERED, "Delivery", owner=first))
    keep(
        sent(
            Status.DELIVERED,
            *("Delivery",),
            owner=second,
            notificationId=shipped,
            eventType="order.shipped",
            part={"shipmentId": "P1"},
        )
    )
    for arn in (first, second):
        environment.log(SEND, after(2), message="accepted", execution_id=arn)
    environment.log(DEDUP, after(9), message="duplicate", status="SENT", execution_id=third)
    finding = find(environment.deployment, shipped)
    assert sorted(story.announced for story in finding.stories) == [
        "Order confirmed",
        "Order shipped, shipment P1",
    ]
    assert [attempted(story.timeline) for story in finding.stories] == [
        ["Attempt: sent"],
        ["Attempt: sent"],
    ]
    assert [m.what for m in finding.other_attempts] == ["Attempt: a duplicate, nothing to do"]


def test_pauses_of_its_time_are_on_the_timeline(environment: Environment) -> None:
    keep(a_record(Status.CLAIMED))
    for seconds, paused in ((-60, True), (60, True), (90, False)):
        report = {"date": moment(seconds), "paused": paused, "by": "jo", "why": "drill"}
        environment.deployment.reports.keep("pause", report, 2**31)
    told = happened(only(find(environment.deployment, "ORDER1")).timeline)
    assert [(at, what) for at, what, _ in told if "pause" in what] == [
        (moment(60), "Sending was paused"),
        (moment(90), "The pause was lifted"),
    ]


def test_what_is_not_known_is_not_found(environment: Environment) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    finding = find(environment.deployment, "ORDER")
    assert finding.is_empty
    assert (finding.notes, finding.unasked) == ([], [])


def test_a_log_that_is_missing_is_a_note(environment: Environment) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    group = environment.deployment.name(SEND)
    environment.deployment.client("logs").delete_log_group(logGroupName=group)
    finding = find(environment.deployment, "ORDER1")
    assert finding.notes == [f"There is no log {group}."]
    assert finding.unasked == []


def test_nothing_hidden_has_an_address(environment: Environment) -> None:
    record = sent(Status.DELIVERED, "Delivery", orderId=JO, owner=environment.execution("x"))
    keep(record)
    finding = find(environment.deployment, JO)
    assert only(finding).recipient == JO
    told = hidden(finding)
    assert "example.com" not in repr(told)
    assert (told.term, only(told).order_id) == (shown(JO), shown(JO))


def test_what_was_erased_says_so_and_advises_nobody_to_send_it_again(
    environment: Environment,
) -> None:
    record = sent(Status.DELIVERED, "Delivery", orderId=JO)
    keep(record)
    environment.deployment.ledger.write(rules.erased(record, AT.timestamp()))
    story = only(find(environment.deployment, JO))
    assert story.reason == (
        "The recipient's server took the mail. The customer's data was erased since."
    )
    assert story.next_step == "Nothing: no mail of it is sent again."
