"""The mail as a whole: both parts agree, lists of any length fit, and whatever a field holds is text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import kinds
from tests.support.sample_mails import BRAND, ITEM, email, order, pairs
from tests.support.shown_mail import ShownMail, in_one_line

if TYPE_CHECKING:
    from steps.contract.state import Email


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_text_says_everything_that_the_html_does(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    shown, text = ShownMail(mail["html"]), in_one_line(mail["text"])
    # A multiplication sign or a dot between two facts is typography.
    for shown_text in shown.texts:
        for fact in (part.rstrip(" ·") for part in re.split(r" · |^· |^× ", shown_text)):
            assert fact in text
    item_links = [item.get("url") for item in order(kind)["orderItems"]]
    for link in shown.links:
        assert link.removeprefix("mailto:") in text or link in item_links


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_nothing_of_the_template_language_is_left(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    for part in (mail["html"], mail["text"], mail["subject"]):
        assert not re.search(r"{[{%#]|\[\[|\[%|%\(|\bNone\b|\bj\d+j\b|var\(--", part)


@pytest.mark.parametrize("kind", kinds.samples())
def test_the_subject_is_one_line_with_the_order_and_without_the_customer(kind: str) -> None:
    subject = email(kind)["subject"]
    assert subject.splitlines() == [subject]
    assert "NW-20418" in subject
    assert "Maya" not in subject


def test_a_single_item_is_in_the_singular() -> None:
    mail = email("order.confirmed", orderItems=[ITEM])
    assert "1 item, " in mail["html"]
    assert "more item" not in mail["html"]


@pytest.mark.parametrize("long", ["Mug", "M" * 200, "ماگ" * 60, "\"<&>'" * 40, "🫖" * 200])
@pytest.mark.parametrize("pictures", [False, True])
def test_the_list_of_two_hundred_items_is_cut_and_the_total_is_not(
    long: str, *, pictures: bool
) -> None:
    picture = {"imageUrl": "https://shop.example/" + "p" * 1800, "url": "https://shop.example/x"}
    items = [
        ITEM | {"name": f"{number} {long}"} | (picture if pictures else {}) for number in range(200)
    ]
    mail = email("order.confirmed", orderItems=items, orderTotal="3700.00")
    assert len(mail["html"].encode()) < 102_400
    assert len(json.dumps(mail, ensure_ascii=False).encode()) < 250_000
    listed = {"html": mail["html"].count('<p class="name"'), "text": mail["text"].count("\n* ")}
    for part in ("html", "text"):
        hidden = re.search(r"and (\d+) more items", mail[part])
        assert hidden
        assert int(hidden[1]) + listed[part] == 200
        assert "$3,700.00" in mail[part]
        assert "https://shop.example/orders/NW-20418" in mail[part]


HOSTILE = st.text(min_size=1, max_size=60) | st.sampled_from(
    [
        "{{ 7*7 }}",
        "{% raw %}",
        "</script><script>alert(1)</script>",
        "%(name)s %s %",
        "a\r\nBcc: x@y.z",
    ]
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_field_holds_is_text(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(kinds.samples()))
    order_id, customer, name, sku = (data.draw(HOSTILE) + "x" for _ in range(4))
    items = [ITEM | {"name": name, "sku": sku}]
    mail = email(kind, orderId=order_id, customerName=customer, orderItems=items)
    _check_that_it_is_one_mail(mail)


def _check_that_it_is_one_mail(mail: Email) -> None:
    for value in (mail["subject"], mail["to"], *mail["headers"].values()):
        assert value.splitlines() == [value]
        assert value.isprintable() or not re.search(r"[\x00-\x1f\x7f]", value)
    for value in mail["headers"].values():
        assert re.fullmatch(r"[ -~]{1,995}", value), "SES takes printable ASCII"
    # A script that a value opened would be a second one.
    assert mail["html"].count("<script") == mail["html"].count("</script>") == 1
    assert ShownMail(mail["html"]).json_ld


def test_the_brand_is_in_every_mail() -> None:
    (_label, link), *_ = BRAND.footer("en").links
    for kind in kinds.samples():
        mail = email(kind)
        for detail in (BRAND.name, BRAND.support_email, BRAND.postal_address, link):
            assert detail in mail["html"]
            assert detail in mail["text"]
        assert mail["replyTo"] == BRAND.support_email


def test_a_cold_start_imports_no_library_that_rendering_does_not_need() -> None:
    code = "import sys, steps.render; print({'pydantic', 'boto3', 'email_validator'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"set()\n"
