"""What is made of a counted run: batches, time, logs, traces, storage, and the table for a fixed run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.local.costs import count, model, tables
from infra.local.costs.model import Month, Settings, cost, month_cost, total
from infra.local.costs.workflow_log import LOG_EVENT_OVERHEAD, line, log_bytes
from infra.local.settings import ROOT
from steps.contract import limits
from steps.reports import list_prices

GOLDEN = ROOT / "tests" / "golden" / "costs.table"
MILLION = 30_000_000
UNITS = list_prices.prices()["units"]

STEP = {"invocations": "1", "ms": "10", "cpuMs": "2", "logBytes": "500"}
RUN: dict[str, Any] = {
    "functions": {
        **dict.fromkeys(("validate", "dedup", "render", "send", "record"), STEP),
        "processor": STEP | {"ms": "100", "cpuMs": "4"},
        "feedback": {"invocations": "2", "ms": "40", "cpuMs": "8", "logBytes": "500"},
        "outcomes": {"invocations": "2", "ms": "20", "cpuMs": "6", "logBytes": "0"},
    },
    "writeUnits": {"processor": {"table": "1"}, "record": {"table": "2", "OrderIdIndex": "1"}},
    "readUnits": {"feedback": {"table": "2"}},
    "workflow": {"executions": "1", "ms": "80", "logBytesALL": "9000", "logBytesERROR": "0"},
    "sesEvents": "2",
    "stored": {"table": 400, "OrderIdIndex": 100},
}
START = {"invocations": "1", "ms": "400", "cpuMs": "300"}
FIXED: dict[str, Any] = {
    "date": "2026-01-01",
    "machine": {"cpu": "one that is named", "cores": 2, "python": "Python 3"},
    "deployed": {"memory": {model.OTHERS: 256}, "workflow_log_level": "ALL", "tracing_rate": 0.5},
    "alone": RUN,
    "together": RUN,
    "start": dict.fromkeys([*RUN["functions"], "canary"], START),
    "canary": STEP | {"writeUnits": "1", "readUnits": "2"},
    "modelled": list_prices.usage()["modelled"],
}
"""A run of round figures."""
PLAIN = Settings.deployed(FIXED)


def month(mails: int = 60_000, **changes: Any) -> Month:
    return Month(mails, replace(PLAIN, **changes), FIXED)


def amount(of: Month, unit: str, row: str = "") -> float:
    return sum(x.amount for x in of.lines() if x.unit == unit and (not row or x.row == row))


# --- every line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mails", model.VOLUMES.values())
def test_every_line_says_how_it_was_found_and_has_a_price(mails: int) -> None:
    for found in Month(mails).lines():
        assert found.how in tables.HOWS
        assert len(found.words) > 4
        assert found.unit == "mails" or found.unit in UNITS
        assert found.amount >= 0
    assert all(row.rsplit("| ", 1)[1].strip(" |") for row in tables.markdown().splitlines()[2:-4])


def test_every_price_is_used_and_says_of_what_whose_and_from_where() -> None:
    used = {
        found.unit
        for provisioned in (False, True)
        for found in Month(MILLION, replace(Settings.deployed(), provisioned=provisioned)).lines()
    }
    assert used - {"mails"} == set(UNITS)
    sources = list_prices.prices()["sources"]
    assert {unit["source"] for unit in UNITS.values()} | {"ses"} == set(sources)
    for unit in UNITS.values():
        assert unit["unit"]
        assert unit["service"]
        assert {"price", "tiers"} & set(unit)
        assert sources[unit["source"]].startswith("https://aws.amazon.com/")


def test_what_lambda_estimates_by_is_this_model_s() -> None:
    assert list_prices.usage()["perMail"] == model.per_mail(list_prices.usage())


@given(mails=st.integers(1, 10**9), more=st.integers(1, 10**9))
def test_more_mails_cost_more(mails: int, more: int) -> None:
    assert month_cost(mails + more) > month_cost(mails)


@pytest.mark.parametrize("mails", [1, 60_000, MILLION])
def test_what_a_mail_is_estimated_at_is_never_too_little(mails: int) -> None:
    of_mails = total(cost(Month(mails).of_mails())) - total(cost(Month(0).of_mails()))
    estimate = total(list_prices.overhead(mails)) + list_prices.ses_price(mails, "NONE")
    assert estimate > of_mails * Decimal("0.99")


@given(mails=st.integers(0, 10**9))
@example(60_000)
def test_free_tiers_lower_a_price_and_never_below_zero(mails: int) -> None:
    full = cost(Month(mails).lines())
    free = cost(Month(mails).lines(), free_tiers=True)
    assert all(0 <= free[row] <= full[row] for row in full)


def test_sixty_thousand_mails_cost_less_than_promised() -> None:
    assert (
        "costs less than seven dollars\na month at 60,000 mails" in (ROOT / "README.md").read_text()
    )
    assert month_cost(60_000, free_tiers=True) < 7


def test_always_free_is_what_aws_gives_for_ever() -> None:
    """By AWS's price lists; GetMetricData is not among CloudWatch's free requests."""
    free = {name: unit["alwaysFree"] for name, unit in UNITS.items() if "alwaysFree" in unit}
    assert free == {
        "lambdaRequests": "1000000",
        "lambdaGbSeconds": "400000",
        "standardTransitions": "4000",
        "storedGbMonths": "25",
        "snsPublishes": "1000000",
        "sqsRequests": "1000000",
        "logGb": "5",
        "metrics": "10",
        "alarms": "10",
        "dashboards": "3",
        "xrayTraces": "100000",
        "schedulerInvocations": "14000000",
        "kmsRequests": "20000",
        "cloudWatchRequests": "1000000",
    }


# --- the model ------------------------------------------------------------------------------------


def test_mails_that_are_far_apart_are_alone() -> None:
    few = month(60_000)
    assert few.dispatcher_batch == 1
    assert few.invocations("feedback") == pytest.approx(2, rel=0.02)
    assert few.invocations("outcomes") == pytest.approx(2, rel=0.02)


def test_a_batch_has_what_one_of_five_pollers_gets_in_the_window() -> None:
    many = month(MILLION, dispatcher_window=1)
    assert many.dispatcher_batch == pytest.approx(1 + 11.57 / 5, rel=0.001)
    assert many.feedback_batch == limits.FEEDBACK_BATCH, "1 + 2 x 11.6 x 2 / 5 would be more"
    assert month(MILLION, concurrency=20, dispatcher_window=1).dispatcher_batch == pytest.approx(
        1 + 11.57 / 20, rel=0.001
    )
    assert month(100 * MILLION).dispatcher_batch == limits.DISPATCHER_BATCH


def test_without_a_window_only_what_waits_for_a_dispatcher_makes_a_batch() -> None:
    assert month(MILLION).dispatcher_batch == 1
    busy = month(10 * MILLION)
    # 100 ms as counted; 4 ms of its own CPU time and 10 ms of the steps' take 6.9 times as long.
    seconds = (100 + 14 * (1769 / 256 - 1)) / 1000
    assert busy.dispatcher_batch == pytest.approx(115.74 * seconds / 5, rel=0.001)


def test_a_function_s_cpu_time_is_as_long_as_its_share_of_a_processor_is_small() -> None:
    assert month().billed_ms("render") == pytest.approx(8 + 2 * 1769 / 256)
    assert month(memory={model.OTHERS: 1769}).billed_ms("render") == pytest.approx(10)
    assert month(memory={model.OTHERS: 3000}).billed_ms("render") == pytest.approx(10)
    some = month(memory={model.OTHERS: 256, "render": 1769})
    assert (some.billed_ms("render"), some.gb_seconds("render")) == (10, 10 * 1769 / 1024 / 1000)
    waits = month().waiting_ms("processor")
    assert waits == pytest.approx(96 + 5 * 2 * (1769 / 256 - 1)), "for the longer execution"


def test_a_batch_saves_no_cpu_time_and_more_invocations_take_more() -> None:
    assert month(100 * MILLION).cpu_ms("outcomes") == month(60_000).cpu_ms("outcomes") == 6
    once = RUN["functions"] | {"outcomes": RUN["functions"]["outcomes"] | {"invocations": "1"}}
    usage = FIXED | {"alone": RUN | {"functions": once}}
    assert Month(60_000, PLAIN, usage).cpu_ms("outcomes") == pytest.approx(12, rel=0.02)


def test_x_ray_keeps_the_share_of_mails_that_the_dispatcher_decides_for() -> None:
    assert amount(month(), "xrayTraces", "X-Ray") == 30_000
    assert amount(month(MILLION, tracing_rate=0), "xrayTraces", "X-Ray") == 0


def test_polls_stay_open_on_queues_whose_functions_are_limited() -> None:
    assert model.idle_polls(5, None) == 7
    assert model.idle_polls(5, 2) == 10
    assert amount(month(idle_polls=5), "sqsRequests", "SQS: idle polling") == 648_000


def test_a_dispatcher_reserves_where_it_began_another_mail_a_moment_ago() -> None:
    assert month(60_000).reserving() == pytest.approx(0.0033, rel=0.01)
    assert month(MILLION).reserving() == pytest.approx(1 - math.exp(-0.5))
    at_rest, many = (
        amount(month(m, canary_minutes=0), "writeUnits") / m for m in (60_000, MILLION)
    )
    assert many - at_rest == pytest.approx(0.39, abs=0.05)


def test_a_record_is_stored_for_its_life_and_recovered_without_its_indexes() -> None:
    months = 60_000 * 92 / 30 / 1e9
    assert amount(month(), "storedGbMonths", "DynamoDB: storage, recovery") == pytest.approx(
        700 * months
    )
    assert amount(month(), "recoveryGbMonths", "DynamoDB: storage, recovery") == pytest.approx(
        500 * months
    )


def test_a_log_is_kept_compressed_for_three_months() -> None:
    functions = 60_000 * (6 + month().invocations("feedback") / 2) * 500 / 1e9
    logged = functions + 60_000 * 9000 / 1e9
    rows = {"row": "CloudWatch: logs"}
    assert amount(month(), "logGb", **rows) == pytest.approx(logged)
    assert amount(month(), "logGbMonths", **rows) == pytest.approx(logged * 0.15 * 3)
    quiet = month(workflow_log_level="ERROR")
    assert amount(quiet, "logGb", **rows) == pytest.approx(functions)


def test_what_a_dispatcher_writes_is_written_once_a_batch() -> None:
    assert month(60_000).units("writeUnits") == {"table": 3, "OrderIdIndex": 1}
    assert month(100 * MILLION).units("writeUnits")["table"] == pytest.approx(2.1)


def test_each_setting_changes_what_it_is_for() -> None:
    def change(mails: int, **changes: Any) -> Decimal:
        def all_of(of: Month) -> Decimal:
            return total(cost(of.lines()))

        return all_of(month(mails, **changes)) - all_of(month(mails))

    for mails in (60_000, MILLION):
        assert change(mails, workflow_log_level="ERROR") < 0
        assert change(mails, tracing_rate=0) < 0
        assert change(mails, outcome_events=False) < 0
        assert change(mails, canary_minutes=0) < 0
        assert change(mails, memory={model.OTHERS: 512}) > 0
        assert change(mails, slower_ms=100) > 0
    assert change(MILLION, dispatcher_window=1) < 0
    assert change(MILLION, provisioned=True) < 0


def test_provisioned_capacity_is_used_to_seventy_percent() -> None:
    plain, paper = (
        month(MILLION, canary_minutes=0),
        month(MILLION, canary_minutes=0, provisioned=True),
    )
    hours = amount(plain, "writeUnits") / 3600 / 0.7
    assert amount(paper, "writeCapacityHours") == pytest.approx(hours)
    assert amount(month(1, provisioned=True), "writeCapacityHours") == 2 * 720
    assert amount(paper, "writeUnits") == 0


# --- the table ------------------------------------------------------------------------------------


def test_the_table_of_a_fixed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the model shows here, whatever was counted; `python -m tests.local.test_costs` writes it."""
    monkeypatch.setattr(list_prices, "usage", lambda: FIXED)
    assert tables.markdown() == GOLDEN.read_text().rstrip("\n")


# --- what is counted ------------------------------------------------------------------------------


def test_a_workflow_s_line_is_as_aws_writes_it() -> None:
    """After a line that AWS wrote of a Lambda task, in a public discussion, with today's `redrive_count`."""
    event = {
        "id": 4,
        "type": "TaskStarted",
        "previousEventId": 3,
        "timestamp": datetime.fromtimestamp(1668385713.883, UTC),
        "taskStartedEventDetails": {"resource": "invoke", "resourceType": "lambda"},
    }
    arn = "arn:aws:states:us-east-1:123456789012:express:orders:1:2"
    assert json.loads(line(event, arn)) == {
        "id": "4",
        "type": "TaskStarted",
        "details": {"resource": "invoke", "resourceType": "lambda"},
        "redrive_count": "0",
        "previous_event_id": "3",
        "event_timestamp": "1668385713883",
        "execution_arn": arn,
    }
    assert ", " not in line(event, arn)


def test_a_workflow_s_log_has_no_data_and_at_error_only_what_failed() -> None:
    when = datetime.fromtimestamp(0, UTC)
    plain = {"id": 1, "type": "ExecutionStarted", "timestamp": when}
    data = {"input": "x" * 1000, "inputDetails": {"truncated": False}}
    started = plain | {"executionStartedEventDetails": data}
    failed = {"id": 2, "type": "ExecutionFailed", "timestamp": when}
    arn = "arn:aws:states:us-east-1:123456789012:execution:orders:1"
    both, bare = log_bytes([started, failed], arn), log_bytes([plain, failed], arn)
    assert both == bare
    express = arn.replace("execution:orders", "express:orders") + f":{'0' * 36}"
    assert log_bytes([failed], arn) == len(line(failed, express)) + LOG_EVENT_OVERHEAD
    assert log_bytes([started, failed], arn, level="ERROR") == log_bytes([failed], arn)
    assert log_bytes([failed], arn, level="OFF") == 0


def test_a_difference_of_readings_has_what_has_grown() -> None:
    before = {"send": {"table": 2.0}, "record": {"table": 1.0}}
    now = {"send": {"table": 5.0, "OrderIdIndex": 1.0}, "record": {"table": 1.0}}
    assert count.difference(now, before) == {"send": {"table": 3.0, "OrderIdIndex": 1.0}}


if __name__ == "__main__":
    list_prices.usage = lambda: FIXED  # type: ignore[assignment]
    Path(GOLDEN).write_text(tables.markdown() + "\n")
