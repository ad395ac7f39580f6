"""End to end, IAM enforced: an invoice in S3 arrives with the mail, or as a link that the record tells of."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import urllib3

from infra.config import LOCAL_ATTACHMENTS
from steps.contract.attachments import s3_object
from steps.contract.limits import ATTACHMENTS_MAX_BYTES
from tests.conftest import load_event

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack

pytestmark = pytest.mark.usefixtures("no_dead_letters")

BUCKET, PREFIX = s3_object(LOCAL_ATTACHMENTS)


def event(order_id: str, *attachments: dict[str, str]) -> str:
    return json.dumps(load_event("order") | {"orderId": order_id, "attachments": attachments})


def fresh(name: str) -> str:
    return f"{name}-{secrets.token_hex(3)}"


def invoice(order_id: str, content: bytes, **changes: str) -> dict[str, str]:
    """Return what an event says of an order's invoice."""
    return {
        "uri": f"{LOCAL_ATTACHMENTS}{order_id}.pdf",
        "sha256": hashlib.sha256(content).hexdigest(),
        "fileName": f"Rechnung Müller {order_id}.pdf",
        "url": "https://shop.example/invoices/4711",
    } | changes


def upload(stack: RunningStack, order_id: str, content: bytes) -> None:
    stack.client("s3").put_object(Bucket=BUCKET, Key=f"{PREFIX}{order_id}.pdf", Body=content)


def files(stack: RunningStack, mail: dict[str, Any]) -> dict[str, bytes]:
    """Return the files that a mail in the inbox has, by their names."""
    found = {}
    for attachment in mail.get("attachments") or []:
        url = f"{stack.plan.settings.inbox_url}/api/email/{mail['id']}/attachment/"
        answer = urllib3.request("GET", url + quote(attachment["generatedFileName"]))
        assert answer.status == 200
        found[attachment["filename"]] = answer.data
    return found


@pytest.mark.parametrize("size", [200_000, ATTACHMENTS_MAX_BYTES])
def test_an_invoice_arrives_as_it_was(stack: RunningStack, size: int) -> None:
    order_id, content = fresh("INVOICE"), b"%PDF-1.7\n" + secrets.token_bytes(size - 9)
    upload(stack, order_id, content)
    stack.publish(event(order_id, invoice(order_id, content)))
    record = stack.wait_for_status(order_id, "DELIVERED")
    assert "attachmentsLinked" not in record
    (mail,) = stack.inbox(order_id)
    ((name, arrived),) = files(stack, mail).items()
    assert name == f"Rechnung Müller {order_id}.pdf"
    assert arrived == content


def test_an_invoice_that_comes_late_is_waited_for(stack: RunningStack) -> None:
    order_id, content = fresh("LATE"), b"%PDF-1.7 late"
    stack.publish(event(order_id, invoice(order_id, content)))
    stack.wait_for_status(order_id, "CLAIMED")
    time.sleep(2)
    upload(stack, order_id, content)
    stack.wait_for_status(order_id, "DELIVERED")
    (mail,) = stack.inbox(order_id)
    assert list(files(stack, mail).values()) == [content]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fileName": "Invoice.docx"}, "TypeNotAllowed"),
        ({"uri": f"s3://{BUCKET}/elsewhere.pdf"}, "OutsidePrefix"),
    ],
)
def test_what_may_not_be_attached_becomes_a_link_that_the_record_tells_of(
    stack: RunningStack, changes: dict[str, str], reason: str
) -> None:
    order_id = fresh("LINKED")
    stack.publish(event(order_id, invoice(order_id, b"", **changes)))
    record = stack.whole(stack.wait_for_status(order_id, "DELIVERED"))
    assert record["attachmentsLinked"] == reason
    (mail,) = stack.inbox(order_id)
    assert files(stack, mail) == {}


def test_what_is_too_large_becomes_a_link(stack: RunningStack) -> None:
    order_id, content = fresh("LARGE"), bytes(ATTACHMENTS_MAX_BYTES + 1)
    upload(stack, order_id, content)
    stack.publish(event(order_id, invoice(order_id, content)))
    record = stack.whole(stack.wait_for_status(order_id, "DELIVERED"))
    assert record["attachmentsLinked"] == "TooLarge"
