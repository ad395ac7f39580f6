"""The reconciliation, nightly: which mails are stuck, and an alert while there are any.

    Collect -> ScanTable (each segment: Scan) -> Unread? -> ScanTable again, or Report -> Stuck? -> ...

An inline Map, since eight segments are all there are: a call reads for minutes, so that even 900 million
records take a thousand events of the 25,000 that a history holds. The segments have the same number of
records, so hardly one is called in vain while another is read on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from steps.contract.report_tasks import Task

if TYPE_CHECKING:
    from statemachines.scheduled_report import ScheduledReport


def reconciliation(report: ScheduledReport) -> sfn.IChainable:
    """Chain the tasks of `steps.reconciliation`. The input is not read."""
    scan_table = _scan_table(report)
    reported = report.report().next(report.outcome("Stuck?", {}, otherwise="NothingStuck"))
    unread = sfn.Choice(report.scope, f"{report.name} Unread?", state_name="Unread?")
    unread.when(sfn.Condition.is_present("$.table.unread[0]"), scan_table).otherwise(reported)
    return report.collect().next(scan_table).next(unread)


def _scan_table(report: ScheduledReport) -> sfn.Map:
    """Read all segments on at once; `table` becomes `{segments, unread}`, how far each is and where some go on.

    A segment that fails is `{Error, Cause}`: the report says what it lacks.
    """
    scan_table = sfn.Map(
        report.scope,
        f"{report.name} ScanTable",
        state_name="ScanTable",
        items_path="$.table.segments",
        item_selector={
            "segment": sfn.JsonPath.number_at("$$.Map.Item.Index"),
            "previous": sfn.JsonPath.object_at("$.previous"),
            "scan": sfn.JsonPath.object_at("$$.Map.Item.Value"),
        },
        result_selector={
            "segments": sfn.JsonPath.object_at("$"),
            "unread": sfn.JsonPath.object_at("$[*].start"),
        },
        result_path="$.table",
    )
    scan = report.task("Scan", Task.SCAN)
    missing = sfn.Pass(report.scope, f"{report.name} SegmentMissing", state_name="SegmentMissing")
    scan.add_catch(missing, errors=["States.ALL"], result_path="$")
    scan_table.item_processor(scan)
    return report.alerting_failure(scan_table)
