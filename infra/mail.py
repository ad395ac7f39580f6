"""Build the mails: `make mails`, and at every bundling.

What need not happen per mail happens here: templates are composed from their parts, styles written as
ordinary CSS are inlined (most clients drop or rewrite a mail's style sheet), catalogues are compiled, and the
world's address formats are made ready.
The sources are `steps/kinds`, the result is `steps/mail/built`, which is not in the repository.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import css_inline
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra import addresses
from infra.brand import LOCAL_BRAND
from steps import kinds
from steps.mail import localise
from steps.mail.addresses import TABLE
from steps.mail.brand import STORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from steps.mail.brand import Brand

WORDS = [Path(localise.__file__).with_name(name) for name in ("view.py", "sums.py")]
"""The modules that have texts of their own."""
_Forms = str | tuple[str, ...]
"""A message, or its singular and plurals."""

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

BRAND_PROPERTIES = {
    "accent": "{{ brand.light_colour }}",
    "on-accent": "{{ brand.on_light_colour }}",
    "dark-accent": "{{ brand.dark_colour }}",
    "on-dark-accent": "{{ brand.on_dark_colour }}",
}
"""The custom properties of the style sheets whose values are known per deployment only."""

# --- templates ------------------------------------------------------------------------------------


def compose_templates(sources: Path = kinds.FOLDER) -> dict[str, str]:
    """Compose every kind's templates; return them by file name: `order.shipped.html`, `.txt`, ..."""
    environment = Environment(
        loader=FileSystemLoader(sources),
        undefined=StrictUndefined,
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - composes templates from templates; mails are escaped when rendered
    )
    composed = {}
    for path in sorted(sources.glob("*/mail.html.j2")):
        folder = path.parent.name
        event_type = folder.replace("_", ".", 1)
        words = environment.get_template(f"{folder}/words.j2").module
        told = {"words": words, "stage": kinds.kind(event_type).stage}
        html, text = (
            environment.get_template(f"{folder}/mail.{part}.j2").render(told)
            for part in ("html", "txt")
        )
        composed[f"{event_type}.html"] = inline_styles(html)
        composed[f"{event_type}.txt"] = text
        composed[f"{event_type}.subject.txt"] = str(vars(words)["subject"])
    return composed


_NOT_FOR_THE_PARSER = re.compile(r"{%.*?%}|{{.*?}}|<style class=\"head\">.*?</style>", re.DOTALL)


def inline_styles(template: str) -> str:
    """Inline the styles of an HTML template, leaving what is Jinja in it as it is.

    An HTML parser moves text out of a table and rewrites attributes. So while it works, something that
    it leaves alone stands in for each of Jinja's tags: a comment between elements, a word inside of
    one; and likewise for the style sheet that stays in the head.
    """
    template = _resolve_variables(template)
    tags: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        before = template[: match.start()]
        inside = before.rfind("<") > before.rfind(">") or before.rfind("<!--") > before.rfind("-->")
        # A statement inside a style sheet or a title would be text there, too; none is.
        as_comment = match[0][:2] != "{{" and not inside
        tags.append(match[0])
        return f"<!--j{len(tags) - 1}j-->" if as_comment else f"j{len(tags) - 1}j"

    html = css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False).inline(
        _NOT_FOR_THE_PARSER.sub(stand_in, template)
    )
    html = re.sub(r"<!--(j\d+j)-->|(j\d+j)", lambda m: m[1] or m[2], html)
    html = re.sub(r"j(\d+)j", lambda m: tags[int(m[1])], html)
    # The parser adds what HTML lets one leave out, on the wrong side of a loop's start at that.
    html = re.sub(r"</?tbody>", "", html).replace(' class="head"', "")
    # Insignificant white space is a tenth of a mail.
    return re.sub(r"\n\s*", "\n", re.sub(r">\s*\n\s*<", ">\n<", html))


def _resolve_variables(template: str) -> str:
    """Put the values of custom properties in place, since few mail clients know them."""
    template = re.sub(r"/\*.*?\*/\n?", "", template, flags=re.DOTALL)
    declared = (
        dict(re.findall(r"^\s*--([a-z-]+):\s*(.+?);$", template, re.MULTILINE)) | BRAND_PROPERTIES
    )
    template = re.sub(r":root {\n(\s*--.*\n)+}\n", "", template)
    return re.sub(r"var\(--([a-z-]+)\)", lambda m: declared[m[1]], template)


# --- catalogues -----------------------------------------------------------------------------------


def collect_messages(sources: Path = kinds.FOLDER) -> dict[str, Catalog]:
    """Collect what is to be translated, by folder: each kind's own texts; the common ones under ""."""
    options = {"silent": "false", "trimmed": "true"}

    def extracted(text: str, method: str) -> set[_Forms]:
        keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
        file = io.BytesIO(text.encode())
        return {
            tuple(message) if isinstance(message, list | tuple) else message
            for _, message, _, _ in extract(method, file, keywords=keywords, options=options)
        }

    by_kind: dict[str, set[_Forms]] = {}
    for name, template in compose_templates(sources).items():
        folder = re.sub(r"\.(html|txt|subject\.txt)$", "", name).replace(".", "_")
        by_kind.setdefault(folder, set()).update(extracted(template, "jinja2.ext:babel_extract"))
    common = {text for path in WORDS for text in extracted(path.read_text("utf-8"), "python")}
    for ids in by_kind.values():
        common |= {i for i in ids if sum(i in others for others in by_kind.values()) > 1}
    own = {folder: _catalogue(ids - common) for folder, ids in by_kind.items()}
    return {"": _catalogue(common)} | own


def _catalogue(ids: Iterable[str | tuple[str, ...]]) -> Catalog:
    catalogue = Catalog()
    for message in sorted(ids, key=str):
        catalogue.add(message)
    return catalogue


def update_catalogues(sources: Path = kinds.FOLDER) -> None:
    """Bring every `.po` file up to date: new messages come in empty, unused ones go.

    A language is there when the common texts have a file for it, which may be an empty one.
    """
    languages = [path.stem for path in (sources / "texts").glob("*.po")]
    # A text that a second kind uses moves to the common ones, and takes its translation along.
    translations = _merged(sources)
    for folder, wanted in collect_messages(sources).items():
        for language in languages:
            path = sources / folder / "texts" / f"{language}.po"
            updated = Catalog(locale=_locale(language))
            for message in wanted:
                if message.id:
                    known = translations[language].get(message.id) or message
                    updated.add(message.id, known.string, flags=known.flags)
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                write_po(file, updated, omit_header=True, width=0, no_location=True)


def _locale(language: str) -> str:
    """Return the name that Babel has for a BCP 47 tag: pt_BR for `pt-BR`."""
    return language.replace("-", "_")


def compile_catalogues(sources: Path = kinds.FOLDER) -> dict[str, bytes]:
    """Compile the catalogues that lack nothing, one per language; return them by file name: `de.mo`, ...

    A mail is in one language: half of a catalogue would make mails of two.
    """
    files, waiting = {}, untranslated(sources)
    for language, catalogue in _merged(sources).items():
        if not waiting[language].lacks:
            buffer = io.BytesIO()
            write_mo(buffer, catalogue)
            files[f"{language}.mo"] = buffer.getvalue()
    return files


class Untranslated(NamedTuple):
    """How complete a language is: of `total` texts, those that wait in each `.po` file."""

    total: int
    waiting: dict[Path, list[str]]

    @property
    def lacks(self) -> int:
        """How many texts wait for a translation."""
        return sum(map(len, self.waiting.values()))


def untranslated(sources: Path = kinds.FOLDER) -> dict[str, Untranslated]:
    """Find, for each language, the texts of the templates that lack a translation, or one of its plurals.

    A fuzzy one is a guess, and lacks it, too. English of a territory lacks none: what it leaves empty is said
    as the templates say it.
    """
    wanted = {
        folder: [message.id for message in catalogue if message.id]
        for folder, catalogue in collect_messages(sources).items()
    }
    found = {}
    for language, catalogue in _merged(sources).items():
        waiting: dict[Path, list[str]] = {}
        for folder, ids in wanted.items():
            missing = [id_ for id_ in ids if not _is_translated(catalogue, id_)]
            if missing and not language.startswith(f"{localise.SOURCE}-"):
                path = sources / folder / "texts" / f"{language}.po"
                waiting[path] = [id_ if isinstance(id_, str) else id_[0] for id_ in missing]
        found[language] = Untranslated(sum(map(len, wanted.values())), waiting)
    return found


def _is_translated(catalogue: Catalog, id_: str | tuple[str, ...] | list[str]) -> bool:
    message = catalogue.get(id_)
    if message is None or message.fuzzy:
        return False
    if isinstance(message.string, str):
        return isinstance(id_, str) and bool(message.string)
    return len(message.string) == catalogue.num_plurals and all(message.string)


def _merged(sources: Path) -> dict[str, Catalog]:
    """Return each language's texts, of all kinds together."""
    merged: dict[str, Catalog] = {}
    for path in sorted(sources.glob("**/texts/*.po")):
        locale = _locale(path.stem)
        # A fixed date: the same sources make the same bundle, and nothing is deployed anew.
        catalogue = merged.setdefault(
            path.stem, Catalog(locale=locale, creation_date=EPOCH, revision_date=EPOCH)
        )
        for message in read_po(io.BytesIO(path.read_bytes()), locale=locale):
            if message.id:
                catalogue.add(message.id, message.string, flags=message.flags)
    return merged


# --- all of it ------------------------------------------------------------------------------------


def build(into: Path = localise.BUILT, brand: Brand = LOCAL_BRAND) -> Path:
    """Write templates, catalogues, the brand and what else the render step is told to `into`, and return it."""
    catalogues = compile_catalogues()
    files = {name: text.encode() for name, text in compose_templates().items()} | catalogues
    items = {name: kinds.kind(name).items for name in kinds.names()}
    # The render step is told here what a kind's module says, since that would import the event's model.
    files["items.json"] = json.dumps(items).encode()
    files[STORED.name] = brand.to_json().encode()
    files[TABLE.name] = addresses.written([name.removesuffix(".mo") for name in catalogues])
    into.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        # Replaced in one go each, since another process may be reading.
        temporary = into / f".{name}.{os.getpid()}"
        temporary.write_bytes(content)
        temporary.replace(into / name)
    for path in into.iterdir():
        if path.name not in files and not path.name.startswith("."):
            path.unlink(missing_ok=True)
    return into


# --- make mails -----------------------------------------------------------------------------------


def summary(found: Mapping[str, Untranslated]) -> str:
    """Say how many texts of each language wait for a translation, and in which files."""
    lines = []
    for language, of_language in found.items():
        lines.append(
            f"{language}: {of_language.lacks} of {of_language.total} texts to be translated"
        )
        lines += [
            f"    {len(texts)} in {os.path.relpath(file)}"
            for file, texts in of_language.waiting.items()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    update_catalogues()
    build()
    sys.stdout.write(f"{summary(untranslated())}\n")
