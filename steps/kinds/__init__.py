"""The kinds of mail. A kind is a folder here: `order_shipped` holds what `order.shipped` is made of.

__init__.py    `OrderShipped`: what the kind adds to the order event; `MAX_AGE`: how late it may be sent
words.j2       subject, headline, lead and preheader, for both parts
mail.html.j2   the HTML part, laid on `base.html.j2`
mail.txt.j2    the text part, laid on `base.txt.j2`
sample.json    an event of the kind, for previews and tests
texts/*.po     translations of what this kind alone says; `steps/kinds/texts` has the common ones

Templates are composed and their styles inlined before deployment (`infra.mail`), into `steps/mail/built`.
Adding a kind is adding a folder. Finding them reads names only: the render step pays for no model.
"""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from steps.contract.order_event import OrderEvent

FOLDER = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """Return the known event types, sorted."""
    return tuple(sorted(_event_type(path.parent.name) for path in FOLDER.glob("*/__init__.py")))


def folder(event_type: str) -> Path:
    """Return the folder of a known kind."""
    return FOLDER / event_type.replace(".", "_")


def event(event_type: str) -> tuple[type[OrderEvent], timedelta]:
    """Return a known kind's event and the age beyond which it is not sent any more."""
    name = folder(event_type).name
    module = importlib.import_module(f"{__name__}.{name}")
    return getattr(module, name.title().replace("_", "")), module.MAX_AGE


def sample(event_type: str) -> dict[str, Any]:
    """Return a known kind's sample event, as a shop would publish it."""
    event: dict[str, Any] = json.loads((folder(event_type) / "sample.json").read_text("utf-8"))
    return event


def _event_type(folder_name: str) -> str:
    return folder_name.replace("_", ".", 1)
