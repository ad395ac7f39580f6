"""The business metrics: their names, and the namespace they are counted in.

None has dimensions, so that ten metrics are all there are (CloudWatch's always-free tier).
"""

from enum import StrEnum

NAMESPACE = "EmailNotification"


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
