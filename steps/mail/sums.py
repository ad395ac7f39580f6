"""The amounts of an order: what leads from its items to the total, what the total holds, who pays it.

Each is shown as the event says it. Only the subtotal is worked out, from the items.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from steps.mail.localise import rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steps.mail.localise import Language

Sum = tuple[str, str]
"""A label and an amount, as shown."""

LABEL_MAX = 100
"""Characters shown of a label that the shop chose."""


def line_total(item: Mapping[str, str], currency: str) -> Decimal:
    """Return what a line costs, rounded half up as on a receipt, so that the lines add up to the subtotal."""
    return rounded(Decimal(item["price"]) * Decimal(item["quantity"]), currency)


def to_the_total(event: Mapping[str, Any], language: Language) -> list[Sum]:
    """Return what leads from the items to the total; nothing where the event tells the total alone."""

    def money(amount: str | Decimal) -> str:
        return language.money(amount, event["currency"])

    _ = language.texts.gettext
    parts = [*_discounts(event, language), *_shipping(event, language)]
    parts += [
        (_label(fee, language), _charged(fee["amount"], event, language))
        for fee in event["fees"] or ()
    ]
    if not event["taxIncluded"]:
        parts += [
            (label or _("Tax"), money(tax["amount"])) for label, tax in _taxes(event, language)
        ]
    if not parts:
        return []
    subtotal = sum((line_total(item, event["currency"]) for item in event["orderItems"]), Decimal())
    return [(_("Subtotal"), money(subtotal)), *parts]


def _discounts(event: Mapping[str, Any], language: Language) -> Iterator[Sum]:
    _ = language.texts.gettext
    given = event["discounts"] or ([{"amount": event["discount"]}] if event["discount"] else [])
    for discount in given:
        if not Decimal(discount["amount"]):
            continue
        label = _label(discount, language) or _("Discount")
        if code := discount.get("code", "")[:LABEL_MAX]:
            label = f"{label} ({language.isolate(code)})"
        # It lowers the total, whichever sign the shop gives it.
        lowered = str(-abs(Decimal(discount["amount"])))
        yield label, language.money(lowered, event["currency"])


def _label(sum_: Mapping[str, str], language: Language) -> str:
    """Return a label that the shop chose, fit to stand within a text; empty where it chose none."""
    label = sum_.get("label", "")[:LABEL_MAX]
    return language.isolate(label) if label else ""


def _shipping(event: Mapping[str, Any], language: Language) -> Iterator[Sum]:
    if (shipping := event["shipping"]) is not None:
        yield language.texts.gettext("Shipping"), _charged(shipping, event, language)


def _charged(amount: str, event: Mapping[str, Any], language: Language) -> str:
    if Decimal(amount):
        return language.money(amount, event["currency"])
    return language.texts.gettext("Free")


def _taxes(event: Mapping[str, Any], language: Language) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each tax with its label and rate as shown, of which there may be none."""
    for tax in event["taxes"] or ([{"amount": event["tax"]}] if event["tax"] is not None else []):
        label, rate = _label(tax, language), tax.get("rate")
        if rate is not None:
            label = f"{label or language.texts.gettext('Tax')} ({language.percent(rate)})"
        yield label, tax


def included_taxes(event: Mapping[str, Any], language: Language) -> list[str]:
    """Return the taxes that the total holds already, each as a phrase."""
    if not event["taxIncluded"]:
        return []
    _ = language.texts.gettext
    phrases = []
    for label, tax in _taxes(event, language):
        amount = language.isolate(language.money(tax["amount"], event["currency"]))
        phrase = _("Includes %(amount)s %(tax)s") if label else _("Includes %(amount)s in taxes")
        phrases.append(phrase % {"amount": amount, "tax": language.isolate(label)})
    return phrases


def gift_cards(event: Mapping[str, Any], language: Language) -> list[Sum]:
    """Return what gift cards pay of the total."""
    _ = language.texts.gettext
    return [
        (
            _("Paid by gift card %(code)s") % {"code": language.isolate(card["code"][:LABEL_MAX])}
            if card.get("code")
            else _("Paid by gift card"),
            language.money(str(abs(Decimal(card["amount"]))), event["currency"]),
        )
        for card in event["giftCards"] or ()
    ]


def payment_state(event: Mapping[str, Any], language: Language) -> str:
    """Return how far the payment is, in words; empty where the event does not say."""
    _ = language.texts.gettext
    payment = event["payment"] or {}
    if payment.get("state") == "due" and (due := payment.get("due")):
        return _("Please pay by %(date)s") % {"date": language.isolate(language.date(due))}
    words: dict[str | None, str] = {
        "paid": _("Paid"),
        "pending": _("Payment pending"),
        "due": _("Payment due"),
        "on_delivery": _("Pay when you pick it up")
        if event["pickupPoint"]
        else _("Pay on delivery"),
    }
    return words.get(payment.get("state"), "")
