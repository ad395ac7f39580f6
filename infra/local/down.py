"""`make down`: stops the local stack and removes its state."""

import sys

from infra.local.settings import Settings, SettingsError
from infra.local.stack import StackError, down


def main() -> int:
    """Returns the exit status."""
    try:
        settings = Settings.read()
        was_there = down(settings, say=lambda line: print(line, flush=True))
    except (SettingsError, StackError) as error:
        print(f"make down: {error}", file=sys.stderr)
        return 1
    place = settings.state_dir
    print(f"· stopped the local stack, removed {place}" if was_there else "· no stack runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
