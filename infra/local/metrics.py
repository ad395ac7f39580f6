"""Puts the metrics into CloudWatch that come by themselves on AWS: `python -m infra.local.metrics STATE_DIR`.

They are our own, from the functions' logs (`embedded_metrics`), and the services' (`service_metrics`).
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.embedded_metrics import EmbeddedMetrics
from infra.local.programs import Plan
from infra.local.running_stack import RunningStack
from infra.local.service_metrics import ServiceMetrics

SERVICES_EVERY = 5
"""Seconds between two looks at the services; there is one at the logs every second."""

SHARE = 0.2
"""The most of the time that looking may take: after thousands of orders there is much to look through."""


def main() -> None:
    """Put metrics until a signal ends the process."""
    stack, since = RunningStack(Plan.load(Path(sys.argv[1]))), datetime.now(UTC)
    # One attempt: a repeated PutMetricData would count twice.
    cloudwatch = stack.client("cloudwatch", retries={"total_max_attempts": 1})
    embedded = EmbeddedMetrics(stack.client("logs"), cloudwatch, int(since.timestamp() * 1000))
    services = ServiceMetrics(stack, since)
    services_at = 0.0
    while True:
        begun = time.monotonic()
        try:
            embedded.poll()
            if begun >= services_at:
                services_at = begun + SERVICES_EVERY
                services.poll(datetime.now(UTC))
        except (BotoCoreError, ClientError) as error:
            print(f"metrics: {error}", file=sys.stderr, flush=True)
        time.sleep(max(1, (time.monotonic() - begun) * (1 / SHARE - 1)))


if __name__ == "__main__":
    main()
