"""`pause` and `lift`: stop the order mails, and let them go again. Orders wait on the queue meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.operator.audit import audited, without_addresses
from steps.reports import pause

if TYPE_CHECKING:
    from infra.operator.aws import Deployment


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Whether mails go out.

    paused: the configuration set does not send. stopped: SES has stopped the whole account.
    since, by, why: of the pause, as far as it was kept; one that was made by hand in the console has none.
    """

    paused: bool
    stopped: bool
    since: str = ""
    by: str = ""
    why: str = ""

    @property
    def halted(self) -> bool:
        """Whether no mail goes out."""
        return self.paused or self.stopped


def sending(deployment: Deployment) -> Sending:
    """Return whether mails go out, and why not."""
    ses = deployment.client("sesv2")
    options = ses.get_configuration_set(ConfigurationSetName=deployment.configuration_set)
    paused = not options.get("SendingOptions", {}).get("SendingEnabled", True)
    stopped = not ses.get_account()["SendingEnabled"]
    if not paused:
        return Sending(paused=False, stopped=stopped)
    kept = deployment.reports.last(pause.KIND)
    if not kept.get("paused"):
        return Sending(paused=True, stopped=stopped)
    return Sending(paused=True, stopped=stopped, since=kept["date"], by=kept["by"], why=kept["why"])


def set_sending(deployment: Deployment, *, enabled: bool, why: str) -> Sending:
    """Pause sending, or lift the pause; keep who did it and why."""
    what = "lift" if enabled else "pause"
    with audited(deployment, what, why=why):
        deployment.client("sesv2").put_configuration_set_sending_options(
            ConfigurationSetName=deployment.configuration_set, SendingEnabled=enabled
        )
        # Not before: SES may refuse, and stories would tell of a pause that never was.
        kept = pause.kept(
            paused=not enabled,
            by=deployment.who,
            why=without_addresses(why),
            now=datetime.now(UTC),
        )
        deployment.reports.keep(pause.KIND, kept.report, kept.expires)
    return sending(deployment)
