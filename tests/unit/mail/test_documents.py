"""Which documents a mail names and how, and which of them may be attached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.ses.mime import UNSUPPORTED_TYPES
from steps.contract import limits
from steps.contract.attachments import MEDIA_TYPES, Unattached, extension
from steps.contract.errors import AttachmentUnavailable
from steps.mail.documents import Attachable, Document, of_the_order, references
from steps.render import render
from tests.support.sample_mails import BRAND, NOTIFICATION_ID, order

if TYPE_CHECKING:
    from steps.contract.state import Reference

SHA256 = "0a" * 32
INVOICE = {"uri": "s3://shop/mails/4711", "sha256": SHA256, "fileName": "Invoice-4711.pdf"}
TERMS = INVOICE | {"fileName": "Terms.pdf", "url": "https://shop.example/terms"}


@pytest.mark.parametrize("linked", [False, True])
def test_a_mail_names_its_documents_and_where_else_they_are(*, linked: bool) -> None:
    given = {"attachments": [INVOICE, TERMS], "orderUrl": "https://shop.example/orders/1"}
    told = of_the_order(given, linked=linked)
    assert told["documents_attached"] is not linked
    assert told["documents"] == [
        Document("Invoice-4711.pdf", "https://shop.example/orders/1"),
        Document("Terms.pdf", "https://shop.example/terms"),
    ]


def test_a_document_without_any_place_is_named_alone() -> None:
    assert of_the_order({"attachments": [INVOICE]}, linked=True)["documents"] == [
        Document("Invoice-4711.pdf", "")
    ]


@pytest.mark.parametrize("fields", [{}, {"attachments": None}])
def test_an_order_without_attachments_has_no_documents(fields: dict[str, Any]) -> None:
    assert of_the_order(fields, linked=False) == {"documents": [], "documents_attached": False}
    assert references(fields) == []


def test_the_send_step_is_told_of_attachments_and_of_nothing_that_is_linked() -> None:
    with_files = order("order.confirmed", attachments=[INVOICE, TERMS])
    mail = render(with_files, BRAND, NOTIFICATION_ID)
    assert mail["attachments"] == [INVOICE, INVOICE | {"fileName": "Terms.pdf"}]
    assert "attachments" not in render(with_files, BRAND, NOTIFICATION_ID, linked=True)
    assert "attachments" not in render(order("order.confirmed"), BRAND, NOTIFICATION_ID)


def test_the_send_step_is_told_of_no_more_than_it_needs_to_see_that_there_are_too_many() -> None:
    given = [INVOICE | {"fileName": f"{number}.pdf"} for number in range(20)]
    assert len(references({"attachments": given})) == limits.ATTACHMENTS_MAX + 1


def reference(**changes: str) -> Reference:
    return {**INVOICE, **changes}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("file_name", "media_type"),
    [
        ("Invoice-4711.pdf", "application/pdf"),
        ("INVOICE.PDF", "application/pdf"),
        ("invoice.xml", "application/xml"),
        ("Rechnung.2026.pdf", "application/pdf"),
    ],
)
def test_the_extension_says_the_media_type(file_name: str, media_type: str) -> None:
    attachable = Attachable.of("s3://shop/mails/", "pdf,xml")
    assert attachable.media_types([reference(fileName=file_name)]) == [media_type]


@pytest.mark.parametrize(
    ("prefix", "changes", "reason"),
    [
        ("", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/mail/", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop-of-another/", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/mails/", {"uri": "s3://shop/mails-of-another/1"}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/", {"fileName": "Invoice.docx"}, Unattached.TYPE_NOT_ALLOWED),
        ("s3://shop/", {"fileName": "Invoice.pdf.exe"}, Unattached.TYPE_NOT_ALLOWED),
        *(
            ("s3://shop/", {"fileName": name}, Unattached.TYPE_NOT_ALLOWED)
            for name in ("pdf", ".pdf", " .pdf", "\u3164.pdf", "Invoice.", "../a.pdf", "C:\\a.pdf")
        ),
        *(
            ("s3://shop/", {"uri": f"s3://shop/{key}"}, Unattached.OUTSIDE_PREFIX)
            for key in (
                *("", "mails/", "mails//1", "mails/../1", "./1", "mails/.", "1\r\n", "mails/\x7f"),
                *("é" * 512 + "k", "k" * 1025),
            )
        ),
        ("s3://Shop/", {"uri": "s3://Shop/1"}, Unattached.OUTSIDE_PREFIX),
    ],
)
def test_what_may_not_be_attached_never_may(
    prefix: str, changes: dict[str, str], reason: Unattached
) -> None:
    with pytest.raises(AttachmentUnavailable) as refused:
        Attachable.of(prefix, "pdf,xml").media_types([reference(), reference(**changes)][1:])
    assert refused.value.reason is reason
    assert not reason.passes


@pytest.mark.parametrize("key", ["é" * 512, "k" * 1024, "a/.b/..c/d.", "a b\u0085+%2e%2e?"])
def test_any_other_key_may_be_attached(key: str) -> None:
    uri = f"s3://shop/{key}"
    assert Attachable.of("s3://shop/", "pdf").media_types([reference(uri=uri)]) == [
        "application/pdf"
    ]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([f"{number}.pdf" for number in range(6)], Unattached.TOO_MANY),
        (["Invoice.pdf", "INVOICE.PDF"], Unattached.SAME_NAME),
        (["Straße.pdf", "STRASSE.pdf"], Unattached.SAME_NAME),
        (["Café.pdf", "Cafe\u0301.pdf"], Unattached.SAME_NAME),
        (["\u1e9e\u0301.pdf", "ss\u0301.pdf"], Unattached.SAME_NAME),
    ],
)
def test_so_many_files_or_two_of_one_name_are_not_attached(
    names: list[str], reason: Unattached
) -> None:
    with pytest.raises(AttachmentUnavailable) as refused:
        Attachable.of("s3://shop/", "pdf").media_types([reference(fileName=n) for n in names])
    assert refused.value.reason is reason
    assert not reason.passes


def test_five_files_of_five_names_are_attached() -> None:
    five = [reference(fileName=f"{number}.pdf") for number in range(5)]
    assert len(Attachable.of("s3://shop/", "pdf").media_types(five)) == 5


def test_no_type_may_be_allowed_that_ses_refuses() -> None:
    assert not MEDIA_TYPES.keys() & UNSUPPORTED_TYPES
    assert all(extension(f"x.{kind}") == kind for kind in MEDIA_TYPES)
    assert max(map(len, MEDIA_TYPES.values())) <= 78, "SES API v2 Reference, Attachment"
