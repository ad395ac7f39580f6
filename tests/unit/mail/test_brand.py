"""The brand: readable on whatever colour, stored as it is, and with its own last lines in each language."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import mail
from infra.brand import LOCAL_BRAND
from steps.mail.brand import (
    BLACK,
    DARK_CARD,
    DEFAULT,
    LIGHT_CARD,
    WHITE,
    Brand,
    OrderWording,
    contrast,
)
from tests.support.sample_mails import BRAND, email
from tests.support.shown_mail import ShownMail

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)

WHOLE = Brand(
    name="Northwind Home",
    support_email="hallo@shop.example",
    support_phone="+49 40 123 456-78",
    colour="#d9a400",
    logo_url="https://shop.example/logo.png",
    logo_dark_url="https://shop.example/logo-dark.png",
    website_url="https://shop.example/",
    postal_address="Hafenstr. 12, 20457 Hamburg",
    links={
        "de": (("AGB & mehr", "https://shop.example/agb?a=1&b=2"),),
        "de-AT": (("Impressum", "https://shop.example/at/impressum"),),
        DEFAULT: (("Terms", "https://shop.example/terms"),),
    },
    legal={
        "de": ("Northwind Home GmbH", "Amtsgericht Hamburg, HRB 12345", "USt-IdNr. DE123456789"),
        DEFAULT: ("Northwind Home GmbH", "VAT ID DE123456789"),
    },
    unsubscribe_url="https://shop.example/u/{notificationId}",
    order_wording=OrderWording.RECEIVED,
)
"""A brand with everything."""


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


@given(COLOURS)
def test_what_has_the_brand_s_colour_is_seen_and_legible_in_light_and_in_dark(colour: str) -> None:
    brand = Brand(name="Shop", support_email="a@b.example", colour=colour)
    assert contrast(brand.light_colour, LIGHT_CARD) >= 3
    assert contrast(brand.dark_colour, DARK_CARD) >= 3
    for text, under in (
        (brand.on_light_colour, brand.light_colour),
        (brand.on_dark_colour, brand.dark_colour),
    ):
        assert text in (WHITE, BLACK)
        assert contrast(text, under) >= 4.5


@given(COLOURS)
def test_a_colour_that_is_seen_stays_as_it_is(colour: str) -> None:
    brand = Brand(name="Shop", support_email="a@b.example", colour=colour)
    assert (brand.light_colour == colour) == (contrast(colour, LIGHT_CARD) >= 3)
    assert (brand.dark_colour == colour) == (contrast(colour, DARK_CARD) >= 3)


@pytest.mark.parametrize("brand", [BRAND, WHOLE], ids=["plain", "whole"])
def test_a_brand_comes_out_of_its_file_as_it_went_in(brand: Brand) -> None:
    read = Brand.from_json(brand.to_json())
    assert read == brand
    assert isinstance(read.order_wording, OrderWording)


def test_the_order_of_languages_makes_no_other_file() -> None:
    turned = replace(WHOLE, legal=dict(reversed(list(WHOLE.legal.items()))))
    assert list(turned.legal) != list(WHOLE.legal)
    assert turned.to_json() == WHOLE.to_json()


def test_the_step_reads_what_was_built(tmp_path: Path) -> None:
    """A checkout has the laptop's brand, a bundle that of its settings."""
    assert Brand.load() == LOCAL_BRAND
    assert Brand.load() is Brand.load()
    mail.build(tmp_path, WHOLE)
    assert Brand.from_json((tmp_path / "brand.json").read_text("utf-8")) == WHOLE


def test_the_brand_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import steps.mail.brand\n"
        "print({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed == "{'steps'}\n"


# --- languages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "link", "register"),
    [
        ("de", "AGB & mehr", True),
        ("de-CH", "AGB & mehr", True),
        ("de-AT", "Impressum", True),
        ("DE-at", "Impressum", True),
        ("de-Latn-AT", "AGB & mehr", True),
        ("den", "Terms", False),
        ("en-US", "Terms", False),
        ("zh-Hant-TW", "Terms", False),
    ],
)
def test_a_language_gets_its_own_else_a_wider_one_s_else_the_default(
    tag: str, link: str, *, register: bool
) -> None:
    footer = WHOLE.footer(tag)
    assert footer.links[0][0] == link
    assert (footer.legal == WHOLE.legal["de"]) == register


def test_a_script_is_nearer_than_the_language_alone() -> None:
    lines = {"zh": ("simplified",), "zh-Hant": ("traditional",), DEFAULT: ()}
    brand = Brand(name="Shop", support_email="a@b.example", legal=lines)
    assert brand.footer("zh-Hant-TW").legal == ("traditional",)
    assert brand.footer("zh-Hans").legal == ("simplified",)
    assert brand.footer("en") == ((), ())


# --- in the mail ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "other"), [("de-AT", "en"), ("en", "de"), ("ar", "de")])
def test_both_parts_end_with_links_and_legal_lines_in_the_mail_s_language(
    locale: str, other: str
) -> None:
    mail_ = email("order.confirmed", brand=WHOLE, locale=locale)
    shown = ShownMail(mail_["html"])
    footer = WHOLE.footer(locale)
    for label, url in footer.links:
        assert label in shown.texts
        assert url in shown.links
        assert f"{label}: {url}" in mail_["text"]
    for line in footer.legal:
        assert line in shown.texts
        assert line in mail_["text"]
    assert {url for _, url in WHOLE.footer(other).links}.isdisjoint(shown.links)


def test_the_legal_block_stands_in_place_of_name_and_address() -> None:
    with_it, without = (email("order.confirmed", brand=brand) for brand in (WHOLE, BRAND))
    assert WHOLE.postal_address not in with_it["text"]
    assert WHOLE.postal_address not in with_it["html"]
    assert BRAND.postal_address in without["text"]


@pytest.mark.parametrize("brand", [BRAND, WHOLE], ids=["address", "address-and-phone"])
def test_how_to_reach_the_shop_is_one_sentence_with_links(brand: Brand) -> None:
    mail_ = email("order.confirmed", brand=brand)
    sentence = "Any questions? Just reply to this email "
    if brand.support_phone:
        sentence = sentence[:-1] + ", write to hallo@shop.example, or call +49 40 123 456-78."
    else:
        sentence += "or write to hello@shop.example."
    assert sentence in mail_["text"].splitlines()
    (paragraph,) = re.findall(r"<p[^>]*>(Any questions.*?)</p>", mail_["html"])
    assert re.sub("<[^>]+>", "", paragraph) == sentence
    links = ShownMail(paragraph).links
    assert links == [f"mailto:{brand.support_email}"] + ["tel:+494012345678"] * bool(
        brand.support_phone
    )


def test_a_phone_number_reads_from_left_to_right_in_an_arabic_mail() -> None:
    """Else its groups come out in reverse: an isolate (UAX 9)."""
    assert (
        f"\u2066{WHOLE.support_phone}\u2069"
        in email("order.confirmed", brand=WHOLE, locale="ar")["text"]
    )
    assert "\u2066+" not in email("order.confirmed", brand=WHOLE)["text"]


def test_there_are_two_logos_only_where_there_is_a_dark_one() -> None:
    def logos(brand: Brand) -> list[str]:
        return re.findall(r'<img class="logo[^>]*>', email("order.confirmed", brand=brand)["html"])

    light, dark = logos(WHOLE)
    assert WHOLE.logo_url in light
    assert WHOLE.logo_dark_url in dark
    assert "display: none" in dark
    assert "display: none" not in light
    (alone,) = logos(Brand(name="Shop", support_email="a@b.example", logo_url=WHOLE.logo_url))
    assert "logo-light" not in alone
    assert logos(BRAND) == []
