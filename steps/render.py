"""Render: the event as a mail, HTML and text, in the customer's language. Pure.

Templates come composed and with their styles inlined from `steps/mail/built`, and so does the shop's brand:
see `infra.mail`.
"""

from __future__ import annotations

import decimal
import functools
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from markupsafe import Markup

from steps.contract import limits
from steps.contract.handler import step_handler
from steps.contract.state import encoded_size
from steps.mail import documents, localise, view
from steps.mail.brand import Brand

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from jinja2 import Template
    from jinja2.runtime import Context

    from steps.contract.state import Email, State, StepEvent

AMOUNT_DIGITS = 60
"""A thousand amounts of 21 digits times quantities of as many are summed up exactly, then rounded."""

LINES_SHOWN = (60, 30, 15, 7, 3, 1, 0)
"""How many items a mail lists, and of the order's rest as many: as many of these as fit, in this order. Where
even none does, the mail is told in brief."""


@functools.cache
def environment() -> Environment:
    """Return the template environment: HTML autoescaped, undefined names are errors."""
    templates = Environment(
        loader=FileSystemLoader(localise.BUILT),
        autoescape=select_autoescape(enabled_extensions=("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    templates.globals |= {"_": _gettext, "ngettext": _ngettext}
    return templates


# One environment serves all languages, since the catalogue travels in the context. Texts are trusted
# and are markup; what is put into them is not: `_filled` isolates it, and `Markup.__mod__` escapes it.
@pass_context
def _gettext(context: Context, text: str, **values: Any) -> str:
    return _filled(context, context["texts"].gettext(text), values)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: int, **values: Any) -> str:
    translated = context["texts"].ngettext(singular, plural, number)
    return _filled(context, translated, values | {"num": number})


def _filled(context: Context, text: str, values: dict[str, Any]) -> str:
    isolate = context["isolate"]
    # What is markup has its direction from its elements.
    filled = {k: isolate(v) if type(v) is str else v for k, v in values.items()}
    return (Markup(text) if context.eval_ctx.autoescape else text) % filled  # noqa: S704


def render(
    order: dict[str, Any],
    brand: Brand,
    notification_id: str,
    *,
    resent: bool = False,
    linked: bool = False,
) -> Email:
    """Render the mail of a validated event (`steps.contract.order_event` as JSON, camel case).

    `resent`: it is sent again on purpose, so clients must not put it behind the one before.
    `linked`: its documents are links, not attachments.
    """
    with decimal.localcontext(prec=AMOUNT_DIGITS):
        enclosed = documents.of_the_order(order, linked=linked)
        return _render(order, brand, notification_id, enclosed, resent=resent)


def _render(
    order: dict[str, Any],
    brand: Brand,
    notification_id: str,
    enclosed: dict[str, Any],
    *,
    resent: bool,
) -> Email:
    language = localise.language(order["locale"])
    event = view.shown_fields(order)
    unsubscribe_url = brand.unsubscribe_url.replace("{notificationId}", notification_id)
    rest = view.rest_of_the_order(event)
    context = view.of_the_order(event, rest, brand, language, unsubscribe_url) | enclosed
    for most in (*LINES_SHOWN, None):
        context |= (
            view.in_brief(context)
            if most is None
            else view.of_the_items(event, rest, brand, language, most)
        )
        text = re.sub(r"\n{3,}", "\n\n", _template(event, "txt").render(context)).strip() + "\n"
        email: Email = {
            "to": order["customerEmail"],
            "fromName": brand.name,
            "replyTo": brand.support_email,
            "subject": " ".join(_template(event, "subject.txt").render(context).split()),
            "html": _template(event, "html").render(context),
            "text": text,
            "headers": view.headers(
                notification_id if resent else event["orderId"],
                brand,
                unsubscribe_url,
            ),
        }
        if enclosed["documents_attached"]:
            email["attachments"] = documents.references(order)
        if _fits(email):
            break
    return email


def _fits(email: Email) -> bool:
    # A state has both parts as JSON, where a quote, a line's end and a backslash are two characters.
    parts = (email["html"], email["text"])
    return (
        max(len(part.encode()) for part in parts) <= limits.MAIL_PART_MAX_BYTES
        and encoded_size(email) <= limits.ANSWER_MAX_BYTES
    )


def _template(event: view.Fields, part: str) -> Template:
    return environment().get_template(f"{event['eventType']}.{part}")


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> State:
    """Take `{state: {order, ...}}`, return the state with `email` in the order's place.

    A mail and its order together could pass the 256 KiB that a state may have.
    """
    state = event["state"]
    email = render(
        state.pop("order"),
        Brand.load(),
        state["notificationId"],
        resent="resend" in state,
        linked=state.get("claim", {}).get("linked", False),
    )
    return {**state, "email": email}
