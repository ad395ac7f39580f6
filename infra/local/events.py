"""Order events on the laptop: read from a file, judged at their own time, their fields' names checked."""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.kinds.parsing import InvalidEvent, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Event = dict[str, Any]
"""An order event as JSON, as a shop publishes it."""


class EventError(Exception):
    """An event cannot be shown. The message has a line for each wrong field, with the file's name."""


def read(file: Path, name: str = "") -> Event:
    """Read the event in a file, valid or not; `name` is what messages call the file.

    Raises:
        EventError: there is no such file, or no JSON object in it.
    """
    name = name or file.name
    try:
        event = json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise EventError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise EventError(f"{name}: is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise EventError(f"{name}: must be a JSON object")
    return event


def samples() -> dict[str, Event]:
    """Read each kind's samples, by their names.

    Raises:
        EventError: a file is no valid event.
    """
    read_samples = {}
    for sample in kinds.samples():
        path = kinds.sample_file(sample)
        name = str(path.relative_to(kinds.FOLDER.parents[1]))
        read_samples[sample] = read(path, name)
        validated(read_samples[sample], name)
    return read_samples


def validated(event: Event, name: str) -> dict[str, Any]:
    """Return the order of an event, as the render step gets it.

    Raises:
        EventError: with a line for each wrong field.
    """
    try:
        return order(event)
    except InvalidEvent as invalid:
        lines = (f"{name}: {reason['path']}: {reason['reason']}" for reason in invalid.reasons)
        raise EventError("\n".join(lines)) from None


def order(event: Event) -> dict[str, Any]:
    """Validate an event at its own time, at which none is too old.

    Returns: the order as the render step gets it.

    Raises:
        InvalidEvent: with everything that is wrong with it.
    """
    parsed = parse(json.dumps(event), _own_time(event))
    valid: dict[str, Any] = parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
    return valid


def _own_time(event: Event) -> datetime:
    """Return when what an event tells of happened; now where it does not say so."""
    resend = event.get("resend")
    told = [
        resend.get("at") if isinstance(resend, dict) else None,
        event.get("eventTimestamp"),
        event.get("orderTimestamp"),
    ]
    try:
        moment = datetime.fromisoformat(next(filter(None, told)))
    except (StopIteration, TypeError, ValueError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def kind_of(event: Event) -> str:
    """Return the event type, which may be no kind's."""
    return str(event.get("eventType", DEFAULT_EVENT_TYPE))


# --- fields ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A place in a kind's events, by its JSON Schema.

    fields: those of an object, by name; `required` are the names that it must have. entries: what a list
    holds. longest: characters that a free text or an id may have.
    """

    fields: dict[str, Place] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    entries: Place | None = None
    longest: int | None = None


@functools.cache
def places(event_type: str) -> Place:
    """Return what a known kind's events may hold."""
    schema = kinds.kind(event_type).event.model_json_schema()
    return _place(schema, schema.get("$defs", {}))


def _place(schema: dict[str, Any], definitions: dict[str, Any]) -> Place:
    if "$ref" in schema:
        return _place(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        alternatives = [a for a in schema["anyOf"] if a.get("type") != "null"]
        return _place(alternatives[0], definitions)
    entries = schema.get("items")
    is_free = not schema.keys() & {"format", "pattern", "const", "enum"}
    return Place(
        {name: _place(s, definitions) for name, s in schema.get("properties", {}).items()},
        frozenset(schema.get("required", ())),
        _place(entries, definitions) if entries else None,
        schema.get("maxLength") if is_free else None,
    )


def unknown_fields(event: Event) -> list[str]:
    """Say which fields of an event no mail knows, and what each may have been meant to be.

    Such fields are ignored, so a misspelt one is missing in the mail without a word.
    """
    event_type = kind_of(event)
    if event_type not in kinds.names():
        return []
    return [
        f"{path} is no field of {event_type}{meant(path.rpartition('.')[2], known)}"
        for path, known in _unknown(event, places(event_type), "")
    ]


def meant(name: str, known: list[str]) -> str:
    """Return the end of a sentence on an unknown name: `: did you mean carrier?`; empty where none is close."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f": did you mean {lowered[close[0]]}?" if close else ""


def _unknown(value: object, place: Place, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each unknown field, with the names that are known in its place."""
    if isinstance(value, dict) and place.fields:
        for name, inner in value.items():
            inner_path = f"{path}.{name}".lstrip(".")
            if name in place.fields:
                yield from _unknown(inner, place.fields[name], inner_path)
            else:
                yield inner_path, list(place.fields)
    if isinstance(value, list) and place.entries:
        for number, inner in enumerate(value):
            yield from _unknown(inner, place.entries, f"{path}[{number}]")
