"""The scheduled reports' functions as the tests deploy them."""

from decimal import Decimal

from steps.bounce_rate import BounceRateSettings
from steps.canary import CanarySettings
from steps.contract.metrics import namespace
from steps.cost_monitoring import CostSettings
from steps.reconciliation import ReconciliationSettings
from steps.rejections import RejectionsSettings

REPORTS_TABLE = "reports"
SYSTEM = "order-mail-dev"
REGION = "us-east-1"
METRICS = namespace("dev")

COST_SETTINGS = CostSettings(
    reports_table=REPORTS_TABLE,
    system=SYSTEM,
    region=REGION,
    metrics_namespace=METRICS,
    budget=Decimal("0.01"),
    dashboard_url="https://dashboard",
)
BOUNCE_RATE_SETTINGS = BounceRateSettings(
    reports_table=REPORTS_TABLE,
    configuration_set="mails",
    metrics_namespace=METRICS,
    auto_pause=True,
    dashboard_url="https://dashboard",
)
CANARY_SETTINGS = CanarySettings(
    environment="dev",
    orders_topic="arn:aws:sns:us-east-1:000000000000:email-order-events-dev",
    tracking_table="tracking",
    reports_table=REPORTS_TABLE,
    alerts_topic="arn:aws:sns:us-east-1:000000000000:email-alerts-dev",
    dashboard_url="https://dashboard",
)
REJECTIONS_SETTINGS = RejectionsSettings(
    reports_table=REPORTS_TABLE,
    metrics_namespace=METRICS,
    validate_log_group="/aws/lambda/email-validate-dev",
    send_log_group="/aws/lambda/email-send-dev",
    alerts_topic="arn:aws:sns:us-east-1:000000000000:email-alerts-dev",
    dashboard_url="https://dashboard",
)
RECONCILIATION_SETTINGS = ReconciliationSettings(
    tracking_table="tracking",
    reports_table=REPORTS_TABLE,
    metrics_namespace=METRICS,
    in_doubt_grace_seconds=300,
    environment_suffix="dev",
)
