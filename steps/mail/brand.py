"""The shop's letterhead: written beside the templates at synth, read by the render step.

Of the settings it is made by `infra.brand`.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

WHITE, BLACK = "#ffffff", "#000000"
LIGHT_CARD, DARK_CARD = WHITE, "#191c20"
GRAPHIC_CONTRAST = 3.0
"""WCAG 2.2, 1.4.11: what a shape needs against what is next to it."""

DEFAULT = "default"
"""Stands in place of a language tag: for all languages that have no entry."""

STORED = Path(__file__).parent / "built" / "brand.json"
"""Where the brand is in the bundle; `infra.mail` writes it."""


class OrderWording(StrEnum):
    """What the confirmation says of an order: where "confirmed" may be read as accepting it, "received"."""

    CONFIRMED = "confirmed"
    RECEIVED = "received"


class Footer(NamedTuple):
    """A mail's last lines in one language: links as (label, URL), and the legal lines."""

    links: tuple[tuple[str, str], ...]
    legal: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Brand:
    """Who the mails are from. Empty means that the mail goes without.

    `colour` is `#rrggbb`. `links`, as (label, URL) pairs, and `legal`, as lines, are by BCP 47 tag or
    `DEFAULT`: see `footer`. `unsubscribe_url` may hold `{notificationId}`, and turns on one-click
    unsubscribe (RFC 8058).
    """

    name: str
    support_email: str
    support_phone: str = ""
    colour: str = "#1f5a43"
    logo_url: str = ""
    logo_dark_url: str = ""
    website_url: str = ""
    postal_address: str = ""
    links: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    legal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsubscribe_url: str = ""
    order_wording: OrderWording = OrderWording.CONFIRMED

    @functools.cached_property
    def light_colour(self) -> str:
        """`colour`, darkened until it stands out from the card in light mode."""
        return _standing_out(self.colour, LIGHT_CARD, BLACK)

    @functools.cached_property
    def on_light_colour(self) -> str:
        """The text colour that is read best on `light_colour`: always 4.5:1 or better."""
        return _text_on(self.light_colour)

    @functools.cached_property
    def dark_colour(self) -> str:
        """`colour`, lightened until it stands out from the card in dark mode."""
        return _standing_out(self.colour, DARK_CARD, WHITE)

    @functools.cached_property
    def on_dark_colour(self) -> str:
        """The text colour that is read best on `dark_colour`."""
        return _text_on(self.dark_colour)

    @property
    def phone_link(self) -> str:
        """The URI that calls `support_phone` (RFC 3966)."""
        return "tel:" + "".join(c for c in self.support_phone if c.isdigit() or c == "+")

    def footer(self, *tags: str) -> Footer:
        """Return links and legal lines for a language tag: its own, else a wider one's, else the default's.

        `de-AT`, then `de`, then `DEFAULT`; each of the two for itself (RFC 4647, 3.4, "Lookup").
        """
        return Footer(_looked_up(self.links, tags), _looked_up(self.legal, tags))

    def to_json(self) -> str:
        """Return what `from_json` reads: the same text for the same brand."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Brand:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        links = {
            tag: tuple((label, url) for label, url in pairs)
            for tag, pairs in fields["links"].items()
        }
        legal = {tag: tuple(lines) for tag, lines in fields["legal"].items()}
        wording = OrderWording(fields["order_wording"])
        return cls(**fields | {"links": links, "legal": legal, "order_wording": wording})

    @classmethod
    @functools.cache
    def load(cls) -> Brand:
        """Return the brand that the code was deployed with, read once."""
        return cls.from_json(STORED.read_text("utf-8"))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _looked_up(entries: Mapping[str, tuple[T, ...]], tags: Sequence[str]) -> tuple[T, ...]:
    by_tag = {name.lower(): entry for name, entry in entries.items()}
    for tag in tags:
        wanted = tag.lower()
        while wanted:
            if wanted in by_tag:
                return by_tag[wanted]
            wanted = wanted.rpartition("-")[0]
    return by_tag.get(DEFAULT, ())


def _standing_out(colour: str, card: str, towards: str) -> str:
    """Mix a colour with black or white until a shape of it is seen on the card."""
    for percent in range(0, 100, 5):
        mixed = "#" + "".join(
            f"{(start * (100 - percent) + end * percent) // 100:02x}"
            for start, end in zip(_channels(colour), _channels(towards), strict=True)
        )
        if contrast(mixed, card) >= GRAPHIC_CONTRAST:
            return mixed
    return towards


def _text_on(colour: str) -> str:
    return max(WHITE, BLACK, key=lambda text: contrast(text, colour))


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB
        for c in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
