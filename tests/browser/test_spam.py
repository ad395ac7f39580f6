"""No spam filter minds a mail: SpamAssassin gives none of them a point, in any language."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.ses.mime import compose
from steps import kinds
from steps.aws import ses
from tests.browser.mail_judges import Points, spamassassin
from tests.browser.test_mails import LONG, LOUD
from tests.support.sample_mails import BRAND, email, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.contract.state import Email

NOW = datetime(2026, 10, 8, 12, tzinfo=UTC)
SENDER = "orders@shop.example"
RECEIVED = f"""\
Return-Path: <0100019273b4c5d6@bounce.shop.example>
Received: from a8-21.smtp-out.amazonses.com (a8-21.smtp-out.amazonses.com [54.240.8.21])
\tby mx.example.com (Postfix) with ESMTPS id 4XPYZ1\n\tfor <maya@example.com>;
\t{format_datetime(NOW)}
"""
"""What the customer's server writes above a mail of SES's. MAIL FROM is the shop's, see `order-mail doctor`."""

ONE_CLICK = replace(BRAND, unsubscribe_url="https://shop.example/u/{notificationId}")
UNSEEN = '<p style="color:#ffffff;background-color:#ffffff">Cheap watches!</p></body>'

WORTH_NOTHING = 0.01
"""What a rule costs that only says what a mail is, such as HTML_MESSAGE, or that is on trial (T_...)."""


@pytest.fixture(scope="module")
def sent() -> Iterator[list[dict[str, Any]]]:
    """What SES is asked to send, as `steps.send` asks it."""
    requests: list[dict[str, Any]] = []

    def send_email(**request: Any) -> dict[str, str]:
        requests.append(request)
        return {"MessageId": "unused"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ses, "sesv2", lambda: SimpleNamespace(send_email=send_email))
        yield requests


@pytest.fixture(scope="module")
def mails() -> dict[str, Email]:
    """Every sample in every language, and those with an unsubscribe link; one hides what it says."""
    mails = {f"{kind}.{lang}": email(kind, locale=lang) for kind, lang in pairs()}
    mails |= {f"{kind}.one-click": email(kind, brand=ONE_CLICK) for kind in kinds.samples()}
    # Not in dollars: of millions of them a filter has its own opinion.
    mails |= {f"{kind}.long": email(kind, currency="EUR", **LONG) for kind in kinds.samples()}
    mails |= {f"{kind}.loud": email(kind, brand=LOUD) for kind in kinds.samples()}
    plain = email("order.confirmed")
    return mails | {"unseen": {**plain, "html": plain["html"].replace("</body>", UNSEEN)}}


@pytest.fixture(scope="module")
def points(
    mails: dict[str, Email],
    sent: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Points]:
    """What each mail costs, as the customer's server has it; asked once."""
    sender = ses.Ses(sender=SENDER, configuration_set="test")
    for mail in mails.values():
        sender.send(mail, tags={})
    composed = [
        compose(request, message_id=f"{number:016x}-000000", region="us-east-1", now=NOW)
        for number, request in enumerate(sent)
    ]
    received = [RECEIVED.replace("\n", "\r\n").encode() + mail.wire for mail in composed]
    found = spamassassin(received, tmp_path_factory.mktemp("spam"))
    assert len(found) == len(mails)
    return {
        name: {rule: cost for rule, cost in found[of_mail].items() if cost > WORTH_NOTHING}
        for name, of_mail in zip(mails, map(_message_id, received), strict=True)
    }


def _message_id(mail: bytes) -> str:
    return str(message_from_bytes(mail)["Message-ID"])


def test_no_mail_costs_a_point(points: dict[str, Points]) -> None:
    costly = {name: of_mail for name, of_mail in points.items() if name != "unseen" and of_mail}
    assert costly == {}


def test_the_judge_finds_what_a_reader_cannot_see(points: dict[str, Points]) -> None:
    assert "HTML_FONT_LOW_CONTRAST" in points["unseen"]
