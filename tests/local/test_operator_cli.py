"""`order-mail` on the local stack: people's policies allow what they say, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.operator_cli import order_mail

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack


def test_a_policy_is_all_that_a_person_has(stack: RunningStack) -> None:
    with order_mail(stack, "operator") as operator:
        assert operator("pause", "--reason", "drill", "--yes", "--json").json["paused"] is True
        assert operator("lift", "--reason", "drill over", "--yes", "--json").json["paused"] is False
    with order_mail(stack, "support") as support:
        refused = support("pause", "--reason", "drill", "--yes")
    assert refused.exit == 3
    assert "is denied" in refused.notes
    with order_mail(stack, "operator", "ses:PutConfigurationSetSendingOptions") as operator:
        refused = operator("pause", "--reason", "drill", "--yes")
    assert refused.exit == 3
    assert "ses:PutConfigurationSetSendingOptions is denied" in refused.notes
