"""The brand's settings: one letterhead for the render step, and one line for a wrong value."""

from __future__ import annotations

import pytest

from infra.config import Config
from infra.setting import ConfigError
from steps.mail.brand import DEFAULT, Brand, OrderWording
from tests.support.templates import AWS_SETTINGS

SHOP = {
    "BRAND_NAME": "Bücher & Mehr",
    "BRAND_COLOUR": "#7A1F3D",
    "BRAND_LOGO_URL": "https://shop.example/logo.png",
    "BRAND_LOGO_DARK_URL": "https://shop.example/logo-dark.png",
    "BRAND_WEBSITE_URL": "https://shop.example/",
    "BRAND_POSTAL_ADDRESS": "Hafenstr. 12, 20457 Hamburg",
    "BRAND_LINKS": "Hilfe=https://shop.example/help?a=1, Rückgabe=https://shop.example/returns",
    "SUPPORT_EMAIL": "hallo@shop.example",
    "SUPPORT_PHONE": "+49 40 1234567",
    "ORDER_WORDING": "received",
    "LIST_UNSUBSCRIBE_URL": "https://shop.example/u/{notificationId}",
}


def test_every_setting_is_read() -> None:
    brand = Config.from_environment(SHOP, local=True).brand
    assert brand == Brand(
        name="Bücher & Mehr",
        support_email="hallo@shop.example",
        support_phone="+49 40 1234567",
        colour="#7A1F3D",
        logo_url="https://shop.example/logo.png",
        logo_dark_url="https://shop.example/logo-dark.png",
        website_url="https://shop.example/",
        postal_address="Hafenstr. 12, 20457 Hamburg",
        links={
            DEFAULT: (
                ("Hilfe", "https://shop.example/help?a=1"),
                ("Rückgabe", "https://shop.example/returns"),
            )
        },
        unsubscribe_url="https://shop.example/u/{notificationId}",
        order_wording=OrderWording.RECEIVED,
    )


def test_on_aws_an_unnamed_brand_is_called_after_the_sender() -> None:
    config = Config.from_environment(AWS_SETTINGS, local=False)
    assert (config.brand.name, config.brand.support_email) == (
        "shop.example",
        "orders@shop.example",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BRAND_NAME", "Shop\r\nBcc: eve@evil.example"),
        ("BRAND_NAME", "x" * 81),
        ("BRAND_COLOUR", "green"),
        ("BRAND_COLOUR", "#1f5a43;x:y"),
        ("BRAND_LOGO_URL", "http://shop.example/logo.png"),
        ("BRAND_WEBSITE_URL", "javascript:alert(1)"),
        ("BRAND_WEBSITE_URL", "https://"),
        ("BRAND_WEBSITE_URL", "https://@shop.example"),
        ("BRAND_WEBSITE_URL", "https:///shop.example"),
        ("BRAND_WEBSITE_URL", "https://\\shop.example"),
        ("BRAND_WEBSITE_URL", "https://shop.example@evil.example/"),
        ("BRAND_WEBSITE_URL", "https://192.0.2.1/"),
        ("BRAND_LOGO_URL", "https://[2001:db8::1]/logo.png"),
        ("BRAND_LINKS", "Help=https://3232235777"),
        ("LIST_UNSUBSCRIBE_URL", "https://0x7f.1/{notificationId}"),
        ("BRAND_POSTAL_ADDRESS", "x" * 201),
        ("BRAND_LINKS", "https://shop.example"),
        ("BRAND_LINKS", ",".join(["a=https://b.example"] * 11)),
        ("ORDER_WORDING", "accepted"),
        ("BRAND_FILE", "no-such-file.json"),
        ("BRAND_FILE", "infra"),
        *(
            ("SUPPORT_PHONE", wrong)
            for wrong in (
                *("+49 (0)40 1234567", "12", "call us", "+", "+49 40 1234567 ext. 3"),
                *("1" * 16, "٠٤٠١٢٣٤٥٦٧", "0800-FLOWERS", "+49\n40 1234567"),
            )
        ),
        ("SUPPORT_EMAIL", "nobody"),
        ("LIST_UNSUBSCRIBE_URL", "https://shop.example/ü"),
        ("LIST_UNSUBSCRIBE_URL", "https://shop.example/>,<mailto:x@evil.example"),
    ],
)
def test_a_wrong_value_is_named_with_what_the_setting_takes(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{variable} is ") as caught:
        Config.from_environment({variable: value}, local=True)
    assert "it takes" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "link"),
    [
        ("+49 40 1234567", "tel:+49401234567"),
        ("+1 (503) 555-0100", "tel:+15035550100"),
        ("(503) 555-0100", "tel:5035550100"),
        ("0800 330 1000", "tel:08003301000"),
        ("+81 3-1234-5678", "tel:+81312345678"),
        ("110", "tel:110"),
    ],
)
def test_a_phone_number_is_shown_as_given_and_dialled_by_its_digits(number: str, link: str) -> None:
    brand = Config.from_environment({"SUPPORT_PHONE": number}, local=True).brand
    assert (brand.support_phone, brand.phone_link) == (number, link)
