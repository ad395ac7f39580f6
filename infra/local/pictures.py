"""Draws the dashboards from the local stack's metrics: `python -m infra.local.pictures FOLDER`.

It reads the deployed dashboards' own JSON, so what it draws is what CloudWatch would, roughly: lines,
thresholds, texts, alarms' states and log queries. Chromium turns the page into one PNG a dashboard.
"""

from __future__ import annotations

import html
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from playwright.sync_api import sync_playwright

from infra.local.settings import Settings
from infra.local.stack import load

COLUMN, ROW = 50, 46
"""Pixels of a dashboard's grid: 24 columns."""

COLORS = ("#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf")
PERIOD = 60
"""Seconds: a local run takes minutes, so five-minute points would be one."""

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]

Series = dict[datetime, float]


class Drawing:
    """One dashboard's widgets as HTML, for the time since `start`."""

    def __init__(self, settings: Settings, start: datetime) -> None:
        def client(service: Any) -> Any:
            return boto3.client(service, **settings.client)

        self._cloudwatch, self._logs = client("cloudwatch"), client("logs")
        self._start, self._end = start, datetime.now(UTC)

    def page(self, name: str) -> str:
        """Return the dashboard as a page."""
        body = json.loads(self._cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
        widgets = "".join(self._widget(w) for w in body["widgets"])
        height = max(w["y"] + w["height"] for w in body["widgets"]) * ROW + 50
        return (
            "<!doctype html><meta charset=utf-8><style>body{margin:0;background:#f2f3f3;font:13px sans-serif}"
            "h1{font-size:16px;margin:12px}h2{font-size:13px;margin:0 0 4px}"
            "div.w{position:absolute;background:#fff;border:1px solid #d5dbdb;box-sizing:border-box;"
            "padding:8px;overflow:hidden}td{padding:1px 12px 1px 0}</style>"
            f"<h1>{html.escape(name)}</h1>"
            f"<div style='position:relative;width:{24 * COLUMN}px;height:{height}px'>{widgets}</div>"
        )

    def _widget(self, widget: dict[str, Any]) -> str:
        properties = widget["properties"]
        draw = {
            "text": self._text,
            "alarm": self._alarms,
            "log": self._query,
            "metric": self._graph,
        }[widget["type"]]
        size = (widget["width"] * COLUMN - 6, widget["height"] * ROW - 6)
        title = html.escape(properties.get("title", ""))
        return (
            f"<div class=w style='left:{widget['x'] * COLUMN + 6}px;top:{widget['y'] * ROW}px;"
            f"width:{size[0]}px;height:{size[1]}px'><h2>{title}</h2>{draw(properties, *size)}</div>"
        )

    def _text(self, properties: dict[str, Any], _width: int, _height: int) -> str:
        parts = html.escape(properties["markdown"]).split("**")
        return "".join(f"<b>{p}</b>" if i % 2 else p for i, p in enumerate(parts))

    def _alarms(self, properties: dict[str, Any], _width: int, _height: int) -> str:
        names = [arn.rsplit(":", 1)[1] for arn in properties["alarms"]]
        found = self._cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        color = {"ALARM": "#d13212", "OK": "#1d8102"}
        return "".join(
            f"<span style='display:inline-block;width:190px;margin:2px'>"
            f"<b style='color:{color.get(a['StateValue'], '#687078')}'>●</b> {a['AlarmName']}</span>"
            for a in sorted(found, key=lambda a: str(a["AlarmName"]))
        )

    def _query(self, properties: dict[str, Any], _width: int, _height: int) -> str:
        """Do what our queries do, on JSON lines, which the emulator's own queries do not read."""
        source, query = properties["query"].split("|", 1)
        lines = self._logs.filter_log_events(
            logGroupName=source.strip().removeprefix("SOURCE '").removesuffix("'"),
            startTime=int(self._start.timestamp() * 1000),
        )["events"]
        wanted = re.findall(r'message = "(.*?)"', query)[0]
        found = [json.loads(e["message"]) for e in lines if f'"message":"{wanted}"' in e["message"]]
        if latest := re.search(r"stats latest\((\w+)\) by (\w+)", query):
            value, by = latest.groups()
            fields, rows = (
                [by, value],
                [*{line[by]: [line[by], line[value]] for line in found}.values()],
            )
        else:
            fields = re.findall(r"fields (.*)", query)[0].split(", ")
            rows = [[line[field] for field in fields] for line in reversed(found)][:10]
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>"
            for row in [fields, *rows]
        )
        return f"<table>{cells}</table>"

    def _graph(self, properties: dict[str, Any], width: int, height: int) -> str:
        drawn = self._lines(properties["metrics"])
        lines = [(label, series) for label, series, own in drawn if not own]
        marks = properties.get("annotations", {}).get("horizontal", [])
        top = max(
            [*(v for _, s in lines for v in s.values()), *(float(m["value"]) for m in marks)],
            default=0,
        )
        top = top or 1.0
        right = max((v for _, s, own in drawn if own for v in s.values()), default=0) or 1.0
        span = max((self._end - self._start).total_seconds(), 1)
        left, inner_width, inner_height = 52, width - 122, height - 78

        def y(value: float) -> float:
            return 6 + inner_height * (1 - value / (top * 1.1))

        parts = [f"<svg width={width - 20} height={inner_height + 12}>"]
        parts += [
            f"<line x1={left} x2={left + inner_width} y1={y(top * share):.0f} y2={y(top * share):.0f} "
            f"stroke='#eaeded'/><text x=0 y={y(top * share) + 4:.0f} font-size=11>{top * share:.3g}</text>"
            for share in (0, 0.5, 1)
        ]
        parts += [
            f"<line x1={left} x2={left + inner_width} y1={y(float(mark['value'])):.0f} "
            f"y2={y(float(mark['value'])):.0f} stroke='{mark['color']}' stroke-dasharray=4 />"
            f"<text x={left + 4} y={y(float(mark['value'])) - 3:.0f} font-size=11 "
            f"fill='{mark['color']}'>{html.escape(mark['label'])} {mark['value']}</text>"
            for mark in marks
        ]
        legend = []
        if any(own for _, _, own in drawn):
            parts += [
                f"<text x={left + inner_width + 4} y={y(top * share) + 4:.0f} font-size=11>"
                f"{right * share:.3g}</text>"
                for share in (0, 0.5, 1)
            ]
        for (label, series, own), color in zip(drawn, COLORS * 3, strict=False):
            scale = top / right if own else 1
            places = [
                (left + inner_width * (at - self._start).total_seconds() / span, y(value * scale))
                for at, value in sorted(series.items())
            ]
            path = " ".join(f"{px:.0f},{py:.0f}" for px, py in places)
            parts.append(f"<polyline points='{path}' fill=none stroke='{color}' stroke-width=2 />")
            parts += [
                f"<circle cx={px:.0f} cy={py:.0f} r=2.5 fill='{color}'/>" for px, py in places
            ]
            legend.append(f"<span style='color:{color}'>■</span> {html.escape(label)} &nbsp;")
        return "".join([*parts, "</svg><br>", *legend])

    def _lines(self, rows: list[list[Any]]) -> list[tuple[str, Series, bool]]:
        """Read the metrics, then evaluate the expressions over them; say which have the right axis."""
        named: dict[str, Series] = {}
        shown: list[tuple[str, Series, bool]] = []
        expressions = []
        for row in rows:
            options = row[-1] if isinstance(row[-1], dict) else {}
            if "expression" in options:
                expressions.append(options)
                continue
            series = self._metric([part for part in row if isinstance(part, str)], options)
            if "id" in options:
                named[options["id"]] = series
            if options.get("visible", True):
                shown.append(
                    (options.get("label", row[1]), series, options.get("yAxis") == "right")
                )
        for options in expressions:
            used = {name: s for name, s in named.items() if name in options["expression"].split()}
            common = set.intersection(*(set(s) for s in used.values())) if used else set()
            values: Series = {}
            for at in common:
                try:
                    values[at] = float(
                        eval(  # noqa: S307 - our own dashboard's arithmetic
                            options["expression"],
                            {"__builtins__": {}},
                            {n: s[at] for n, s in used.items()},
                        )
                    )
                except ZeroDivisionError:
                    continue
            shown.append((options.get("label", ""), values, False))
        return shown

    def _metric(self, names: list[str], options: dict[str, Any]) -> Series:
        namespace, name, *rest = names
        statistic = options.get("stat", "Average")
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": namespace,
                            "MetricName": name,
                            "Dimensions": [
                                {"Name": n, "Value": v}
                                for n, v in zip(rest[::2], rest[1::2], strict=True)
                            ],
                        },
                        "Period": PERIOD,
                        "Stat": statistic,
                    },
                }
            ],
            StartTime=self._start,
            EndTime=self._end + timedelta(minutes=1),
        )["MetricDataResults"][0]
        return dict(zip(answer["Timestamps"], answer["Values"], strict=True))


def main() -> int:
    """Write `FOLDER/<dashboard>.png` for the last 15 minutes of the running stack."""
    folder = Path(sys.argv[1])
    plan = load(Settings.read())
    if plan is None:
        print("no local stack runs; `make up` starts one", file=sys.stderr)
        return 1
    drawing = Drawing(plan.settings, datetime.now(UTC) - timedelta(minutes=15))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 24 * COLUMN + 12, "height": 400})
        for name in ("email-notifications", "email-costs"):
            page.set_content(drawing.page(f"{name}-{plan.settings.environment_suffix}"))
            page.screenshot(path=folder / f"{name}.png", full_page=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
