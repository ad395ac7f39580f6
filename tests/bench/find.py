"""How long the support desk waits for `order-mail find`, on the running local stack.

    make up
    .venv/bin/python -m tests.bench.find

It publishes an order, waits until its mail has arrived, and finds it by each of its names and once one that is
not there, round by round; `--help` is what the program itself takes to start. Figures are the median and the
slowest, of processes as people start them. The laptop's CloudWatch and SES are slower and nearer than AWS's.
"""

from __future__ import annotations

import json
import secrets
import statistics
import time

from infra.local.programs import Plan
from infra.local.running_stack import RunningStack
from infra.local.settings import LocalSettings
from tests.conftest import load_event
from tests.support.operator_cli import OrderMail

ROUNDS = 9


def main() -> None:
    """Measure and print one line per question."""
    stack = RunningStack(Plan.load(LocalSettings.read().state_dir))
    order_id = f"BENCH-{secrets.token_hex(3)}"
    stack.publish(json.dumps(load_event("order") | {"orderId": order_id}))
    record = stack.wait_for_status(order_id, "DELIVERED")
    terms = {
        "order": order_id,
        "message": record["messageId"],
        "notification": record["notificationId"],
        "execution": record["owner"],
        "nothing": "NEVER-PUBLISHED",
        "(start)": "--help",
    }
    order_mail = OrderMail(stack, {})
    took: dict[str, list[float]] = {name: [] for name in terms}
    for _ in range(ROUNDS):
        for name, term in terms.items():
            began = time.perf_counter()
            order_mail("find", term)
            took[name].append(time.perf_counter() - began)
    for name, seconds in took.items():
        print(
            f"{name:13} median {statistics.median(seconds):4.1f} s   slowest {max(seconds):4.1f} s"
        )


if __name__ == "__main__":
    main()
