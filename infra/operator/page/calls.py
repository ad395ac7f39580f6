"""What the page calls: the commands' own functions. Tests and pictures plant others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.operator.dead import choose, drop, listing, redrive, rehearse, show_letter
from infra.operator.doctor import examine
from infra.operator.find import find
from infra.operator.page.overview import alarms, waiting
from infra.operator.sending import sending, set_sending
from infra.operator.suppression import look_up, remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operator.aws import Deployment
    from infra.operator.dead import Choice, Chosen, Dropped, Listing, Redriven, Shown
    from infra.operator.doctor import Examination
    from infra.operator.find import Finding
    from infra.operator.page.overview import Alarm
    from infra.operator.sending import Sending
    from infra.operator.suppression import Suppression


@dataclass(frozen=True, kw_only=True)
class Calls:
    """One function for each thing that the page asks or does."""

    find: Callable[[Deployment, str], Finding] = find
    sending: Callable[[Deployment], Sending] = sending
    set_sending: Callable[..., Sending] = set_sending
    waiting: Callable[[Deployment], dict[str, int]] = waiting
    alarms: Callable[[Deployment], list[Alarm]] = alarms
    listing: Callable[[Deployment], Listing] = listing
    show_letter: Callable[..., Shown] = show_letter
    choose: Callable[[Deployment, Choice], Chosen] = choose
    rehearse: Callable[..., Redriven] = rehearse
    redrive: Callable[..., Redriven] = redrive
    drop: Callable[..., Dropped] = drop
    look_up: Callable[[Deployment, str], Suppression] = look_up
    remove: Callable[..., int] = remove
    examine: Callable[[Deployment], Examination] = examine
