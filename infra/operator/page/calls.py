"""What the page calls: the commands' own functions. Tests and pictures plant others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.operator.errors import OperatorError
from infra.operator.find import find
from infra.operator.letters import peek
from infra.operator.page.overview import alarms, waiting
from infra.operator.sending import sending, set_sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operator.aws import Deployment
    from infra.operator.find import Finding
    from infra.operator.letters import Letter
    from infra.operator.page.overview import Alarm
    from infra.operator.sending import Sending


def _to_come(*_: Any, **__: Any) -> Any:
    raise OperatorError("order-mail cannot do that yet")


@dataclass(frozen=True, kw_only=True)
class Calls:
    """One function for each thing that the page asks or does; they are those of the modules of their names."""

    find: Callable[[Deployment, str], Finding] = find
    sending: Callable[[Deployment], Sending] = sending
    set_sending: Callable[..., Sending] = set_sending
    waiting: Callable[[Deployment], dict[str, int]] = waiting
    alarms: Callable[[Deployment], list[Alarm]] = alarms
    peek: Callable[[Deployment, str], list[Letter]] = peek
    redrive: Callable[..., int] = _to_come
    drop: Callable[..., int] = _to_come
    suppressed: Callable[..., Any] = _to_come
    unsuppress: Callable[..., Any] = _to_come
    doctor: Callable[..., Any] = _to_come
