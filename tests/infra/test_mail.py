"""What the mails are built from: styles inlined around the templates' own tags, every text translated."""

from __future__ import annotations

import gettext
import io
import re
import shutil
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from infra import mail
from infra.local.mistakes import used_fields
from steps import kinds
from steps.mail import localise

TEMPLATES = mail.compose_templates()
MESSAGES = mail.collect_messages()
CATALOGUES = sorted(kinds.FOLDER.glob("**/texts/*.po"))


def test_inlining_styles_leaves_the_template_s_tags_where_they_are() -> None:
    source = (
        "<html><head><style>.a { color: red; }</style></head><body><table>\n"
        '{% for x in xs %}<tr><td class="a" align="{{ end }}">{{ x }}</td></tr>{% endfor %}\n'
        '<tr><td colspan="{{ 4 if p else 3 }}"><a href="{{ url }}?a=1&amp;b">&lt;</a></td></tr>'
        "</table></body></html>"
    )
    assert mail.inline_styles(source) == (
        "<html><head></head><body><table>\n"
        '{% for x in xs %}<tr><td class="a" align="{{ end }}" style="color: red;">{{ x }}</td></tr>'
        "{% endfor %}\n"
        '<tr><td colspan="{{ 4 if p else 3 }}"><a href="{{ url }}?a=1&amp;b">&lt;</a></td></tr>'
        "</table></body></html>"
    )


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(".html")])
def test_every_class_has_a_style(name: str) -> None:
    used = {
        class_
        for attribute in re.findall(r'class="([^"]+)"', TEMPLATES[name])
        for class_ in attribute.split()
    }
    css = "".join((kinds.FOLDER / sheet).read_text() for sheet in ("mail.css", "head.css"))
    declared = set(
        re.findall(r"\.([a-z][a-z-]*)", re.sub(r"/\*.*?\*/|{[^}]*}", "", css, flags=re.DOTALL))
    )
    assert used <= declared


def test_every_style_has_a_class_that_uses_it() -> None:
    html = "".join(text for name, text in TEMPLATES.items() if name.endswith(".html"))
    declared = re.findall(r"^\.([a-z-]+) {", (kinds.FOLDER / "mail.css").read_text(), re.MULTILINE)
    unused = {class_ for class_ in declared if not re.search(rf'class="[^"]*\b{class_}\b', html)}
    assert unused == set()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_uses_only_fields_of_its_kind(name: str) -> None:
    event_type = re.sub(r"\.(html|txt|subject\.txt)$", "", name)
    fields = {field.alias for field in kinds.kind(event_type).event.model_fields.values()}
    assert used_fields(TEMPLATES[name]) <= fields


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda p: f"{p.parent.parent.name}-{p.stem}")
def test_every_text_is_translated_with_the_same_placeholders(path: Path) -> None:
    messages = MESSAGES["" if path.parent.parent == kinds.FOLDER else path.parent.parent.name]
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem.replace("-", "_"))
    catalogue_ids = {message.id for message in catalogue if message.id}
    assert catalogue_ids == {message.id for message in messages if message.id}, "run: make mails"
    for message in catalogue:
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        original = message.id[-1] if isinstance(message.id, tuple) else message.id
        for index, form in enumerate(forms):
            if not form and path.stem.startswith("en-"):
                continue  # As in English.
            assert form, f"{message.id} is not translated"
            expected = _placeholders(str(original))
            if "%(num)d" not in str(form) and len(forms) > 1 and _says_one_or_two(catalogue, index):
                expected.remove("%(num)d")
            shown = _placeholders(str(form))
            if "%(id)s" in expected and "%(shop)s" in shown:
                expected = sorted([*expected, "%(shop)s"])  # A subject may name the shop.
            assert shown == expected
        assert len(forms) == (catalogue.num_plurals if isinstance(message.id, tuple) else 1)


def _says_one_or_two(catalogue: Catalog, index: int) -> bool:
    """Whether a plural form is of none, of 1 or of 2 alone, which Arabic says by the noun itself."""
    catalogue = Catalog(locale=catalogue.locale)
    forms = [str(number) for number in range(catalogue.num_plurals)]
    catalogue.add(("one", "many"), tuple(forms))
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    texts = gettext.GNUTranslations(file)
    numbers = {n for n in range(1000) if texts.ngettext("one", "many", n) == forms[index]}
    return numbers in ({0}, {1}, {2})


@pytest.mark.parametrize("path", [path for path in CATALOGUES if path.stem == "fr"], ids=str)
def test_french_has_its_spaces_before_its_signs(path: Path) -> None:
    """Narrow before ? ! and ;, full before the colon, neither of which breaks (Imprimerie nationale)."""
    with path.open("rb") as file:
        for message in read_po(file, locale="fr"):
            if not message.id:
                continue
            forms = message.string if isinstance(message.string, tuple) else (message.string,)
            for form in filter(None, map(str, forms)):
                for before, sign in re.findall(r"(.)([?!;:])", form):
                    assert before == ("\u00a0" if sign == ":" else "\u202f"), form


def test_every_kind_has_every_language() -> None:
    languages = {path.stem for path in (kinds.FOLDER / "texts").glob("*.po")}
    assert languages | {localise.SOURCE} == set(localise.languages())
    for name in kinds.names():
        assert {path.stem for path in (kinds.folder(name) / "texts").glob("*.po")} == languages


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return a copy of the kinds, to change."""
    return Path(shutil.copytree(kinds.FOLDER, tmp_path / "kinds"))


TOTAL = r'msgid "Total"\nmsgstr ".+"\n'


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        (TOTAL, ""),
        (TOTAL, 'msgid "Total"\nmsgstr ""\n'),
        (TOTAL, r"#, fuzzy\n\g<0>"),
        (r'msgstr\[1\] ".+"\n', 'msgstr[1] ""\n'),
        (r'msgstr\[1\] ".+"\n', ""),
    ],
)
def test_a_language_that_lacks_a_text_is_left_out(sources: Path, text: str, instead: str) -> None:
    german = sources / "order_confirmed" / "texts" / "de.po"
    before = lacking_texts(sources)
    whole = german.read_text()
    german.write_text(re.sub(text, instead, whole, count=1))
    assert german.read_text() != whole
    assert lacking_texts(sources) == before | {"de": before["de"] + 1}
    assert "de.mo" not in mail.compile_catalogues(sources)
    mail.update_catalogues(sources)
    assert lacking_texts(sources)["de"] == before["de"] + 1


def test_a_new_text_leaves_out_every_language_until_it_is_translated(sources: Path) -> None:
    before = lacking_texts(sources)
    template = sources / "order_shipped" / "mail.txt.j2"
    source = template.read_text()
    template.write_text(source.replace("[% endblock %]", '{{ _("Brand new") }}\n[% endblock %]'))
    assert lacking_texts(sources) == {
        tag: lacks + (not tag.startswith("en-")) for tag, lacks in before.items()
    }
    assert set(mail.compile_catalogues(sources)) == {"en-GB.mo"}


def test_texts_may_be_a_territory_s(sources: Path) -> None:
    """Those of English need only say what is not as in English."""
    (sources / "texts" / "fr-CA.po").touch()
    (sources / "texts" / "en-AU.po").write_text('msgid "Total"\nmsgstr "Total, please"\n')
    mail.update_catalogues(sources)
    assert set(mail.collect_messages(sources)) == {
        str(path.parent.parent.relative_to(sources)).replace(".", "")
        for path in sources.glob("**/texts/fr-CA.po")
    }
    lacks = lacking_texts(sources)
    assert lacks["fr-CA"] == sum(
        bool(message.id) for texts in mail.collect_messages(sources).values() for message in texts
    )
    catalogues = mail.compile_catalogues(sources)
    assert "fr-CA.mo" not in catalogues
    british = gettext.GNUTranslations(io.BytesIO(catalogues["en-AU.mo"]))
    assert british.gettext("Total") == "Total, please"
    assert british.gettext("Shipping") == "Shipping"
    assert british.ngettext("%(num)d item", "%(num)d items", 2) == "%(num)d items"


def test_the_same_sources_make_the_same_files(tmp_path: Path) -> None:
    first, second = (
        {path.name: path.read_bytes() for path in mail.build(tmp_path / folder).iterdir()}
        for folder in ("1", "2")
    )
    assert first == second


def lacking_texts(sources: Path) -> dict[str, int]:
    """Return how many texts each language lacks."""
    return {language: found.lacks for language, found in mail.untranslated(sources).items()}


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\(\w+\))?.", text))


def test_the_templates_are_so_valid_that_the_inliner_moves_no_tag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would: a parser moves what is misplaced and closes what is left open, without a word."""

    def tags(html: str) -> list[str]:
        return [
            tag
            for tag in re.findall(r"<(/?[a-z][a-z0-9]*)", html)
            if tag not in ("style", "/style")
        ]

    monkeypatch.setattr(mail, "inline_styles", str)
    for name, source in mail.compose_templates().items():
        assert tags(source) == tags(TEMPLATES[name]), name


def test_a_text_that_a_second_kind_uses_moves_with_its_translation(tmp_path: Path) -> None:
    sources = tmp_path / "kinds"
    shutil.copytree(kinds.FOLDER, sources)
    own = (sources / "order_delivered" / "texts" / "de.po").read_text()
    text = re.findall(r'^msgid "([^%"]+)"$', own, re.MULTILINE)[0]
    translation = read_po(io.BytesIO(own.encode()), locale="de").get(text)
    assert translation is not None
    assert translation.string
    second_template = sources / "order_shipped" / "mail.txt.j2"
    second_template.write_text(
        second_template.read_text().replace(
            "[% endblock %]", f'{{{{ _("{text}") }}}}\n[% endblock %]'
        )
    )

    mail.update_catalogues(sources)

    def translated(folder: str) -> object:
        with (sources / folder / "texts" / "de.po").open("rb") as file:
            message = read_po(file, locale="de").get(text)
        return message and message.string

    assert translated(".") == translation.string
    assert translated("order_delivered") is None


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_nothing_waits_for_a_translation() -> None:
    found = mail.untranslated()
    assert found.keys() == set(localise.languages()) - {localise.SOURCE}
    assert not any(gap.waiting for gap in found.values())


def test_texts_that_wait_are_found_with_their_file_whichever_way_they_lack(sources: Path) -> None:
    common, own = sources / "texts" / "de.po", sources / "order_shipped" / "texts" / "de.po"
    edit(common, 'msgstr "Zugestellt"', 'msgstr ""')
    edit(common, 'msgstr[1] "und %(num)d weitere Artikel"', 'msgstr[1] ""')
    edit(own, 'msgid "', 'msgid "New: ')
    (plain,) = re.findall(r'^(msgid "Carrier")$', common.read_text("utf-8"), re.MULTILINE)
    edit(common, plain, f"#, fuzzy\n{plain}")
    waiting = mail.untranslated(sources)["de"].waiting
    assert set(waiting[common]) == {"Delivered", "and %(num)d more item", "Carrier"}
    assert len(waiting[own]) == 1
    assert set(waiting) == {common, own}
    assert mail.untranslated(sources)["fr"].waiting == {}
    arabic = sources / "texts" / "ar.po"
    arabic.write_text(
        re.sub(r"^msgstr\[5\].*\n", "", arabic.read_text(), count=1, flags=re.MULTILINE)
    )
    assert mail.untranslated(sources)["ar"].waiting == {arabic: ["and %(num)d more item"]}


def test_english_of_a_territory_lacks_nothing(sources: Path) -> None:
    (sources / "texts" / "en-AU.po").write_text("")
    (sources / "texts" / "fr-CA.po").write_text("")
    found = mail.untranslated(sources)
    assert found["en-AU"].waiting == {}
    assert sum(map(len, found["fr-CA"].waiting.values())) == found["fr-CA"].total > 50


def test_the_summary_counts_what_waits_and_where() -> None:
    file = kinds.FOLDER / "texts" / "de.po"
    found = {"de": mail.Untranslated(96, {file: ["a", "b"]}), "fr": mail.Untranslated(96, {})}
    assert mail.summary(found) == (
        "de: 2 of 96 texts to be translated\n"
        "    2 in steps/kinds/texts/de.po\n"
        "fr: 0 of 96 texts to be translated"
    )
