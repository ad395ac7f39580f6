"""The business metrics: their names, and the namespace they are counted in.

`prod` counts in `EmailNotification`, every other environment in `EmailNotification-{env}`: they may share an
account, and neither alarms nor verdicts of one are about the mails of another.

None has dimensions, so that ten metrics are all there are (CloudWatch's always-free tier).
"""

from enum import StrEnum

PRODUCTION = "prod"
"""The environment that is in earnest."""


def namespace(environment: str) -> str:
    """Return the namespace of an environment's metrics; the stacks tell it to each function."""
    return "EmailNotification" if environment == PRODUCTION else f"EmailNotification-{environment}"


class Metric(StrEnum):
    """A name; the unit is Count, and USD (no unit) for the two costs."""

    SENT = "EmailSent"
    DELIVERED = "EmailDelivered"
    BOUNCED = "EmailBounced"
    COMPLAINT = "EmailComplaint"
    DUPLICATE = "EmailDuplicate"
    REJECTED = "EmailRejected"
    FAILED = "EmailFailed"
    IN_DOUBT = "EmailInDoubt"
    TOTAL_COST = "TotalCost"
    COST_PER_EMAIL = "CostPerEmail"
