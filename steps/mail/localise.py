"""Languages: which one a customer reads, and how it writes amounts, numbers and dates.

Texts are gettext catalogues in `built/`, made by `infra.mail`; English is what the templates say.
"""

from __future__ import annotations

import copy
import functools
import gettext
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval
from babel.numbers import (
    NumberPattern,
    format_decimal,
    format_percent,
    get_currency_precision,
    get_currency_symbol,
)

BUILT = Path(__file__).parent / "built"
SOURCE = "en"
_MARKS = re.compile("[\u200e\u200f\u061c]")


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the languages that mails are written in."""
    return tuple(sorted({SOURCE, *(path.stem for path in BUILT.glob("*.mo"))}))


@dataclass(frozen=True, eq=False)
class Language:
    """A catalogue, and the locale whose conventions go with it.

    Remembers what it wrote: a mail says its total four times, and shops' prices repeat.
    """

    texts: gettext.NullTranslations
    locale: Locale

    @property
    def tag(self) -> str:
        """The BCP 47 tag, for the mail's `lang`."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return str(self.locale.text_direction)

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def money(self, amount: str | Decimal, currency: str, *, rounded: bool = False) -> str:
        """Write an amount with the currency's decimals (ISO 4217), more only where it has more."""
        pattern = _currency_pattern(self.locale, currency)
        written: str = pattern.apply(_plain(amount), self.locale, decimal_quantization=rounded)
        if self.direction == "rtl":
            # Else "US$" and the minus sign come out reversed: a left-to-right isolate (UAX 9).
            written = f"\u2066{_MARKS.sub('', written)}\u2069"
        return written

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def number(self, value: str) -> str:
        """Write a number."""
        written: str = format_decimal(_plain(value), locale=self.locale, decimal_quantization=False)
        return written

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def date(self, moment: str) -> str:
        """Write the day of an ISO 8601 date or moment, in the moment's own time zone."""
        day = date.fromisoformat(moment) if len(moment) == 10 else datetime.fromisoformat(moment)  # noqa: PLR2004
        written: str = format_date(day, "long", locale=self.locale)
        return written

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def dates(self, first: str, last: str) -> str:
        """Write an interval of days, two ISO 8601 dates."""
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        written: str = format_interval(begin, end, "yMMMMd", locale=self.locale)
        return written

    def percent(self, rate: str) -> str:
        """Write a rate that is given in percent."""
        written: str = format_percent(
            Decimal(rate) / 100, locale=self.locale, decimal_quantization=False
        )
        return written

    def isolate(self, text: str) -> str:
        """Return the text."""
        return text


LANGUAGES_KEPT = 64
"""Of the tags that events name, of which there is no end. Babel keeps the CLDR's data of each locale
that it has read: 32 MB for all that can be asked for."""


@functools.lru_cache(maxsize=LANGUAGES_KEPT)
def language(tag: str) -> Language:
    """Find what a BCP 47 tag asks for: `de-AT` is German as written in Austria.

    A language without texts gets English, in its own territory's English where the CLDR has one.
    """
    parts = tag.split("-")
    wanted, territory = parts[0].lower(), parts[-1] if len(parts) > 1 else ""
    if wanted in languages():
        candidates = [tag, wanted]
    else:
        wanted, candidates = SOURCE, [f"{SOURCE}-{territory}"] * bool(territory) + [SOURCE]
    for candidate in candidates:
        try:
            locale = Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
        return Language(_catalogue(wanted), locale)
    raise AssertionError(candidates)


@functools.lru_cache(maxsize=LANGUAGES_KEPT)
def _currency_pattern(locale: Locale, currency: str) -> NumberPattern:
    """The locale's pattern with the currency's symbol and decimals in it.

    What `babel.numbers.format_currency` does for each amount anew, which was a fifth of a mail's time.
    """
    pattern: NumberPattern = copy.copy(locale.currency_formats["standard"])
    symbol = get_currency_symbol(currency, locale)
    for side in ("prefix", "suffix"):
        positive, negative = getattr(pattern, side)
        setattr(pattern, side, (positive.replace("¤", symbol), negative.replace("¤", symbol)))
    pattern.frac_prec = (get_currency_precision(currency),) * 2
    return pattern


@functools.cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == SOURCE:
        return gettext.NullTranslations()
    with (BUILT / f"{name}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def _plain(value: str | Decimal) -> Decimal:
    """Drop trailing zeros: an amount written "29.990" has two decimals."""
    number = Decimal(value).normalize()
    return number.quantize(Decimal(1)) if number.as_tuple().exponent > 0 else number  # type: ignore[operator]
