"""The shop's letterhead: read from the settings at synth, handed to the render step as JSON."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass

WHITE, BLACK, DARK_CARD = "#ffffff", "#000000", "#191c20"
GRAPHIC_CONTRAST = 3.0
"""WCAG 2.2, 1.4.11: what a shape needs against what is next to it."""


@dataclass(frozen=True, kw_only=True)
class Brand:
    """Who the mails are from. Empty means that the mail goes without.

    `colour` is `#rrggbb`; `links` are the footer's (label, URL) pairs; `unsubscribe_url` may hold
    `{notificationId}`, and turns on one-click unsubscribe (RFC 8058).
    """

    name: str
    support_email: str
    colour: str = "#1f5a43"
    logo_url: str = ""
    website_url: str = ""
    postal_address: str = ""
    links: tuple[tuple[str, str], ...] = ()
    unsubscribe_url: str = ""
    order_wording: str = "confirmed"

    @functools.cached_property
    def on_colour(self) -> str:
        """The text colour that is read best on `colour`: always 4.5:1 or better."""
        return _text_on(self.colour)

    @functools.cached_property
    def dark_colour(self) -> str:
        """`colour`, lightened until it stands out from the card in dark mode."""
        red, green, blue = _channels(self.colour)
        for percent in range(0, 100, 5):
            mixed = [c + (255 - c) * percent // 100 for c in (red, green, blue)]
            candidate = "#{:02x}{:02x}{:02x}".format(*mixed)
            if contrast(candidate, DARK_CARD) >= GRAPHIC_CONTRAST:
                return candidate
        return WHITE

    @functools.cached_property
    def on_dark_colour(self) -> str:
        """The text colour that is read best on `dark_colour`."""
        return _text_on(self.dark_colour)

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    @functools.cache
    def from_json(cls, text: str) -> Brand:
        """Read what `to_json` wrote; the same text gives the same object, colours worked out once."""
        fields = json.loads(text)
        return cls(**fields | {"links": tuple((label, url) for label, url in fields["links"])})


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


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
