"""The CDK app: `cdk deploy --all`. Stacks only compose; what they hold is in their own modules."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import App, CliCredentialsStackSynthesizer, Environment, Tags

from infra import nag
from infra.bundling import AWS_LAMBDA, build_bundle, laptop
from infra.cdk_cli import check_not_overwritten
from infra.config import Config
from infra.monitoring import MonitoringStack
from infra.notifications import NotificationsStack
from infra.ses import SesStack
from infra.setting import ConfigError
from infra.stack import StackOptions
from infra.tap import TapStack

if TYPE_CHECKING:
    from infra.bundling import Bundle


def build(app: App, config: Config, bundle: Bundle) -> None:
    """Put the stacks into the app; the bundle's target decides whether they are for AWS or the laptop."""
    options = StackOptions(
        env=Environment(account=config.account, region=config.region),
        # The laptop's AWS refuses the bootstrap roles' conditions and has but one user anyway.
        synthesizer=CliCredentialsStackSynthesizer() if bundle.target.on_laptop else None,
    )
    ses = SesStack(app, config.name("ses-configuration"), config=config, **options)
    notifications = NotificationsStack(
        app, config.name("email-notifications"), config=config, bundle=bundle, ses=ses, **options
    )
    monitoring = MonitoringStack(
        app,
        config.name("cost-monitoring"),
        config=config,
        bundle=bundle,
        ses=ses,
        tracking=notifications.table,
        dead_letters=notifications.internal_dead_letters,
        **options,
    )
    tap = TapStack(app, f"TapStack{config.env}", config=config, ses=ses, **options)
    tap.add_stack_dependency(notifications)
    tap.add_stack_dependency(monitoring)
    Tags.of(app).add("app", config.name("order-mail"))
    nag.check(app)


def main() -> None:
    """Synthesise. A wrong setting ends with one line and exit status 1."""
    app = App()
    laptop_folder = app.node.try_get_context("laptop")
    target = laptop(Path(laptop_folder) / "bootstrap") if laptop_folder else AWS_LAMBDA
    try:
        check_not_overwritten()
        config = Config.from_environment(os.environ, local=target.on_laptop)
    except ConfigError as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        build(app, config, build_bundle(target, Path(scratch) / "bundle", config.brand))
        app.synth()


if __name__ == "__main__":
    main()
