"""The CDK app: `cdk deploy --all`. Stacks only compose; what they hold is in their own modules."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from aws_cdk import App, CliCredentialsStackSynthesizer, Environment, Tags

from infra import nag
from infra.bundling import AWS_LAMBDA, bundle, laptop
from infra.config import Config, ConfigError
from infra.monitoring import MonitoringStack
from infra.notifications import NotificationsStack
from infra.ses import SesStack
from infra.tap import TapStack


def build(app: App, config: Config, asset: Path, *, local: Path | None = None) -> TapStack:
    """Compose the stacks. `local` is the laptop's Lambda bootstrap; None means AWS."""
    target = laptop(local) if local else AWS_LAMBDA
    common: dict[str, Any] = {"env": Environment(account=config.account, region=config.region)}
    if local:
        # The laptop's AWS refuses the bootstrap roles' conditions and has but one user anyway.
        common["synthesizer"] = CliCredentialsStackSynthesizer()

    ses_name, notifications_name, monitoring_name = (
        config.name("ses-configuration"),
        config.name("email-notifications"),
        config.name("cost-monitoring"),
    )
    ses = SesStack(app, ses_name, stack_name=ses_name, config=config, **common)
    notifications = NotificationsStack(
        app,
        notifications_name,
        stack_name=notifications_name,
        config=config,
        target=target,
        asset=asset,
        ses=ses,
        **common,
    )
    monitoring = MonitoringStack(
        app,
        monitoring_name,
        stack_name=monitoring_name,
        config=config,
        target=target,
        asset=asset,
        ses=ses,
        **common,
    )
    tap = TapStack(app, f"TapStack{config.env}", config=config, **common)
    tap.add_stack_dependency(notifications)
    tap.add_stack_dependency(monitoring)
    Tags.of(app).add("app", config.name("order-mail"))
    nag.check(app)
    return tap


def main() -> None:
    """Synthesise. A wrong setting ends with one line and exit status 1."""
    app = App()
    laptop_folder = app.node.try_get_context("laptop")
    local = Path(laptop_folder) / "bootstrap" if laptop_folder else None
    try:
        config = Config.from_environment(os.environ, local=bool(local))
    except ConfigError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        asset = bundle(laptop(local) if local else AWS_LAMBDA, Path(scratch) / "asset")
        build(app, config, asset, local=local)
        app.synth()


if __name__ == "__main__":
    main()
