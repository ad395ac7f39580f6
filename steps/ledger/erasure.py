"""What is to be erased: the records and dead letters that name a customer or an order. Pure.

`steps.ledger.rules.erased` is the write that follows for a record. A letter is deleted by whoever found it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from email_validator import EmailNotValidError, validate_email

from steps.contract.order_id import shown
from steps.contract.text import identifier

if TYPE_CHECKING:
    from steps.ledger.rules import Record

_ESCAPE = re.compile(r"""(?<!\\)\\+(?:u([0-9a-fA-F]{4})|["/bfnrt])""")
"""JSON's escapes (RFC 8259, 7), also of JSON inside of JSON."""

_ORDER_ID = re.compile(r'''orderId"\s*:\s*(?:\{\s*"S"\s*:\s*)?"([^"]*)"''')
"""In a stream's change each value stands behind its type."""

_BEFORE, _AFTER = r"(?<![\w.+-])", r"(?![\w-]|\.\w)"
"""What an address is not a part of a longer one between."""


def names(record: Record, *, address: str | None = None, order_id: str | None = None) -> bool:
    """Whether a record, given whole, names this address, or is of this order.

    An address is looked for in all that the record holds, in any case: in `customerEmail`, in ids, in the kept
    text of an invalid event and its reasons, however JSON or a link escapes it there. An erased record names
    no address; its order id may be the one that logs show.
    """
    if order_id is not None and identifier(record.get("orderId", "")) in _ids(order_id):
        return True
    # As text: sets, which JSON does not have, too.
    text = json.dumps(record, ensure_ascii=False, default=str)
    return address is not None and _mentions(_plain(text), address)


def letter_names(body: str, *, address: str | None = None, order_id: str | None = None) -> bool:
    """Whether a dead letter's body names this address or this order.

    It may be an order event, events of SES's as Lambda hands them over (`mail.destination`), or a change of the
    table as its stream has it. SES's events name no order: look for its customer's address as well.
    """
    text = _plain(body)
    if order_id is not None and _ids(order_id) & set(map(identifier, _ORDER_ID.findall(text))):
        return True
    return address is not None and _mentions(text, address)


def _ids(order_id: str) -> set[str]:
    return {identifier(order_id), shown(order_id)}


def _mentions(text: str, address: str) -> bool:
    texts = "\n".join((text, unquote(text))).casefold()
    return any(re.search(f"{_BEFORE}{re.escape(form)}{_AFTER}", texts) for form in _forms(address))


def _forms(address: str) -> set[str]:
    """Return how an address may be written: as it is given, and with its domain in either alphabet."""
    forms = {address.strip()}
    try:
        valid = validate_email(address.strip(), check_deliverability=False)
        forms |= {valid.normalized, valid.ascii_email or ""}
    except EmailNotValidError:
        pass  # What an invalid event gave as its address is looked for as it stands.
    return {unicodedata.normalize("NFC", form).casefold() for form in forms if form}


def _plain(text: str) -> str:
    """Return a text without JSON's escapes."""

    def unescaped(escape: re.Match[str]) -> str:
        if escape[1]:
            return chr(int(escape[1], 16))
        return escape[0][-1] if escape[0][-1] in '"/' else " "

    return unicodedata.normalize("NFC", _ESCAPE.sub(unescaped, text))
