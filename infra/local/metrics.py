"""Puts the metrics into CloudWatch that come by themselves on AWS: `python -m infra.local.metrics STATE_DIR`.

They are our own, from the functions' logs (`embedded_metrics`), and the services' (`service_metrics`).
"""

import itertools
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


def main() -> None:
    """Put metrics until a signal ends the process."""
    stack, since = RunningStack(Plan.load(Path(sys.argv[1]))), datetime.now(UTC)
    # One attempt: a repeated PutMetricData would count twice.
    cloudwatch = stack.client("cloudwatch", retries={"total_max_attempts": 1})
    embedded = EmbeddedMetrics(stack.client("logs"), cloudwatch, int(since.timestamp() * 1000))
    services = ServiceMetrics(stack, since)
    for second in itertools.count():
        time.sleep(1)
        try:
            embedded.poll()
            if second % SERVICES_EVERY == 0:
                services.poll(datetime.now(UTC))
        except (BotoCoreError, ClientError) as error:
            print(f"metrics: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
