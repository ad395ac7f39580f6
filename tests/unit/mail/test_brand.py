"""The brand: readable on whatever colour, the same after its way through the environment."""

from hypothesis import given
from hypothesis import strategies as st

from steps.mail.brand import BLACK, DARK_CARD, WHITE, Brand, contrast
from tests.support.sample_mails import BRAND

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


@given(COLOURS)
def test_a_button_is_legible_in_light_and_in_dark(colour: str) -> None:
    brand = Brand(name="Shop", support_email="a@b.example", colour=colour)
    assert brand.on_colour in (WHITE, BLACK)
    assert contrast(brand.on_colour, colour) >= 4.5
    assert contrast(brand.on_dark_colour, brand.dark_colour) >= 4.5
    assert contrast(brand.dark_colour, DARK_CARD) >= 3


def test_a_brand_comes_out_of_the_environment_as_it_went_in() -> None:
    assert Brand.from_json(BRAND.to_json()) == BRAND
