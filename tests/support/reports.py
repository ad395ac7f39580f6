"""The scheduled reports' functions as the tests deploy them."""

from decimal import Decimal

from steps.bounce_rate import BounceRateSettings
from steps.cost_monitoring import CostSettings

REPORTS_TABLE = "reports"
SYSTEM = "order-mail-dev"

COST_SETTINGS = CostSettings(
    reports_table=REPORTS_TABLE,
    system=SYSTEM,
    budget=Decimal("0.01"),
    dashboard_url="https://dashboard",
)
BOUNCE_RATE_SETTINGS = BounceRateSettings(
    reports_table=REPORTS_TABLE,
    configuration_set="mails",
    auto_pause=True,
    dashboard_url="https://dashboard",
)
