"""Reputation: do too many mails bounce, or do too many people complain? Pure.

A rate is judged by the lower end of its one-sided 95% confidence interval, so that chance in a small
sample raises no alarm: three bounces in twenty mails show a rate of 4.7% or more, not 15%. The
interval is Wilson's with continuity correction, method 4 in R. G. Newcombe, "Two-sided confidence
intervals for the single proportion", Statistics in Medicine 17 (1998), 857-872.

Thresholds: SES reviews an account at 5% bounces or 0.1% complaints and may pause it at 10% or 0.5%
(Amazon SES Developer Guide, "Sender review process FAQs").

Our own counters judge and alert. A pause stops the shop's mails, so it takes a second witness: SES's own rate.
"""

from __future__ import annotations

import functools
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict, final

from steps.contract.report_tasks import Alert, Gap, Previous, ReportBase, Verdict
from steps.reports import volume
from steps.reports.tasks import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steps.reports.volume import Volume

_SEVERITY: tuple[str, ...] = tuple(Verdict)
TOO_FEW, OK, WARN, CRITICAL = _SEVERITY

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
    """Our counters' answer: by the span's name, and how the last hour compares with those before it."""

    windows: dict[str, Window]
    volume: Volume


@final
class AccountState(TypedDict):
    """What SES says; None where it does not.

    Rates are fractions, over what SES takes for a representative volume: of the configuration set's mails,
    or of the account's where SES has none of the former.
    """

    enforcementStatus: str | None
    sendingEnabled: bool | None
    quotaUsed: float | None
    bounceRate: float | None
    complaintRate: float | None


class Inputs(TypedDict):
    """What the sources gave."""

    mails: Windows | Gap
    account: AccountState | Gap
    previous: Previous | Gap


class Report(ReportBase, TypedDict):
    """The hour's report. `pause` is there when sending is to be paused now, `alert` when there is news.

    volume: None where our counters did not answer.
    account: None where SES did not answer.
    pauseAsked: a pause was asked for since the verdict became CRITICAL; an operator may have lifted it.
    """

    verdict: str
    reasons: list[str]
    windows: dict[str, Window]
    volume: Volume | None
    account: AccountState | None
    pauseAsked: bool
    pause: NotRequired[bool]


class Finding(NamedTuple):
    """What a window shows of one kind of event, in a sentence."""

    kind: str
    severity: str
    sentence: str


def at_least(events: int, mails: int) -> float:
    """Return the rate that `events` in `mails` show at least, with 95% confidence."""
    if events <= 0 or mails <= 0:
        return 0.0
    n, p = mails, min(events / mails, 1.0)
    spread = Z_95 * sqrt(Z_95**2 - 2 - 1 / n + 4 * p * (n * (1 - p) + 1))
    return max(0.0, (2 * n * p + Z_95**2 - 1 - spread) / (2 * (n + Z_95**2)))


def judge(windows: Mapping[str, Window]) -> tuple[str, list[str]]:
    """Return the worst verdict over the windows, and the reasons for it."""
    enough = [window for window in windows.values() if window["sent"] >= MIN_SENT]
    if not enough:
        return TOO_FEW, [f"fewer than {MIN_SENT} mails in every window"]
    findings = list(find(windows))
    verdict = functools.reduce(_worse, (finding.severity for finding in findings), OK)
    return verdict, [finding.sentence for finding in findings]


def find(windows: Mapping[str, Window]) -> Iterator[Finding]:
    """Yield what the windows with enough mails show that is more than chance."""
    for name, window in windows.items():
        if window["sent"] < MIN_SENT:
            continue
        for kind, events in (("bounce", window["bounced"]), ("complaint", window["complained"])):
            warn, critical = THRESHOLDS[kind]
            rate = at_least(events, window["sent"])
            if events < MIN_EVENTS or rate < warn:
                continue
            severity, limit = (CRITICAL, critical) if rate >= critical else (WARN, warn)
            yield Finding(
                kind,
                severity,
                f"{events} {kind}s in {window['sent']} mails of the last {name}: a {kind} rate of "
                f"{rate:.2%} or more, from {limit:.1%} on it is {severity}",
            )


def ask_ses(windows: Mapping[str, Window], account: AccountState | None) -> tuple[bool, list[str]]:
    """Return whether SES's own rate agrees that it is critical, and what it says.

    It agrees from the rate on at which SES reviews an account: its rates are long averages, so they follow
    what happens today, and at its own critical rate SES may pause the account itself.
    """
    rates: dict[str, float | None] = {}
    if account:
        rates = {"bounce": account["bounceRate"], "complaint": account["complaintRate"]}
    agrees, said = False, []
    for kind in sorted({f.kind for f in find(windows) if f.severity == CRITICAL}):
        rate = rates.get(kind)
        if rate is None:
            said.append(
                f"SES's own {kind} rate is not known, so nothing is paused for it by itself"
            )
            continue
        least, _ = THRESHOLDS[kind]
        agrees |= rate >= least
        verb = (
            "agrees" if rate >= least else "does not agree, so nothing is paused for it by itself"
        )
        said.append(f"SES's own {kind} rate of {rate:.2%} {verb} (it would from {least:.1%} on)")
    return agrees, said


def report(
    inputs: Inputs, *, hour: str, dashboard: str, configuration_set: str, auto_pause: bool
) -> Report:
    """Judge what the sources gave at `hour` (ISO 8601 to the hour) and say what changed since the last.

    It alerts when the verdict changes, and when far more mails go out than usual; not every hour. It
    asks for a pause once SES's own rate agrees with a critical verdict; one that an operator has lifted is
    not repeated while the verdict stays the same.
    """
    gaps: list[str] = []
    windows, counted = _mails(inputs["mails"], gaps)
    verdict, reasons = judge(windows)
    account = _account(inputs["account"], gaps)
    if account and (warnings := _account_warnings(account)):
        verdict, reasons = _worse(verdict, WARN), reasons + warnings
    agrees, said = ask_ses(windows, account)
    reasons += said
    before, asked = _before(inputs["previous"], gaps)
    pause = auto_pause and verdict == CRITICAL and agrees and not asked
    of_the_hour: Report = {
        "date": hour,
        "verdict": verdict,
        "reasons": reasons,
        "windows": windows,
        "volume": counted,
        "account": account,
        "pauseAsked": verdict == CRITICAL and (asked or pause),
        "gaps": gaps,
    }
    if pause:
        of_the_hour["pause"] = True
    alerts = []
    if pause or (verdict != before and {verdict, before} & {WARN, CRITICAL}):
        alerts.append(
            alert(
                of_the_hour, before=before, dashboard=dashboard, configuration_set=configuration_set
            )
        )
    if counted and volume.is_high(counted) and not _was_high(inputs["previous"]):
        alerts.append(volume_alert(counted, configuration_set))
    if alerts:
        of_the_hour["alert"] = _in_one(alerts)
    return of_the_hour


def _mails(answer: Windows | Gap, gaps: list[str]) -> tuple[dict[str, Window], Volume | None]:
    if "Error" in answer:
        gaps.append(f"mails, bounces and complaints: {reason(answer)}")
        return {}, None
    return answer["windows"], answer.get("volume")  # absent while a deployment goes on


def _was_high(answer: Previous | Gap) -> bool:
    before = None if "Error" in answer else answer["report"].get("volume")
    return before is not None and volume.is_high(before)


def volume_alert(counted: Volume, configuration_set: str) -> Alert:
    """Write the message for far more mails than usual: figures, the commonest cause, how to pause."""
    return {
        "subject": f"Order mails: {counted['lastHour']:,} in an hour, far more than usual",
        "message": "\n".join([volume.described(counted), *_how_to_pause(configuration_set)]),
    }


def _in_one(alerts: Sequence[Alert]) -> Alert:
    """Return one message for the topic: a report has one."""
    return {
        "subject": alerts[0]["subject"],
        "message": "\n\n".join(one["message"] for one in alerts),
    }


def _account(answer: AccountState | Gap, gaps: list[str]) -> AccountState | None:
    if "Error" in answer:
        gaps.append(f"the account's own state: {reason(answer)}")
        return None
    if answer["bounceRate"] is None:
        gaps.append("SES's own reputation metrics: there are none yet")
    return answer


def _before(answer: Previous | Gap, gaps: list[str]) -> tuple[str, bool]:
    """Return the verdict before, and whether a pause was asked for since it became CRITICAL."""
    if "Error" in answer:
        gaps.append(f"the last report: {reason(answer)}; an alert, or a pause, may be repeated")
        return OK, False
    verdict: str = answer["report"].get("verdict", OK)
    # Older reports do not say so: their critical verdicts had paused at once.
    return verdict, verdict == CRITICAL and answer["report"].get("pauseAsked", True)


def alert(of_the_hour: Report, *, before: str, dashboard: str, configuration_set: str) -> Alert:
    """Write the message for a verdict that changed: why, figures, what to do first."""
    verdict = of_the_hour["verdict"]
    news = f"it was {before}" if verdict != before else "and SES's own rate agrees by now"
    lines = [
        f"The sending reputation of the order mails is {verdict}; {news}.",
        "",
        *(f"- {sentence}" for sentence in of_the_hour["reasons"]),
        "",
        *(
            f"Last {name}: {w['sent']} sent, {w['bounced']} bounced, {w['complained']} complained"
            for name, w in of_the_hour["windows"].items()
        ),
    ]
    if verdict in (WARN, CRITICAL):
        lines += _what_to_do(configuration_set)
    lines += ["", dashboard]
    if of_the_hour["gaps"]:
        lines += ["", "Not known:", *(f"  {gap}" for gap in of_the_hour["gaps"])]
    return {
        "subject": f"Order mails: sending reputation {verdict}, {news}",
        "message": "\n".join(lines),
    }


def _what_to_do(configuration_set: str) -> list[str]:
    return [
        "",
        (
            "What to do: find the bounced orders in the tracking table, and what their addresses have "
            "in common (a form without validation, an import, one mail provider). SES reviews an "
            "account at 5% bounces or 0.1% complaints and may pause it at 10% or 0.5%."
        ),
        *_how_to_pause(configuration_set),
    ]


def _how_to_pause(configuration_set: str) -> list[str]:
    return [
        "",
        "To pause the order mails (orders wait on the queue, nothing is lost):",
        f"  {pause_command(configuration_set, enabled=False)}",
        "To lift the pause:",
        f"  {pause_command(configuration_set, enabled=True)}",
    ]


def pause_command(configuration_set: str, *, enabled: bool) -> str:
    """Return the AWS CLI command that lifts (or makes) a pause."""
    switch = "--sending-enabled" if enabled else "--no-sending-enabled"
    return (
        "aws sesv2 put-configuration-set-sending-options "
        f"--configuration-set-name {configuration_set} {switch}"
    )


def _worse(one: str, other: str) -> str:
    return max(one, other, key=_SEVERITY.index)


def _account_warnings(account: AccountState) -> list[str]:
    warnings = []
    if (status := account["enforcementStatus"]) not in (None, "HEALTHY"):
        warnings.append(f"SES has the account under {status}")
    if account["sendingEnabled"] is False:
        warnings.append("sending is paused for the whole account")
    if (used := account["quotaUsed"]) is not None and used >= QUOTA_WARN:
        warnings.append(f"{used:.0%} of the 24 hour quota is used; at 100% orders wait")
    return warnings
