"""The From field: whatever the shop's name, it is one line of ASCII that is read as the name again."""

from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest

from steps.aws.ses import from_field


@pytest.mark.parametrize(
    "name",
    [
        "Shop",
        'Ann "Q" O\'Neil, Ltd.',
        "Bücher & Mehr",
        "日本のとても長い名前のお店" * 4,
        "متجر",
        "a@b",
        "🫖",
    ],
)
def test_the_from_field_is_read_as_the_name_and_address_that_it_was_made_of(name: str) -> None:
    field = from_field(name, "orders@shop.example")
    assert field.isascii()
    assert field.splitlines() == [field]
    assert all(len(word) <= 75 for word in field.split())
    shown, address = parseaddr(field)
    assert (str(make_header(decode_header(shown))), address) == (name, "orders@shop.example")
