"""The shapes and names of the scheduled reports' workflows: their sources, their tasks, their alert."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NotRequired, TypedDict, final


class CostSource(StrEnum):
    """What the cost analysis asks: our own counters, SES, the last report, Cost Explorer."""

    MAILS = "mails"
    ACCOUNT = "account"
    PREVIOUS = "previous"
    COSTS = "costs"


class ReputationSource(StrEnum):
    """What the bounce-rate check asks: our own counters, SES and CloudWatch, the last report."""

    MAILS = "mails"
    ACCOUNT = "account"
    PREVIOUS = "previous"


class ReconciliationSource(StrEnum):
    """What the reconciliation begins with: our own counters and SES's, the last report, all segments unread."""

    MAILS = "mails"
    PREVIOUS = "previous"
    TABLE = "table"


class Verdict(StrEnum):
    """The bounce-rate check's, from the least severe on."""

    TOO_FEW = "TOO FEW"
    OK = "OK"
    WARN = "WARN"
    CRITICAL = "CRITICAL"


class Unfinished(StrEnum):
    """How a record is stuck: nobody knows whether SES has the mail, or SES says nothing of it any more."""

    UNSETTLED = "unsettled"
    SILENT = "silent"


class Task(StrEnum):
    """What a workflow asks of a function. `check` is `collect` and `report` in one."""

    CHECK = "check"
    COLLECT = "collect"
    SCAN = "scan"
    REPORT = "report"
    KEEP = "keep"
    PAUSE = "pause"


class TaskEvent(TypedDict, total=False):
    """`task` and when the execution began (ISO 8601); `state` for the tasks that need what came before.

    `retries`: how often the task has been tried before.
    """

    task: str
    now: str
    execution: str
    retries: int
    state: dict[str, Any]


@final
class Gap(TypedDict):
    """What stands in the place of a source that did not answer: the error's name, and a sentence."""

    Error: str
    Cause: str


@final
class Previous(TypedDict):
    """The last report that was kept, `{}` before the first."""

    report: dict[str, Any]


class Alert(TypedDict):
    """A message to the operators: `subject` is one line of at most 100 ASCII characters (SNS, Publish)."""

    subject: str
    message: str


class ReportBase(TypedDict):
    """What the workflow needs to know of a report: its sort key, and the alert where there is one."""

    date: str
    gaps: list[str]
    alert: NotRequired[Alert]
