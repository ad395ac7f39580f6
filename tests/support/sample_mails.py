"""The sample mails that tests look at: every sample of every kind in every language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.local import events
from steps import kinds, render
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.mail import localise
from steps.mail.brand import DEFAULT, Brand

if TYPE_CHECKING:
    from steps.contract.state import Email

NOTIFICATION_ID = "5f" * 20
ITEM = {"name": "Stoneware mug", "quantity": 1, "price": "18.50"}
BRAND = Brand(
    name="Northwind Home",
    support_email="hello@shop.example",
    website_url="https://shop.example/",
    postal_address="12 Harbour Street, Portland, OR 97209",
    links={
        DEFAULT: (
            ("Help", "https://shop.example/help"),
            ("Returns", "https://shop.example/returns"),
        )
    },
)


def order(sample: str, **fields: Any) -> dict[str, Any]:
    """Validate a sample with `fields` changed, at the time when it is new.

    Returns: the order as the render step gets it.
    """
    return events.order(kinds.sample(sample) | fields)


def email(sample: str, *, brand: Brand = BRAND, **fields: Any) -> Email:
    """Render a sample with `fields` changed."""
    return render.render(order(sample, **fields), brand, NOTIFICATION_ID)


def pairs() -> list[tuple[str, str]]:
    """Return every sample with every language, samples first."""
    return [(sample, language) for sample in kinds.samples() for language in localise.languages()]


def in_the_order_s_story() -> list[str]:
    """Return the kinds in the order in which an order has their mails, the default first."""

    def place(name: str) -> tuple[bool, int, str]:
        return name != DEFAULT_EVENT_TYPE, kinds.kind(name).stage or 9, name

    return sorted(kinds.names(), key=place)
