"""Addresses, line by line, as they are written where they lead to, whatever language the mail is in.

Each country's order is Google's (libaddressinput), which `infra.addresses` brings into `built/addresses.json`.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from babel import Locale

TABLE = Path(__file__).parent / "built" / "addresses.json"
"""`formats`: by ISO 3166-1 code, one format, or two: in the country's own script, and in Latin letters.
`names`: countries' names, as `name_key` writes them, and their codes."""

NEUTRAL = "%N%n%O%n%A%n%Z %C%n%S"
"""Where nothing is known of a country; most of the world has the postal code before the city.

Formats are written as libaddressinput writes them: %N the name, %O the company, %A the lines of the street, %C
the city, %S the region, %Z the postal code, %n a new line. Other text stands before the field that follows it.
"""

_PART = re.compile(r"([^%]*)%([NOACSZ])")
_HONORIFICS = ("様", "さま", "殿", "先生", "御中")


@functools.cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return table


def name_key(name: str) -> str:
    """Return what a country's name has in common with its other spellings: case, dots, an article."""
    return name.casefold().replace(".", "").strip().removeprefix("the ")


def country_code(address: Mapping[str, str]) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of the country that an address leads to.

    Where the event has none, its country may be a code (alpha-2 or alpha-3), or a name: in English, in a
    language that mails are written in, or in one of the country's own.
    """
    if "countryCode" in address:
        return address["countryCode"]
    country = address.get("country", "")
    key = name_key(country)
    if key.upper() in _table()["formats"]:
        return key.upper()
    named: str | None = _table()["names"].get(key)
    return named


def lines(address: Mapping[str, str], locale: Locale) -> list[str]:
    """Return an address (`PostalAddress` of the event, texts clipped) as lines, in its destination's order.

    Every part that is given is shown, once, in the shop's own spelling and case. A country of which there is
    only the code is named in the reader's language, `locale`. The reader's territory decides nothing but the
    order of an address without any country.
    """
    code = country_code(address) or ""
    country = address.get("country") or locale.territories.get(code, code)
    if not country:
        code = locale.territory or ""
    native, latin = _formats(code)
    chosen = native if _is_native(address) else latin
    values = {
        "N": address.get("name", ""),
        "O": address.get("company", ""),
        "A": "\n".join(filter(None, (address.get("line1"), address.get("line2")))),
        "C": address.get("city", ""),
        "S": address.get("region", ""),
        "Z": address.get("postalCode", ""),
    }
    # Madrid is in Madrid, and Singapore in Singapore. New York, New York is how its people write it.
    twice = {country.casefold()} if code == "US" else {country.casefold(), values["C"].casefold()}
    if values["S"].casefold() in twice:
        values["S"] = ""
    if code == "JP" and chosen == native:
        values["N"] = _addressed(values["N"])
    written = [_line(line, values) for line in chosen.split("%n")]
    # Where an address goes from the large to the small, the country is the largest.
    written.insert(0 if _ends_in_name(chosen) else len(written), country)
    return [line for text in written for line in text.split("\n") if line]


def _formats(code: str) -> tuple[str, str]:
    written: str = _table()["formats"].get(code, NEUTRAL)
    native, _, latin = written.partition("\n")
    return native, latin or native


def _is_native(address: Mapping[str, str]) -> bool:
    """Whether the place is written in a script without cases: Han, Kana, Hangul, Thai, Arabic (not Latin)."""
    place = "".join(address.get(part, "") for part in ("line1", "line2", "city", "region"))
    return any(_has_no_case(character) for character in place or address.get("name", ""))


def _has_no_case(character: str) -> bool:
    return unicodedata.category(character) == "Lo" and character not in "ªº"


def _ends_in_name(chosen: str) -> bool:
    return chosen.index("%A") < chosen.index("%N")


def _addressed(name: str) -> str:
    """Return a name as Japanese addresses have it, with an honorific."""
    return name if not name or name.endswith(_HONORIFICS) else f"{name} 様"


def _line(line: str, values: Mapping[str, str]) -> str:
    """Fill in a line of a format. What stands between two parts goes where one of them is missing."""
    text = ""
    for position, (before, field) in enumerate(_PART.findall(line)):
        value = values[field]
        if value and not position:
            text = before + value.removeprefix(before)
        elif value:
            text += (before or _gap(text, value) if text else "") + value
    return text


def _gap(before: str, after: str) -> str:
    """Return what keeps two names apart that a format writes together: nothing between Han characters."""
    return "" if _has_no_case(before[-1]) and _has_no_case(after[0]) else " "
