"""The laptop's Cost Explorer: moto's server, with sample costs until others are set.

`python -m infra.local.cost_explorer STATE_DIR` starts it. A POST of `{"results": [...]}` to
`/moto-api/static/ce/cost-and-usage-results` sets the answers to questions that are new.
"""

import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from infra.local.gate import GatedHandler
from infra.local.loopback import LOOPBACK, fetch
from infra.local.programs import Plan
from infra.local.running_stack import Json
from steps.reports import list_prices
from steps.reports.cost import SES

SAMPLE_MAILS = 7
"""Mails a day that the sample costs are for: as many as the demo sends, the simulator's aside."""

NAMES = {
    "Lambda": "AWS Lambda",
    "Step Functions": "AWS Step Functions",
    "DynamoDB": "Amazon DynamoDB",
    "SNS": "Amazon Simple Notification Service",
    "SQS": "Amazon Simple Queue Service",
    "X-Ray": "AWS X-Ray",
    "CloudWatch": "AmazonCloudWatch",
}
"""A service's name in `steps/reports/prices.json` to its name in Cost Explorer."""


def sample_costs(today: date, system: str, mails: int = SAMPLE_MAILS) -> Json:
    """Return two months of `GetCostAndUsage`, daily, by service and tag `app`, as AWS answers."""
    start = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    services = {SES: (list_prices.ses_price(mails, "NONE"), "app$")} | {
        NAMES[name]: (amount, f"app${system}")
        for name, amount in list_prices.overhead(mails).items()
    }
    days = [start + timedelta(days=n) for n in range((today - start).days)]
    return {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": f"{day}", "End": f"{day + timedelta(days=1)}"},
                "Total": {},
                "Groups": [_group(name, tag, amount) for name, (amount, tag) in services.items()],
                "Estimated": day.month == today.month,
            }
            for day in days
        ],
        "DimensionValueAttributes": [],
    }


def _group(service: str, tag: str, amount: Decimal) -> Json:
    return {
        "Keys": [service, tag],
        "Metrics": {"UnblendedCost": {"Amount": f"{amount:f}", "Unit": "USD"}},
    }


class _Handler(GatedHandler, MotoRequestHandler):
    """moto's, behind the gate."""


def main() -> None:
    """Serve until a signal ends the process."""
    plan = Plan.load(Path(sys.argv[1]))
    moto = DomainDispatcherApplication(create_backend_app)
    server = make_server(LOOPBACK, plan.cost_port, moto, threaded=True, request_handler=_Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    costs = sample_costs(datetime.now(UTC).date(), f"order-mail-{plan.settings.environment_suffix}")
    url = f"{plan.cost_url}/moto-api/static/ce/cost-and-usage-results"
    fetch(url, {"results": [costs]}, "POST")
    serving.join()


if __name__ == "__main__":
    main()
