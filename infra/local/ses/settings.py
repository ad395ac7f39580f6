"""The settings of the laptop's SES, and the dice that its faults are thrown with."""

import random
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class SesSettings(BaseModel):
    """Account state and faults; every field can be changed while the server runs.

    Probabilities are 0 to 1, times are seconds. Faults of a call depend on `seed`, the mail's first
    recipient and subject, and how often that mail was tried: not on the order calls arrive in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # the account
    rate: float = Field(14, gt=0, description="MaxSendRate, recipients a second")
    daily_quota: float = Field(50_000, ge=0, description="Max24HourSend, recipients")
    paused: bool = Field(default=False, description="SendingPausedException")
    suspended: bool = Field(
        default=False, description="AccountSuspendedException; GetAccount: SHUTDOWN"
    )
    action_rate: float = Field(1, ge=1, description="actions but sends a second, all together")
    sandbox: bool = Field(default=False, description="1/s, 200 a day, verified recipients only")
    sender_verified: bool = Field(default=True, description="false: MessageRejected")
    mail_from_verified: bool = Field(
        default=True, description="false: MailFromDomainNotVerifiedException"
    )
    refusal: str = Field(
        "", pattern=r"^(\w+: .*)?$", description="`CODE: text` refuses every mail in these words"
    )
    # faults of calls
    seed: int = Field(0, description="of all dice")
    throttle: Probability = Field(0, description="TooManyRequestsException, not accepted")
    throttle_account: Probability = Field(0, description="GetAccount: TooManyRequestsException")
    drop_answer: Probability = Field(0, description="accepted, connection closed unanswered")
    error_before: Probability = Field(0, description="HTTP 500, not accepted")
    error_after: Probability = Field(0, description="HTTP 500, accepted")
    slow: Probability = Field(0, description="answer held back by slow_seconds")
    slow_seconds: Seconds = Field(3, description="how long a slow answer takes")
    # faults of events
    delay_delivery: Probability = Field(0, description="DeliveryDelay before the delivery")
    mailbox_full: Probability = Field(0, description="Transient bounce in place of the delivery")
    events_late_min: Seconds = Field(0, description="least lateness of each event")
    events_late_max: Seconds = Field(0, description="most lateness of each event")
    events_repeated: Probability = Field(0, description="each event published twice")
    events_shuffled: Probability = Field(0, description="a mail's events in another order")
    events_lost: Probability = Field(0, description="each event never published")

    @model_validator(mode="after")
    def _late_range(self) -> Self:
        if self.events_late_max < self.events_late_min:
            raise ValueError("events_late_max is less than events_late_min")
        return self

    @property
    def effective_rate(self) -> float:
        """Recipients a second that the account may send to."""
        return min(self.rate, 1) if self.sandbox else self.rate

    @property
    def effective_quota(self) -> float:
        """Recipients a day that the account may send to."""
        return min(self.daily_quota, 200) if self.sandbox else self.daily_quota


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong with one call."""

    slow_seconds: float
    throttle: bool
    error_before: bool
    error_after: bool
    drop_answer: bool


def faults(settings: SesSettings, dice: random.Random) -> Faults:
    """Throw the dice for one call; every die is thrown, so one setting never moves another's."""

    def hit(probability: float) -> bool:
        return dice.random() < probability

    return Faults(
        slow_seconds=settings.slow_seconds if hit(settings.slow) else 0,
        throttle=hit(settings.throttle),
        error_before=hit(settings.error_before),
        error_after=hit(settings.error_after),
        drop_answer=hit(settings.drop_answer),
    )


def schedule(settings: SesSettings, dice: random.Random, natural: list[float]) -> list[list[float]]:
    """Decide when each of a mail's events is published.

    Args:
        settings: the faults.
        dice: this mail's own.
        natural: each event's delay in seconds when nothing goes wrong, in order.

    Returns:
        For each event the delays it is published at: none when lost, two when repeated.
    """

    def lateness() -> float:
        return dice.uniform(settings.events_late_min, settings.events_late_max)

    delays = list(natural)
    if dice.random() < settings.events_shuffled:
        dice.shuffle(delays)
    plan: list[list[float]] = []
    for delay in delays:
        late, again = delay + lateness(), delay + lateness() + 0.01
        lost, repeated = dice.random(), dice.random()
        if lost < settings.events_lost:
            plan.append([])
        elif repeated < settings.events_repeated:
            plan.append([late, again])
        else:
            plan.append([late])
    return plan
