"""Languages: which one a customer reads, and how it writes amounts and counts."""

from __future__ import annotations

import gettext
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from bidi import get_display
from markupsafe import Markup

from steps import render
from steps.mail import localise
from tests.support.sample_mails import email
from tests.support.shown_mail import in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def written_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let there be texts in some languages, and in English."""

    def be_written_in(*tags: str) -> None:
        monkeypatch.setattr(localise, "languages", lambda: tuple(sorted({"en", *tags})))
        monkeypatch.setattr(localise, "catalogue", Texts)
        localise.language.cache_clear()

    yield be_written_in
    localise.language.cache_clear()


class Texts(gettext.NullTranslations):
    """Texts that say whose they are."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def gettext(self, message: str) -> str:
        return f"{message} in {self.name}"


@pytest.mark.parametrize(
    ("tag", "texts", "conventions"),
    [
        ("de-AT", "de", "de-AT"),
        ("DE-at", "de", "de-AT"),
        ("de-Latn-AT", "de", "de-AT"),
        ("de-AT-1996", "de", "de-AT"),
        ("de-1996", "de", "de"),
        ("de-XX", "de", "de"),
        ("pt-BR", "pt-BR", "pt-BR"),
        ("pt-br", "pt-BR", "pt-BR"),
        ("pt", "pt-BR", "pt"),
        ("pt-PT", "pt-BR", "pt-PT"),
        ("pt-AO", "pt-BR", "pt-AO"),
        ("es-AR", "es", "es-AR"),
        ("en", "en", "en"),
        ("en-US", "en", "en-US"),
        ("en-PH", "en", "en-PH"),
        ("en-GB", "en-GB", "en-GB"),
        ("en-UK", "en-GB", "en-GB"),
        ("en-001", "en-GB", "en-001"),
        ("en-AU", "en-GB", "en-AU"),
        ("en-IE", "en-GB", "en-IE"),
        ("en-CA", "en", "en-CA"),
        ("en-DE", "en-GB", "en-DE"),
        ("sv-SE", "en-GB", "en-SE"),
        ("zh-Hant-TW", "en", "en"),
        ("sr-Latn-RS", "en", "en"),
        ("zh-yue-Hant-HK", "en-GB", "en-HK"),
        ("sv", "en", "en"),
        ("ht-HT", "en", "en"),
        ("hi-Latn-IN", "en-GB", "en-IN"),
        ("xx", "en", "en"),
        ("x", "en", "en"),
        ("", "en", "en"),
        ("de--AT", "de", "de"),
    ],
)
def test_a_tag_gets_the_nearest_texts_and_its_own_territory_s_conventions(
    written_in: Callable[..., None], tag: str, texts: str, conventions: str
) -> None:
    written_in("de", "es", "fr", "pt-BR", "en-GB")
    chosen = localise.language(tag)
    assert (chosen.texts.gettext("Total"), chosen.tag) == (f"Total in {texts}", conventions)


@pytest.mark.parametrize(
    ("tag", "texts"),
    [("pt-PT", "pt-PT"), ("pt-AO", "pt-AO"), ("pt-MZ", "pt-PT"), ("pt-BR", "pt-BR")],
)
def test_texts_of_one_s_own_territory_come_first(
    written_in: Callable[..., None], tag: str, texts: str
) -> None:
    written_in("pt-AO", "pt-BR", "pt-PT")
    assert localise.language(tag).texts.gettext("Total") == f"Total in {texts}"


def test_a_language_without_texts_falls_back_to_english_as_its_territory_writes_it(
    written_in: Callable[..., None],
) -> None:
    written_in("de")
    for tag, expected in (
        ("de-AT", "€ 1.234,50"),
        ("de-CH", "EUR 1’234.50"),
        ("pl", "€1,234.50"),
        ("sv-SE", "1 234,50 €"),
    ):
        assert in_one_line(localise.language(tag).money("1234.5", "EUR")) == expected


def test_a_mail_names_its_language() -> None:
    for tag in ("en-US", "de-AT", "zh-Hant-TW"):
        expected = localise.language(tag).tag
        assert f'lang="{expected}"' in email("order.confirmed", locale=tag)["html"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1234", "JPY", "¥1,234"),
        ("1.5", "KWD", "KWD 1.500"),
        ("0.005", "BHD", "BHD 0.005"),
        ("29.990000", "USD", "$29.99"),
        ("0.0049", "USD", "$0.0049"),
        ("100", "USD", "$100.00"),
        ("-24.6", "USD", "-$24.60"),
        ("-24.6", "CHF", "-CHF 24.60"),
        ("-0.00", "USD", "$0.00"),
        ("999999999999999.99", "USD", "$999,999,999,999,999.99"),
    ],
)
def test_an_amount_has_its_currency_s_decimals(amount: str, currency: str, expected: str) -> None:
    assert in_one_line(localise.language("en-US").money(amount, currency)) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.125", "USD", "0.13"),
        ("2.625", "EUR", "2.63"),
        ("-0.125", "USD", "-0.13"),
        ("1.5", "JPY", "2"),
        ("0.0005", "KWD", "0.001"),
    ],
)
def test_a_product_of_price_and_quantity_is_rounded_half_up(
    amount: str, currency: str, expected: str
) -> None:
    assert str(localise.rounded(Decimal(amount), currency)) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234.5", "USD", "US$ 1,234.50"),
        ("-24.6", "USD", "US$ -24.60"),
        ("-24.6", "CHF", "CHF -24.60"),
        ("-24.6", "EUR", "€ -24.60"),
        ("1.5", "KWD", ".ك.د 1.500"),
        ("-1.5", "KWD", ".ك.د -1.500"),
    ],
)
def test_an_arabic_amount_shows_right(amount: str, currency: str, shown: str) -> None:
    """From left to right: the symbol is what comes last, whether or not the amount is less than nothing."""
    arabic = localise.language("ar")
    money = arabic.money(amount, currency)
    assert displayed(money, "R") == shown
    for text in (arabic.isolate(money), f"Visa {arabic.isolate(money)} 2026"):
        for direction in "LR":
            assert shown in displayed(text, direction)


def displayed(text: str, direction: str) -> str:
    """Return the characters that show, as they stand from left to right."""
    shown = get_display(text, base_dir=direction)
    assert isinstance(shown, str)
    return in_one_line("".join(c for c in shown if unicodedata.category(c) != "Cf"))


def test_an_id_in_arabic_shows_as_it_is_written() -> None:
    order_id = "123-4567890-1234567"
    mail = email("order.confirmed", locale="ar", orderId=order_id)
    assert order_id in displayed(mail["subject"], "R")
    assert order_id not in displayed(
        mail["subject"].translate(dict.fromkeys((0x2068, 0x2069))), "R"
    )


@pytest.mark.parametrize("text", ["NW-20418", "Zoë", "株式会社", "£20", ""])
def test_in_a_mail_from_left_to_right_what_is_so_needs_no_isolate(text: str) -> None:
    assert localise.language("en").isolate(text) == text
    assert localise.language("ar").isolate(text) == f"\u2068{text}\u2069"


@pytest.mark.parametrize("text", ["ليلى", "דנה", "Shop ١٢", "a\u200f"])
def test_in_a_mail_from_left_to_right_the_rest_is_isolated(text: str) -> None:
    assert localise.language("de").isolate(text) == f"\u2068{text}\u2069"
    lead = email("order.cancelled", customerName=text)["text"]
    assert f"Hello \u2068{text}\u2069," in lead


def test_what_is_markup_already_is_put_into_a_text_as_it_is() -> None:
    template = render.environment().from_string(
        "{{ _('Hello %(name)s', name=name) }} {{ ngettext('%(num)d %(of)s', '%(num)d %(of)s', 2, of=name) }}"
    )
    context = {"texts": gettext.NullTranslations(), "isolate": localise.language("ar").isolate}
    for name, shown in ((Markup("<bdi>Li</bdi>"), "<bdi>Li</bdi>"), ("Li", "\u2068Li\u2069")):
        assert template.render(context, name=name) == f"Hello {shown} 2 {shown}"


@pytest.mark.parametrize("number", [3, 5, 11, 21, 100])
@pytest.mark.parametrize("language", localise.languages())
def test_every_plural_form_but_those_for_one_and_two_contains_the_number(
    language: str, number: int
) -> None:
    texts = localise.language(language).texts
    for forms in (
        ("and %(num)d more item", "and %(num)d more items"),
        ("%(num)d item in this package", "%(num)d items in this package"),
    ):
        assert str(number) in texts.ngettext(*forms, number) % {"num": number}


def test_what_events_may_name_without_end_is_not_kept_without_end() -> None:
    for number in range(3 * localise.LANGUAGES_KEPT):
        localise.language(f"xx-{number:03}").money("1.50", "EUR")
    for cache in (localise.language, localise._currency_pattern):
        assert cache.cache_info().currsize <= localise.LANGUAGES_KEPT
