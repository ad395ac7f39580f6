"""Starts, ends or examines the local stack: `python -m infra.local up|down|status`, as `make` does.

`up` starts it, deploys to it and leaves it running; `down` stops it and removes its state; `status`
says what of it runs, and what died.
"""

import argparse
import sys

from infra.local import stack
from infra.local.programs import Plan
from infra.local.settings import LocalSettings
from infra.local.stack import StackError
from infra.setting import ConfigError


def up(settings: LocalSettings) -> int:
    """Start the stack and deploy to it."""
    print(_summary(stack.up(settings, say=_say)))
    return 0


def down(settings: LocalSettings) -> int:
    """Stop the stack and remove its state."""
    was_there = stack.down(settings, say=_say)
    place = settings.state_dir
    print(f"· stopped the local stack, removed {place}" if was_there else "· no stack runs")
    return 0


def status(settings: LocalSettings) -> int:
    """Return the exit status: 0 when a stack runs and nothing is wrong with it."""
    plan = Plan.find(settings.state_dir)
    if plan is None:
        print("· no stack runs; `make up` starts one")
        return 1
    if problems := stack.problems(plan):
        print("\n".join(f"· {line}" for line in [*stack.restarts(plan), *problems]))
        print("Run `make down && make up`")
        return 1
    print(_summary(plan))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _summary(plan: Plan) -> str:
    """Tell what was restarted, the stack's URLs and what to do next."""
    settings = plan.settings
    restarts = "".join(f"· {line}\n" for line in stack.restarts(plan))
    faults = f"\n  faults    {plan.faults_url}/_microburst/rules" if settings.faults else ""
    return f"""{restarts}
The local stack runs: environment {settings.environment_suffix}, account {settings.account}, {settings.region}
  AWS API   {settings.aws_url}  (credentials test/test)
  inbox     {settings.inbox_url}
  console   {settings.console_url}
  SES       {plan.ses_url}  (its account, its mails, and its faults){faults}
  logs      {settings.state_dir / "logs"}
Next
  make demo   sends sample orders through it
  make down   stops it and removes its state
  export AWS_ENDPOINT_URL={settings.aws_url} AWS_DEFAULT_REGION={settings.region} \\
    AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test   for boto3, the AWS CLI and others"""


COMMANDS = {"up": up, "down": down, "status": status}


def main() -> int:
    """Return the exit status of the command."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    command = parser.parse_args().command
    try:
        return COMMANDS[command](LocalSettings.read())
    except (ConfigError, StackError) as error:
        print(f"make {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {command}: interrupted; `make down` removes what is left", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
