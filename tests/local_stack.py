"""The former names of what is in `infra.local.running_stack` now, for those who still import them."""

from infra.local.running_stack import RunningStack as LocalStack
from infra.local.running_stack import until

__all__ = ["LocalStack", "until"]
