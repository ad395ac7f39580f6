"""The reconciliation, nightly: which mails are stuck, and an alert while there are any.

    Collect -> Segments -> ScanTable (each segment: Scan -> Read? -> Scan again, or Scanned) -> Report -> ...

An inline Map, since eight segments are all there are: a call reads for minutes, so that even 900 million
records take two thousand events of the 25,000 that a history holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from steps.contract import limits
from steps.contract.report_tasks import ReconciliationSource, Task

if TYPE_CHECKING:
    from statemachines.scheduled_report import ScheduledReport


def reconciliation(report: ScheduledReport) -> sfn.IChainable:
    """Chain the tasks of `steps.reconciliation`. The input is not read."""
    return report.chain(ReconciliationSource, work=_scan_table(report))


def _scan_table(report: ScheduledReport) -> sfn.Chain:
    """Read all segments of the tracking table at once; `segments` becomes what each has, or what it lacks."""
    segments = sfn.Pass(
        report.scope,
        f"{report.name} Segments",
        state_name="Segments",
        result=sfn.Result.from_array(list(range(limits.SCAN_SEGMENTS))),
        result_path="$.segments",
    )
    scan_table = sfn.Map(
        report.scope,
        f"{report.name} ScanTable",
        state_name="ScanTable",
        items_path="$.segments",
        item_selector={
            "segment": sfn.JsonPath.number_at("$$.Map.Item.Value"),
            "previous": sfn.JsonPath.object_at("$.previous"),
        },
        result_path="$.segments",
    )
    scan_table.item_processor(_scan_segment(report))
    return segments.next(scan_table)


def _scan_segment(report: ScheduledReport) -> sfn.IChainable:
    scan = report.task("Scan", Task.SCAN, result_path="$.scan")
    report.or_gap(scan, "Segment")
    scanned = sfn.Pass(
        report.scope,
        f"{report.name} Scanned",
        state_name="Scanned",
        output_path="$.scan.found",
    )
    return scan.next(
        sfn.Choice(report.scope, f"{report.name} Read?", state_name="Read?", comment="To its end?")
        .when(sfn.Condition.is_present("$.scan.start"), scan)
        .otherwise(scanned)
    )
