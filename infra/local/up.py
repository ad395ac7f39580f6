"""`make up`: starts the local stack, deploys to it and leaves it running."""

import sys

from infra.local.children import Plan
from infra.local.settings import Settings, SettingsError
from infra.local.stack import StackError, restarts, up


def main() -> int:
    """Returns the exit status."""
    try:
        plan = up(Settings.read(), say=lambda line: print(line, flush=True))
    except (SettingsError, StackError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make up: interrupted; `make down` removes what is left", file=sys.stderr)
        return 130
    for line in restarts(plan):
        print(f"· {line}")
    print(summary(plan))
    return 0


def summary(plan: Plan) -> str:
    """The stack's URLs and what to do next."""
    settings = plan.settings
    faults = f"\n  faults    {plan.faults_url}/_microburst/rules" if settings.faults else ""
    return f"""
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


if __name__ == "__main__":
    sys.exit(main())
