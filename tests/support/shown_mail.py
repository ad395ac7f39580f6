"""A mail's HTML part as a person and a machine read it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

JsonLd = dict[str, Any]
"""A node of JSON-LD: `@type` and the properties of that type."""


class ShownMail(HTMLParser):
    """The texts that a reader sees, where the links go, and the data for machines (schema.org)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._script = ""
        self._unseen_tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in ("style", "title", "script"):
            self._unseen_tag = tag
        if attributes.get("class") == "preheader":
            self._unseen_tag = "div"
        if tag == "a" and (link := attributes.get("href")):
            self.links.append(link)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen_tag:
            self._unseen_tag = ""

    def handle_data(self, data: str) -> None:
        if self._unseen_tag == "script":
            self._script += data
        if not self._unseen_tag and data.strip():
            self.texts.append(in_one_line(data))

    @property
    def json_ld(self) -> JsonLd:
        """What the mail's only script says."""
        root: JsonLd = json.loads(self._script)
        return root


def order_in(json_ld: JsonLd) -> JsonLd:
    """Return the order that a mail's data is about, be it a parcel's or the order itself."""
    order: JsonLd = json_ld.get("partOfOrder") or json_ld
    return order


def in_one_line(text: str) -> str:
    """Return a text with every white space one space."""
    return " ".join(text.split())
