"""Reputation: do too many mails bounce, or do too many people complain? Pure.

A rate is judged by the lower end of its one-sided 95% confidence interval, so that chance in a small
sample raises no alarm: three bounces in twenty mails show a rate of 4.7% or more, not 15%. The
interval is Wilson's with continuity correction, method 4 in R. G. Newcombe, "Two-sided confidence
intervals for the single proportion", Statistics in Medicine 17 (1998), 857-872.

Thresholds: SES reviews an account at 5% bounces or 0.1% complaints and may pause it at 10% or 0.5%
(Amazon SES Developer Guide, "Sender review process FAQs").
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, final

from steps.cost import why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.cost import Message, Missing, Previous

TOO_FEW, OK, WARN, CRITICAL = "TOO FEW", "OK", "WARN", "CRITICAL"
_SEVERITY = (TOO_FEW, OK, WARN, CRITICAL)

THRESHOLDS = {"bounce": (0.05, 0.10), "complaint": (0.001, 0.005)}
"""From which rate on it is WARN, and CRITICAL."""

MIN_SENT = 30
"""Fewer mails in a window say nothing."""

MIN_EVENTS = 3
"""One or two bounces or complaints are people, not a rate."""

QUOTA_WARN = 0.8
"""From this share of the 24 hour quota on it is WARN: orders would wait."""

Z_95 = 1.6449
"""The standard normal's 95% quantile."""


class Window(TypedDict):
    """What our metrics counted in one span: mails accepted by SES, hard bounces, complaints."""

    sent: int
    bounced: int
    complained: int


@final
class Windows(TypedDict):
    """Our counters' answer, by the span's name."""

    windows: dict[str, Window]


@final
class Account(TypedDict):
    """What SES says of the account; None where it does not. Rates are fractions."""

    enforcementStatus: str | None
    sendingEnabled: bool | None
    quotaUsed: float | None
    bounceRate: float | None
    complaintRate: float | None


class Found(TypedDict):
    """What the sources gave."""

    mails: Windows | Missing
    account: Account | Missing
    previous: Previous | Missing


class Report(TypedDict):
    """The hour's report. `pause` is there when sending is to be paused, `alert` when all changed."""

    date: str
    verdict: str
    reasons: list[str]
    windows: dict[str, Window]
    account: dict[str, Any]
    lacks: list[str]
    alert: NotRequired[Message]
    pause: NotRequired[bool]


def at_least(events: int, mails: int) -> float:
    """Return the rate that `events` in `mails` show at least, with 95% confidence."""
    if events <= 0 or mails <= 0:
        return 0.0
    n, p = mails, min(events / mails, 1.0)
    spread = Z_95 * sqrt(Z_95**2 - 2 - 1 / n + 4 * p * (n * (1 - p) + 1))
    return max(0.0, (2 * n * p + Z_95**2 - 1 - spread) / (2 * (n + Z_95**2)))


def judge(windows: Mapping[str, Window]) -> tuple[str, list[str]]:
    """Return the worst verdict over the windows, and the reasons for it."""
    verdict, reasons = TOO_FEW, []
    for name, window in windows.items():
        if window["sent"] < MIN_SENT:
            continue
        verdict = _worse(verdict, OK)
        for kind, events in (("bounce", window["bounced"]), ("complaint", window["complained"])):
            warn, critical = THRESHOLDS[kind]
            rate = at_least(events, window["sent"])
            if events < MIN_EVENTS or rate < warn:
                continue
            found, limit = (CRITICAL, critical) if rate >= critical else (WARN, warn)
            verdict = _worse(verdict, found)
            reasons.append(
                f"{events} {kind}s in {window['sent']} mails of the last {name}: a {kind} rate of "
                f"{rate:.2%} or more, from {limit:.1%} on it is {found}"
            )
    if verdict == TOO_FEW:
        reasons.append(f"fewer than {MIN_SENT} mails in every window")
    return verdict, reasons


def report(
    found: Found, *, hour: str, dashboard: str, configuration_set: str, auto_pause: bool
) -> Report:
    """Judge what was found at `hour` (ISO 8601 to the hour) and say what changed since the last report.

    It alerts, and asks for a pause, when the verdict changes and not every hour; a pause that an
    operator has lifted is not repeated while the verdict stays the same.
    """
    lacks: list[str] = []
    windows: dict[str, Window] = {}
    if "Error" in found["mails"]:
        lacks.append(f"mails, bounces and complaints: {why(found['mails'])}")
    else:
        windows = found["mails"]["windows"]
    verdict, reasons = judge(windows)
    account = found["account"]
    if "Error" in account:
        lacks.append(f"the account's own state: {why(account)}")
    else:
        if account["bounceRate"] is None:
            lacks.append("SES's own reputation metrics: there are none yet")
        if warnings := _account_warnings(account):
            verdict, reasons = _worse(verdict, WARN), reasons + warnings
    before = OK
    if "Error" in found["previous"]:
        lacks.append(f"the last report: {why(found['previous'])}; an alert may be repeated")
    else:
        before = found["previous"]["report"].get("verdict", OK)

    made: Report = {
        "date": hour,
        "verdict": verdict,
        "reasons": reasons,
        "windows": windows,
        "account": {} if "Error" in account else dict(account),
        "lacks": lacks,
    }
    if verdict != before and {verdict, before} & {WARN, CRITICAL}:
        made["alert"] = alert(
            made, before=before, dashboard=dashboard, configuration_set=configuration_set
        )
        if auto_pause and verdict == CRITICAL:
            made["pause"] = True
    return made


def alert(made: Report, *, before: str, dashboard: str, configuration_set: str) -> Message:
    """Write the message for a verdict that changed: why, figures, what to do first."""
    verdict = made["verdict"]
    lines = [
        f"The sending reputation of the order mails is {verdict}; it was {before}.",
        "",
        *(f"- {reason}" for reason in made["reasons"]),
        "",
        *(
            f"Last {name}: {w['sent']} sent, {w['bounced']} bounced, {w['complained']} complained"
            for name, w in made["windows"].items()
        ),
    ]
    if verdict in (WARN, CRITICAL):
        lines += [
            "",
            (
                "What to do: find the bounced orders in the tracking table, and what their addresses have "
                "in common (a form without validation, an import, one mail provider). SES reviews an "
                "account at 5% bounces or 0.1% complaints and may pause it at 10% or 0.5%."
            ),
            "",
            "To pause the order mails (orders wait on the queue, nothing is lost):",
            f"  {pause_command(configuration_set, enabled=False)}",
            "To lift the pause:",
            f"  {pause_command(configuration_set, enabled=True)}",
        ]
    lines += ["", dashboard]
    if made["lacks"]:
        lines += ["", "Not known:", *(f"  {lack}" for lack in made["lacks"])]
    return {
        "subject": f"Order mails: sending reputation {verdict}, it was {before}",
        "message": "\n".join(lines),
    }


def pause_command(configuration_set: str, *, enabled: bool) -> str:
    """Return the AWS CLI command that lifts (or makes) a pause."""
    switch = "--sending-enabled" if enabled else "--no-sending-enabled"
    return (
        "aws sesv2 put-configuration-set-sending-options "
        f"--configuration-set-name {configuration_set} {switch}"
    )


def _worse(one: str, other: str) -> str:
    return max(one, other, key=_SEVERITY.index)


def _account_warnings(account: Account) -> list[str]:
    warnings = []
    if (status := account["enforcementStatus"]) not in (None, "HEALTHY"):
        warnings.append(f"SES has the account under {status}")
    if account["sendingEnabled"] is False:
        warnings.append("sending is paused for the whole account")
    if (used := account["quotaUsed"]) is not None and used >= QUOTA_WARN:
        warnings.append(f"{used:.0%} of the 24 hour quota is used; at 100% orders wait")
    return warnings
