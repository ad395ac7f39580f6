"""The former place of `sample_costs`, for those who still import it from here."""

from infra.local.cost_explorer import sample_costs

__all__ = ["sample_costs"]
