"""The figures themselves: what is decided, and what it comes to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from steps.contract import limits

DECIDED = {
    # Seconds that one call may take: what AWS answers in hundredths of a second, but for SES.
    "LEDGER_CONNECT_TIMEOUT": 1,
    "LEDGER_READ_TIMEOUT": 1,
    "LEDGER_ATTEMPTS": 2,
    "SES_CONNECT_TIMEOUT": 2,
    "SES_READ_TIMEOUT": 6,
    "S3_CONNECT_TIMEOUT": 1,
    "S3_READ_TIMEOUT": 3,
    "S3_ATTEMPTS": 3,
    "QUEUE_CONNECT_TIMEOUT": 1,
    "QUEUE_READ_TIMEOUT": 3,
    "QUEUE_ATTEMPTS": 2,
    "WORKFLOW_CONNECT_TIMEOUT": 2,
    "REPORT_CONNECT_TIMEOUT": 3,
    "REPORT_READ_TIMEOUT": 20,
    "REPORT_ATTEMPTS": 2,
    "SDK_BACKOFF": 1,
    # What a function does besides, and how long is waited for its report.
    "OWN_TIME": 4,
    "PURE_STEP_TIMEOUT": 12,
    "TASK_MARGIN": 3,
    "ALERT_TIMEOUT": 30,
    # How often something is tried, and after how long again.
    "CLAIM_WRITES": 3,
    "FOLD_ATTEMPTS": 3,
    "FEEDBACK_BATCH": 10,
    "FEEDBACK_BUDGET": 5,
    "FEEDBACK_WINDOW": 2,
    "SES_EVENT_RECEIVES": 3,
    "SES_EVENTS_OUTAGE": timedelta(hours=12),
    "STEP_RETRIES": 2,
    "STEP_RETRY_INTERVAL": 1,
    "STEP_RETRY_BACKOFF": 2,
    "SEND_RETRIES": 3,
    "SEND_RETRY_INTERVAL": 1,
    "SEND_RETRY_BACKOFF": 2,
    "REPORT_CALLS": 7,
    "REPORT_RETRIES": 2,
    "REPORT_RETRY_INTERVAL": 5,
    "REPORT_RETRY_BACKOFF": 3,
    "UNEXPECTED_MAX_ATTEMPTS": 5,
    "QUEUE_MAX_RECEIVES": 200,
    "DISPATCHER_BATCH": 10,
    "DISPATCHER_WINDOW_MAX": 5,
    "SENDING_WRITES": 2,
    "RECORD_WRITES": 2,
    "QUEUE_REDRIVE_RECEIVES": 300,
    "OVERDUE_PAGE": 100,
    "SCAN_SEGMENTS": 8,
    "SCAN_OLDEST": 10,
    # How long something waits, counts or is kept.
    "PACING_BURST": 0.5,
    "PACING_IDLE": timedelta(minutes=5),
    "PACING_COLD_START": 4,
    "PACING_REST": 2,
    "CLOCK_TOLERANCE": 3,
    "ACCOUNT_AT_REST": timedelta(hours=1),
    "ACCOUNT_TURN": 1,
    "ACCOUNT_POLL": (0.1, 0.4),
    "ACCOUNT_WAIT": 5,
    "OVERDUE_BUDGET": 60,
    "ATTACHMENTS_BUDGET": 6,
    "ATTACHMENT_PATIENCE": timedelta(minutes=15),
    "ATTACHMENT_RETRY_MAX": timedelta(minutes=2),
    "ATTACHMENT_RETRIES_FOR": timedelta(minutes=75),
    "LATE_NOTICE_AFTER": timedelta(minutes=15),
    "LATE_NOTICE_EVERY": timedelta(hours=1),
    "UNSETTLED_AFTER": timedelta(hours=1),
    "SILENT_AFTER": timedelta(hours=20),
    "SCAN_BUDGET": timedelta(minutes=4),
    "SCAN_DEADLINE": timedelta(hours=6),
    "PACING_BUDGET": 60,
    "ACCOUNT_CACHE": 60,
    "ACCOUNT_RETRY": 6,
    "IN_DOUBT_GRACE": timedelta(minutes=5),
    "IN_DOUBT_GRACE_MAX": timedelta(hours=12),
    "RETRY_DELAY_MIN": 5,
    "RETRY_DELAY_MAX": timedelta(minutes=30),
    "DAY": timedelta(days=1),
    "QUEUE_RETENTION": timedelta(days=14),
    "RECORD_TTL": timedelta(days=90),
    "REJECTED_EVENT_TTL": timedelta(days=14),
    "COST_REPORT_TTL": timedelta(days=400),
    "REPUTATION_REPORT_TTL": timedelta(days=90),
    "REJECTIONS_REPORT_TTL": timedelta(days=90),
    "CANARY_REPORT_TTL": timedelta(days=30),
    "RECONCILIATION_REPORT_TTL": timedelta(days=90),
    # Step Functions' quota, and the room of the execution's ARN in it.
    "STATE_MAX_BYTES": 262_144,
    "LATER_STEPS_BYTES": 16_384,
    # What an event may hold.
    "ITEMS_MAX": 1_000,
    "TEXT_MAX_LENGTH": 2_000,
    "ID_MAX_LENGTH": 128,
    "ADDRESS_MAX_LENGTH": 254,
    "LINK_MAX_LENGTH": 2_048,
    "LANGUAGE_TAG_MAX_LENGTH": 35,
    "MOMENT_MAX_LENGTH": 40,
    "FIRST_YEAR": 2000,
    "LAST_YEAR": 2099,
    "NESTING_MAX": 64,
    "CLOCK_SKEW": timedelta(minutes=15),
    "ZONES_AHEAD": timedelta(hours=14),
    "ATTACHMENTS_LISTED_MAX": 20,
    "ATTACHMENTS_MAX": 5,
    "ATTACHMENTS_MAX_BYTES": 7_000_000,
    "FILE_NAME_MAX_LENGTH": 255,
    "REASONS_MAX": 100,
    "REASON_MAX_LENGTH": 300,
    "REASONS_NAMED": 3,
    "REASON_NAMED_LENGTH": 100,
    "REJECTION_LINES": 1_000,
    "REJECTION_LOGS_BUDGET": 60,
    "KEPT_EVENT_BYTES": 65_536,
    "MAIL_PART_MAX_BYTES": 100_000,
    "TASK_ENVELOPE_BYTES": 512,
}
"""What is decided and not computed. Whoever changes a figure changes it here, too, on purpose."""


COMPUTED = {
    "LEDGER_CALL": 5,
    "SES_CALL": 8,
    "QUEUE_CALL": 9,
    "WORKFLOW_CALL": 129,
    "REPORT_CALL": 47,
    # Functions and machines.
    "DEDUP_TIMEOUT": 19,
    "SEND_TIMEOUT": 33,
    "RECORD_TIMEOUT": 14,
    "LAST_EVENT": 30,
    "FEEDBACK_TIMEOUT": 48,
    "SES_EVENTS_VISIBILITY": 290,
    "SES_EVENTS_REDRIVE_RECEIVES": 150,
    "OVERDUE_TIMEOUT": 74,
    "REPORT_FUNCTION_TIMEOUT": 333,
    "REPORT_TASK_TIMEOUT": 336,
    "REJECTIONS_TIMEOUT": 299,
    "CANARY_TIMEOUT": 202,
    "RECONCILIATION_TIMEOUT": 291,
    "RECONCILIATION_TASK_TIMEOUT": 294,
    "RECONCILIATION_MACHINE_TIMEOUT": 25_428,
    "REPORT_MACHINE_TIMEOUT": 3304,
    "MACHINE_TIMEOUT": 122,
    "WORKFLOW_READ_TIMEOUT": 127,
    "DISPATCHER_TIMEOUT": 235,
    # The claim and the queue.
    "CLAIM_LEASE": 137,
    "IN_DOUBT_GRACE_MIN": 138,
    "IN_DOUBT_GRACE_LOCAL_MIN": 36,
    "QUEUE_VISIBILITY": 1415,
    "MESSAGE_MAX_BYTES": 261_632,
    "ANSWER_MAX_BYTES": 245_248,
    "S3_KEY_MAX_BYTES": 1_024,
    "S3_URI_MAX_LENGTH": 1_093,
}
"""What the decided figures come to, in seconds but for the bytes: `test_limits.py` says why that is enough."""


@pytest.mark.parametrize(("name", "decided"), (DECIDED | COMPUTED).items())
def test_a_figure_stays(name: str, decided: object) -> None:
    seconds = decided.total_seconds() if isinstance(decided, timedelta) else decided
    assert getattr(limits, name) == seconds


def test_a_delay_doubles_from_the_first_receive_to_the_longest() -> None:
    delays = [limits.retry_delay(receives) for receives in range(1, 11)]
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800]
    assert {limits.retry_delay(receives) for receives in (11, 18, 200, 10_000)} == {1800}
    assert all(isinstance(delay, int) for delay in delays)


@pytest.mark.parametrize(
    "name",
    [
        *("CLAIM_LEASE", "RECORD_TTL", "QUEUE_RETENTION", "PACING_BUDGET", "PACING_IDLE"),
        *("CLOCK_TOLERANCE", "ACCOUNT_CACHE", "ACCOUNT_RETRY", "ACCOUNT_TURN"),
    ],
)
def test_what_the_table_keeps_is_whole(name: str) -> None:
    assert isinstance(getattr(limits, name), int), "the SDK refuses a float"
