"""Build the mails: `python -m infra.mail`, and at every bundling.

What need not happen per mail happens here: templates are composed from their parts, styles written as
ordinary CSS are inlined (most clients drop or rewrite a mail's style sheet), catalogues are compiled.
The sources are `steps/kinds`, the result is `steps/mail/built`, which is not in the repository.
"""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import css_inline
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from steps import kinds
from steps.mail import localise

if TYPE_CHECKING:
    from collections.abc import Iterable

VIEW = Path(localise.__file__).with_name("view.py")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

BRAND = {
    "accent": "{{ brand.colour }}",
    "on-accent": "{{ brand.on_colour }}",
    "dark-accent": "{{ brand.dark_colour }}",
    "on-dark-accent": "{{ brand.on_dark_colour }}",
}
"""The custom properties of the style sheets whose values are known per deployment only."""

# --- templates ------------------------------------------------------------------------------------


def templates(sources: Path = kinds.FOLDER) -> dict[str, str]:
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
    found = {}
    for path in sorted(sources.glob("*/mail.html.j2")):
        folder = path.parent.name
        event_type = folder.replace("_", ".", 1)
        words = environment.get_template(f"{folder}/words.j2").module

        def compose(part: str, folder: str = folder, words: object = words) -> str:
            return environment.get_template(f"{folder}/{part}").render(words=words)

        found[f"{event_type}.html"] = inline(compose("mail.html.j2"))
        found[f"{event_type}.txt"] = compose("mail.txt.j2")
        found[f"{event_type}.subject.txt"] = str(vars(words)["subject"])
    return found


_KEPT = re.compile(r"{%.*?%}|{{.*?}}|<style class=\"head\">.*?</style>", re.DOTALL)


def inline(template: str) -> str:
    """Inline the styles of an HTML template, leaving what is Jinja in it as it is.

    An HTML parser moves text out of a table and rewrites attributes, so each tag of Jinja's travels
    as something the parser respects there: a comment between elements, a word inside of one. So
    does the style sheet that stays in the head.
    """
    template = _resolve_variables(template)
    tags: list[str] = []

    def hide(match: re.Match[str]) -> str:
        before = template[: match.start()]
        inside = before.rfind("<") > before.rfind(">") or before.rfind("<!--") > before.rfind("-->")
        # A statement inside a style sheet or a title would be text there, too; none is.
        as_comment = match[0][:2] != "{{" and not inside
        tags.append(match[0])
        return f"<!--j{len(tags) - 1}j-->" if as_comment else f"j{len(tags) - 1}j"

    html = css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False).inline(
        _KEPT.sub(hide, template)
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
    declared = dict(re.findall(r"^\s*--([a-z-]+):\s*(.+?);$", template, re.MULTILINE)) | BRAND
    template = re.sub(r":root {\n(\s*--.*\n)+}\n", "", template)
    return re.sub(r"var\(--([a-z-]+)\)", lambda m: declared[m[1]], template)


# --- catalogues -----------------------------------------------------------------------------------


def messages(sources: Path = kinds.FOLDER) -> dict[str, Catalog]:
    """Collect what is to be translated, by folder: each kind's own texts, and the common ones in ``."""
    options = {"silent": "false", "trimmed": "true"}

    def of(text: str, method: str) -> set[str | tuple[str, ...]]:
        keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
        file = io.BytesIO(text.encode())
        return {
            tuple(m) if isinstance(m, list | tuple) else m
            for _, m, _, _ in extract(method, file, keywords=keywords, options=options)
        }

    by_kind: dict[str, set[str | tuple[str, ...]]] = {}
    for name, template in templates(sources).items():
        folder = re.sub(r"\.(html|txt|subject\.txt)$", "", name).replace(".", "_")
        by_kind.setdefault(folder, set()).update(of(template, "jinja2.ext:babel_extract"))
    shared = of(VIEW.read_text("utf-8"), "python")
    for ids in by_kind.values():
        shared |= {i for i in ids if sum(i in others for others in by_kind.values()) > 1}
    found = {"": _catalogue(shared)}
    return found | {folder: _catalogue(ids - shared) for folder, ids in by_kind.items()}


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
    for folder, wanted in messages(sources).items():
        for language in languages:
            path = sources / folder / "texts" / f"{language}.po"
            catalogue = Catalog(locale=language)
            held = read_po(path.open("rb"), locale=language) if path.exists() else Catalog()
            for message in wanted:
                if message.id:
                    translated = held.get(message.id)
                    catalogue.add(message.id, translated.string if translated else None)
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                write_po(file, catalogue, omit_header=True, width=0, no_location=True)


def compiled(sources: Path = kinds.FOLDER) -> dict[str, bytes]:
    """Compile the catalogues, one per language; return them by file name: `de.mo`, ..."""
    merged: dict[str, Catalog] = {}
    for path in sorted(sources.glob("**/texts/*.po")):
        language = path.stem
        # A fixed date: the same sources make the same bundle, and nothing is deployed anew.
        into = merged.setdefault(
            language, Catalog(locale=language, creation_date=EPOCH, revision_date=EPOCH)
        )
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    into.add(message.id, message.string)
    found = {}
    for language, catalogue in merged.items():
        buffer = io.BytesIO()
        write_mo(buffer, catalogue)
        found[f"{language}.mo"] = buffer.getvalue()
    return found


# --- all of it ------------------------------------------------------------------------------------


def build(into: Path = localise.BUILT) -> Path:
    """Write templates and catalogues to the folder `into`, and return it."""
    files = {name: text.encode() for name, text in templates().items()} | compiled()
    into.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        # Replaced in one go each, since another process may be reading.
        fresh = into / f".{name}.{os.getpid()}"
        fresh.write_bytes(content)
        fresh.replace(into / name)
    for path in into.iterdir():
        if path.name not in files and not path.name.startswith("."):
            path.unlink(missing_ok=True)
    return into


if __name__ == "__main__":
    update_catalogues()
    build()
