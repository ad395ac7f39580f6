"""Which documents a mail names and how, and which of them may be attached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.ses.mime import UNSUPPORTED_TYPES
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
    assert attachable.media_type(reference(fileName=file_name)) == media_type


@pytest.mark.parametrize(
    ("prefix", "changes", "reason"),
    [
        ("", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/mail/", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop-of-another/", {}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/mails/", {"uri": "s3://shop/mails-of-another/1"}, Unattached.OUTSIDE_PREFIX),
        ("s3://shop/", {"fileName": "Invoice.docx"}, Unattached.TYPE_NOT_ALLOWED),
        ("s3://shop/", {"fileName": "Invoice.pdf.exe"}, Unattached.TYPE_NOT_ALLOWED),
        ("s3://shop/", {"fileName": "pdf"}, Unattached.TYPE_NOT_ALLOWED),
    ],
)
def test_what_may_not_be_attached_never_may(
    prefix: str, changes: dict[str, str], reason: Unattached
) -> None:
    with pytest.raises(AttachmentUnavailable) as refused:
        Attachable.of(prefix, "pdf,xml").media_type(reference(**changes))
    assert refused.value.reason is reason
    assert not reason.passes


def test_no_type_may_be_allowed_that_ses_refuses() -> None:
    assert not MEDIA_TYPES.keys() & UNSUPPORTED_TYPES
    assert all(extension(f"x.{kind}") == kind for kind in MEDIA_TYPES)
    assert max(map(len, MEDIA_TYPES.values())) <= 78, "SES API v2 Reference, Attachment"
