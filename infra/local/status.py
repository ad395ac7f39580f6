"""`make status`: what of the local stack runs, and what died."""

import sys

from infra.local.settings import Settings, SettingsError
from infra.local.stack import load, problems, restarts
from infra.local.up import summary


def main() -> int:
    """Returns the exit status: 0 when a stack runs and nothing is wrong with it."""
    try:
        plan = load(Settings.read())
    except SettingsError as error:
        print(f"make status: {error}", file=sys.stderr)
        return 1
    if plan is None:
        print("· no stack runs; `make up` starts one")
        return 1
    for line in restarts(plan):
        print(f"· {line}")
    if wrong := problems(plan):
        print("\n".join(f"· {line}" for line in wrong))
        print("Run `make down && make up`")
        return 1
    print(summary(plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
