"""Mistakes in templates, told with the file and line of the source that a person edits.

A mail's template is composed (`infra.mail`), and what is composed keeps no lines of its sources. So a mistake
that shows only when a mail is rendered is looked for by its words: in the kind's own files first, then in what
all kinds share. Where the words stand in several places, all of them are told.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, TemplateSyntaxError, UndefinedError, nodes

from infra.local.events import meant, places
from steps import kinds
from steps.mail import localise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = kinds.FOLDER.parents[1]
PARTS = ("subject.txt", "html", "txt")
"""What a kind's composed templates are called, after its event type."""
_TAG = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
_UNDEFINED = re.compile(r"'(\w+)' is undefined|has no attribute '(\w+)'")
_PATH = re.compile(r"\b[a-z]\w*(?:\.\w+)+")


class Source(NamedTuple):
    """A line of a source file; `str()` is what editors open: `steps/kinds/base.html.j2:7`."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}"

    @property
    def text(self) -> str:
        """What the line says."""
        lines = self.file.read_text("utf-8").splitlines()
        return lines[self.line - 1].strip() if self.line <= len(lines) else ""


def shown(file: Path) -> str:
    """Return a file's path as a person in the repository types it."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


def explain(error: Exception) -> str:
    """Say what is wrong, then where: a line for each source, with what it says."""
    said = f"{type(error).__name__}: {error}"
    lines = _raised_in(error)
    if not lines:
        return said
    innermost = lines[-1]
    if innermost.file.parent != localise.BUILT:
        # Composing went wrong. The innermost comes first, then what called it.
        return "\n".join([said, *map(_quoted, dict.fromkeys(reversed(lines)))])
    composed = innermost.text
    found = _sources(innermost.file.name, _needles(error, composed))
    if found:
        return "\n".join([said, *map(_quoted, found)])
    files = ", ".join(map(shown, _files(innermost.file.name)))
    return f"{said}\nin the mail that is composed of {files}, where it says:\n    {composed}"


def _quoted(source: Source) -> str:
    return f"{source}\n    {source.text}"


def _raised_in(error: Exception) -> list[Source]:
    """Return the lines of templates that led to an error, the innermost last."""
    if isinstance(error, TemplateSyntaxError) and error.filename:
        return [Source(Path(error.filename), error.lineno)]
    return [
        Source(Path(frame.filename), frame.lineno or 1)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.endswith(".j2") or Path(frame.filename).parent == localise.BUILT
    ]


def _needles(error: Exception, composed: str) -> list[re.Pattern[str]]:
    """Return what to look for in the sources, the surest first."""
    if isinstance(error, UndefinedError) and (match := _UNDEFINED.search(str(error))):
        return [_word(match[1] or match[2])]
    if "Unexpected end of template" in str(error):
        return []  # What is not closed is not where it is missed.
    tags = _TAG.findall(composed)
    if isinstance(error, TemplateSyntaxError):
        tags = [tag for tag in tags if _is_wrong(tag)] or tags
    # Of a tag that a macro filled in, its argument stands in the source.
    paths = [path for tag in tags for path in _PATH.findall(tag)]
    return [re.compile(re.escape(tag)) for tag in tags] + [_word(path) for path in paths]


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(word)}\b")


def _is_wrong(tag: str) -> bool:
    """Whether a tag is wrong on its own; one that opens or closes a block never is."""
    if tag.startswith("{%"):
        return False
    try:
        Environment(autoescape=True).parse(tag)
    except TemplateSyntaxError:
        return True
    return False


def _files(composed: str) -> list[Path]:
    """Return the sources of a composed template, `order.shipped.html`, those of its kind first."""
    event_type, part = next(
        (composed.removesuffix(f".{part}"), part) for part in PARTS if composed.endswith(f".{part}")
    )
    folder = kinds.folder(event_type)
    own = [folder / f"mail.{part}.j2", folder / "words.j2"]
    common = [kinds.FOLDER / f"{name}.{part}.j2" for name in ("base", "parts")]
    return [file for file in (*own, *common) if file.exists()]


def _sources(composed: str, needles: Iterable[re.Pattern[str]]) -> list[Source]:
    """Return where the first needle that is found stands: in the kind's own files, else in the common ones."""
    files = _files(composed)
    for needle in needles:
        hits = [hit for file in files for hit in _hits(file, needle)]
        own = [hit for hit in hits if hit.file.parent != kinds.FOLDER]
        if hits:
            return own or hits
    return []


def _hits(file: Path, needle: re.Pattern[str]) -> Iterator[Source]:
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if needle.search(line):
            yield Source(file, number)


def misspelt_fields(event_type: str) -> list[str]:
    """Say which fields of the order a kind's built templates use that its events do not have.

    A field that an event lacks is nothing to a template, so these would be nothing for ever.
    """
    known = places(event_type).fields
    said: dict[str, None] = {}
    for composed in (f"{event_type}.{part}" for part in PARTS):
        template = (localise.BUILT / composed).read_text("utf-8")
        for name in sorted(used_fields(template) - known.keys()):
            unknown = f"order.{name} is no field of {event_type}{meant(name, list(known))}"
            for source in _sources(composed, [_word(f"order.{name}")]):
                said[f"{source}: {unknown}"] = None
    return list(said)


def used_fields(template: str) -> set[str]:
    """Return the fields of the order that a composed template uses."""
    tree = Environment(autoescape=True).parse(template)
    return {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "order"
    }
