"""The door to AWS: how often it knocks."""

from __future__ import annotations

import pytest

from infra.operator.aws import Pace


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([200, 200, 200], [0.0, 0.0, 0.0]),
        ([200, 429, 200, 200], [0.0, 0.0, 1.0, 2.0]),
        ([None, 429, 429, 200], [0.0, 0.0, 1.0, 2.0]),
    ],
)
def test_after_the_first_throttled_request_one_goes_out_each_second(
    answers: list[int | None], sent: list[float]
) -> None:
    clock, times = Clock(), list[float]()
    pace = Pace(lambda: clock.now, clock.sleep)
    for answer in answers:
        pace.wait(request="one", event_name="before-send.sesv2.GetAccount")
        times.append(clock.now - 100)
        pace.heed(response_dict={"status_code": answer} if answer else None, exception=None)
    assert times == sent


def test_a_request_that_comes_late_waits_for_nothing() -> None:
    clock = Clock()
    pace = Pace(lambda: clock.now, clock.sleep)
    pace.wait()
    pace.heed(response_dict={"status_code": 429})
    clock.now += 5
    pace.wait()
    assert clock.now == 105
