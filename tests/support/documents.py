"""The documents, and the parts of them that the code knows: `python -m tests.support.documents` writes those.

A generated part stands between two comments, such as `<!-- rooms -->` and `<!-- /rooms -->`.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from infra.config import settings_table
from infra.local.costs.tables import markdown
from infra.local.ses.settings import SesSettings
from infra.sbom import licences_table
from steps import kinds
from steps.contract import limits
from steps.contract.handler import logger
from steps.contract.order_event import DEFAULT_EVENT_TYPE, OrderEvent
from steps.mail import localise, sums, view
from tests.support import protocol_deaths
from tests.support.rooms import STEPS_PICTURE, mermaid
from tests.support.sample_mails import email, in_the_order_s_story

if TYPE_CHECKING:
    from collections.abc import Callable

ROOMS = ("steps", "statemachines", "infra", "tests")

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", *(f"{room}/**/*.md" for room in ROOMS))
    for path in Path().glob(pattern)
    if "node_modules" not in path.parts
)


def described(default: object) -> str:
    return f"`{str(default).lower()}`" if default != "" else "none"


def ses_settings_table() -> str:
    """Return what can be set of the laptop's SES, as a Markdown table."""
    rows = [
        f"| `{name}` | {field.description} | {described(field.default)} |"
        for name, field in SesSettings.model_fields.items()
    ]
    return "\n".join(
        ["| setting | what SES then answers or does | default |", "|---|---|---|", *rows]
    )


def bounds_table() -> str:
    """Return what an order event may hold, as a Markdown table."""
    skew, zones = limits.CLOCK_SKEW // 60, limits.ZONES_AHEAD // 3600
    rows = {
        "items of an order, a parcel or a refund": f"{limits.ITEMS_MAX:,}",
        "characters of a text": f"{limits.TEXT_MAX_LENGTH:,}, of which a mail shows {view.TEXT_MAX};"
        f" of a note or how to pay {view.NOTE_MAX}, of a sum's label {sums.LABEL_MAX}, of a name or an option"
        f" {view.NAME_MAX}",
        "characters of `orderId`": f"{limits.ID_MAX_LENGTH}",
        "characters of `resend.reason` and `resend.by`": f"{limits.RESEND_TEXT_MAX_LENGTH}",
        "characters of an address": f"{limits.ADDRESS_MAX_LENGTH}",
        "characters of a link, in ASCII": f"{limits.LINK_MAX_LENGTH:,}",
        "attachments": f"{limits.ATTACHMENTS_LISTED_MAX}; beyond {limits.ATTACHMENTS_MAX}, or"
        f" {limits.ATTACHMENTS_MAX_BYTES:,} bytes together, they are links",
        "characters of a file name": f"{limits.FILE_NAME_MAX_LENGTH}",
        "characters of `locale`": f"{limits.LANGUAGE_TAG_MAX_LENGTH}",
        "characters of a time": f"{limits.MOMENT_MAX_LENGTH}; years {limits.FIRST_YEAR} to {limits.LAST_YEAR}",
        "levels of JSON, unknown fields included": f"{limits.NESTING_MAX}",
        "bytes of the message, escaped as JSON": f"{limits.MESSAGE_MAX_BYTES:,}; else it is a dead letter",
        "bytes of the validated event": f"{limits.ANSWER_MAX_BYTES:,}; links that are not ASCII grow threefold",
        "`eventTimestamp` or `resend.at` in the future": f"{skew} minutes;"
        f" {zones} hours more without a time zone",
        "what a rejection keeps": f"{limits.REASONS_MAX} reasons of {limits.REASON_MAX_LENGTH} characters,"
        f" and {limits.KEPT_EVENT_BYTES:,} bytes of the message",
    }
    return "\n".join(
        [
            "| what | at most |",
            "|---|---|",
            *(f"| {what} | {most} |" for what, most in rows.items()),
        ]
    )


def kinds_table() -> str:
    """Return what each kind of mail adds to the order event, as a Markdown table."""

    def row(name: str) -> str:
        kind = kinds.kind(name)
        # A field that every kind may have is one kind's where that kind demands it.
        own = {
            field.alias: field.is_required()
            for field_name, field in kind.event.model_fields.items()
            if field_name not in OrderEvent.model_fields or _demanded(field_name, name)
            if field_name != "event_type"
        }
        cells = [
            ", ".join(f"`{alias}`" for alias, required in own.items() if required is wanted) or "-"
            for wanted in (True, False)
        ]
        default = " (default)" if name == DEFAULT_EVENT_TYPE else ""
        return f"| `{name}`{default} | {cells[0]} | {cells[1]} | {kind.max_age.days} days |"

    head = ["| `eventType` | required fields | optional fields | sent until |", "|---|---|---|---|"]
    return "\n".join([*head, *map(row, in_the_order_s_story())])


def _demanded(field: str, kind: str) -> bool:
    """Whether a kind demands what an event may have."""
    required = kinds.kind(kind).event.model_fields[field].is_required()
    return required and not OrderEvent.model_fields[field].is_required()


def subjects_table() -> str:
    """Return what mails of the whole and of a part are called, as a Markdown table."""

    def subject(sample: str) -> str:
        return email(sample)["subject"].replace("NW-20418", "...")

    rows = [
        f"| subject of `{kind}` | {subject(kind)} | {subject(f'{kind}-part')} |"
        for kind in in_the_order_s_story()
        if f"{kind}-part" in kinds.samples()
    ]
    return "\n".join(["| mail | of the whole | of a part |", "|---|---|---|", *rows])


def languages_list() -> str:
    """Return the languages that mails are written in."""
    return f"The languages are {', '.join(localise.languages())}."


GENERATED: dict[str, Callable[[], str]] = {
    "rooms": lambda: mermaid(STEPS_PICTURE),
    "settings": settings_table,
    "costs": markdown,
    "deaths": protocol_deaths.table,
    "ses settings": ses_settings_table,
    "bounds": bounds_table,
    "kinds": kinds_table,
    "subjects": subjects_table,
    "languages": languages_list,
    "licences": licences_table,
}
"""What makes each generated part, by the name in its comments."""

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str) -> list[str]:
    """Return a document's blocks of code in a language."""
    fenced = _FENCED.findall(document.read_text("utf-8"))
    return [textwrap.dedent(code) for _indent, info, code in fenced if info == language]


def prose(document: Path) -> str:
    """Return a document without its blocks of code."""
    return _FENCED.sub("", document.read_text("utf-8"))


def table(document: Path, head: str) -> list[list[str]]:
    """Return the cells of the table whose first column is called `head`, row by row."""
    rows = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-:|]+\n((?:\|.*\n)+)", prose(document), re.M)
    assert rows, f"{document} has no table with the column {head}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


def code(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def generated(text: str) -> str:
    """Return a document's text with its generated parts as the code makes them now."""

    def regenerate(part: re.Match[str]) -> str:
        return f"<!-- {part[1]} -->\n{GENERATED[part[1]]()}\n<!-- /{part[1]} -->"

    return re.sub(r"<!-- ([a-z ]+) -->\n.*?<!-- /\1 -->", regenerate, text, flags=re.DOTALL)


if __name__ == "__main__":
    logger.setLevel("CRITICAL")
    for path in DOCUMENTS:
        before = path.read_text("utf-8")
        if (after := generated(before)) != before:
            path.write_text(after, "utf-8")
