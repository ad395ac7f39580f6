"""The kinds of mail. A kind is a folder here: `order_shipped` holds what `order.shipped` is made of.

__init__.py    `OrderShipped`: what the kind adds to the order event; `MAX_AGE`: how late it may be sent.
               Where it has them: `STAGE`, how far the order is then: 1 ordered, 2 on its way, 3 arrived;
               `ITEMS`, the field that has the items it is about, where that may be a part of the order;
               `IDENTITY`, the field that tells an order's mails of the kind apart
words.j2       subject, headline, lead and preheader, for both parts
mail.html.j2   the HTML part, laid on `base.html.j2`
mail.txt.j2    the text part, laid on `base.txt.j2`
sample.json    an event of the kind, for previews and tests; `sample-part.json` and others beside it where the
               mail says something else in another case
texts/*.po     translations of what this kind alone says; `steps/kinds/texts` has the common ones

Templates are composed and their styles inlined before deployment (`infra.mail`), into `steps/mail/built`.
Adding a kind is adding a folder. Finding them reads names only: the render step pays for no model.
"""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from steps.contract.order_event import OrderEvent

FOLDER = Path(__file__).parent


class Kind(NamedTuple):
    """What a kind is to those who read its events.

    event: the model of its events.
    max_age: an event that is older is not sent any more.
    identity: the event's optional field (its JSON name) that makes it a notification of its own; None
        where an order has one mail of the kind.
    items: the event's field (its JSON name) with the pieces that the mail is about; None where it is
        about all that was ordered.
    stage: how far the order is: 1 ordered, 2 on its way or ready, 3 arrived; None where it is none of these.
    """

    event: type[OrderEvent]
    max_age: timedelta
    identity: str | None
    items: str | None
    stage: int | None


@functools.cache
def names() -> tuple[str, ...]:
    """Return the known event types, sorted."""
    return tuple(sorted(_event_type(path.parent.name) for path in FOLDER.glob("*/__init__.py")))


def folder(event_type: str) -> Path:
    """Return the folder of a known kind."""
    return FOLDER / event_type.replace(".", "_")


def kind(event_type: str) -> Kind:
    """Return what a known kind's folder says of its events."""
    name = folder(event_type).name
    module = importlib.import_module(f"{__name__}.{name}")
    return Kind(
        event=getattr(module, name.title().replace("_", "")),
        max_age=module.MAX_AGE,
        identity=getattr(module, "IDENTITY", None),
        items=getattr(module, "ITEMS", None),
        stage=getattr(module, "STAGE", None),
    )


def part(order: Mapping[str, Any]) -> dict[str, str]:
    """Return which part of its order a valid event is about, given as JSON: `{"shipmentId": "P1"}`.

    Returns:
        `{}` where the event does not say, or its kind has no such field.
    """
    identity = kind(order["eventType"]).identity
    return {identity: order[identity]} if identity and identity in order else {}


def samples() -> tuple[str, ...]:
    """Return the names of all sample events, sorted: `order.shipped`, `order.shipped-part`, ..."""
    paths = FOLDER.glob("*/sample*.json")
    return tuple(sorted(_event_type(p.parent.name) + p.stem.removeprefix("sample") for p in paths))


def sample_file(name: str) -> Path:
    """Return the file of a sample event; a kind's name is that of its `sample.json`."""
    event_type, dash, case = name.partition("-")
    return folder(event_type) / f"sample{dash}{case}.json"


def sample(name: str) -> dict[str, Any]:
    """Return a sample event, as a shop would publish it."""
    event: dict[str, Any] = json.loads(sample_file(name).read_text("utf-8"))
    return event


def _event_type(folder_name: str) -> str:
    return folder_name.replace("_", ".", 1)
