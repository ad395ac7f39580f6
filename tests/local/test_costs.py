"""What is made of a counted run."""

from infra.local.costs import Used, outcomes
from steps.contract import limits


def test_outcomes_alone_have_a_request_each_and_together_one_for_ten_and_the_rest() -> None:
    alone, together = Used(calls=4, gb_seconds=0.08, log_bytes=0), Used(10, 0.3, 1000)
    told = outcomes(alone, together, mails=100)
    assert told["alone"] == {
        "lambdaRequests": 2,
        "lambdaGbSeconds": 0.04,
        "snsPublishes": 2,
        "logGb": 0,
    }
    assert told["together"]["lambdaRequests"] == 0.1
    assert told["together"]["lambdaGbSeconds"] == 0.003
    assert told["together"]["logGb"] == 1e-8
    # At most: ten invocations of 200 outcomes, each with one more than full requests.
    most = sum(-(-n // limits.OUTCOMES_PER_PUBLISH) for n in (21, *[11] * 8, 91))
    assert most <= round(told["together"]["snsPublishes"] * 100) == 29
