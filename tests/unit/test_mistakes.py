"""A mistake in a template is told with the file and line that a person edits, though mails are composed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from infra import mail
from infra.local import mistakes
from infra.local.events import validated
from infra.local.preview import forget_what_was_built
from steps import kinds, render
from steps.mail import localise
from tests.support.sample_mails import BRAND, NOTIFICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Edit = Callable[[str, str, str], str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with sources of its own."""
    folder = tmp_path / "steps" / "kinds"
    shutil.copytree(kinds.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kinds, "FOLDER", folder)
    monkeypatch.setattr(mistakes, "ROOT", tmp_path)
    monkeypatch.setattr(localise, "BUILT", tmp_path / "built")
    forget_what_was_built()
    yield tmp_path
    forget_what_was_built()


@pytest.fixture
def edit(root: Path) -> Edit:
    """Put a mistake into a source; return the place of its line, as it is to be told."""

    def edit(name: str, old: str, new: str) -> str:
        file = root / "steps" / "kinds" / name
        text = file.read_text("utf-8")
        before, found, _after = text.partition(old)
        assert found
        file.write_text(text.replace(old, new, 1), "utf-8")
        return f"steps/kinds/{name}:{before.count(chr(10)) + 1}"

    return edit


def told(root: Path) -> str:
    """Build and render the mail of a parcel; return what is told of the mistake."""
    built = root / "built"
    built.mkdir(exist_ok=True)
    try:
        for name, text in mail.compose_templates(kinds.FOLDER).items():
            (built / name).write_text(text, "utf-8")
        order = validated(kinds.sample("order.shipped"), "sample")
        render.render(order, BRAND, NOTIFICATION_ID)
    except Exception as error:
        return mistakes.explain(error)
    raise AssertionError("nothing is wrong")


CARRIER = '[[ parts.fact("order.carrier"'


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        pytest.param(
            "order_shipped/mail.html.j2",
            ("[% call parts.panel() %]", "[% call parts.panel() ]"),
            "TemplateSyntaxError",
            id="square brackets, when composed",
        ),
        pytest.param(
            "order_shipped/mail.html.j2",
            (CARRIER, '[[ parts.fct("order.carrier"'),
            "no attribute 'fct'",
            id="a building block that there is not",
        ),
        pytest.param(
            "base.html.j2",
            ("[[ words.headline ]]", "[[ words.hedline ]]"),
            "no attribute 'hedline'",
            id="shared, when composed",
        ),
        pytest.param(
            "order_shipped/words.j2",
            ('{{ _("Part of your order', '{{ _(("Part of your order'),
            "TemplateSyntaxError",
            id="braces of the subject",
        ),
        pytest.param(
            "parts.html.j2",
            ("{{ line.name }}</a>", "{{ line.name | nothing }}</a>"),
            "No filter named 'nothing'",
            id="a filter in what all share",
        ),
        pytest.param(
            "order_shipped/words.j2",
            (
                '_("We expect it to arrive on %(date)s.", date=arrival.text)',
                '_("We expect it to arrive on %(date)s.", date=arrivl.text)',
            ),
            "'arrivl' is undefined",
            id="a name that there is not",
        ),
        pytest.param(
            "parts.html.j2",
            ("{{ line.name }}</a>", "{{ line.nme }}</a>"),
            "no attribute 'nme'",
            id="a field of a line",
        ),
        pytest.param(
            "order_shipped/mail.html.j2",
            (CARRIER, '[[ parts.fact("ordr.carrier"'),
            "'ordr' is undefined",
            id="the argument of a building block",
        ),
        pytest.param(
            "order_shipped/words.j2",
            (
                '"Your order %(id)s is on its way", id=short_id',
                '"Your order %(id)s is on its way", ident=short_id',
            ),
            "KeyError: 'id'",
            id="a placeholder",
        ),
        pytest.param(
            "order_shipped/mail.txt.j2",
            (CARRIER, '[[ parts.fact("order.carrier.name.first"'),
            "has no attribute 'name'",
            id="in the text part",
        ),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(
    root: Path, edit: Edit, name: str, change: tuple[str, str], said: str
) -> None:
    place = edit(name, *change)
    first, *places = told(root).splitlines()
    assert said in first
    assert places[0] == place
    assert change[1] in places[1]


def test_what_is_in_no_source_as_it_stands_is_told_with_what_the_mail_is_composed_of(
    root: Path, edit: Edit
) -> None:
    edit("order_shipped/mail.html.j2", "[[ parts.rest(", "{% if partial %}")
    explained = told(root)
    assert "TemplateSyntaxError" in explained
    own = "steps/kinds/order_shipped/mail.html.j2, steps/kinds/order_shipped/words.j2"
    assert f"in the mail that is composed of {own}, " in explained
    assert "kinds/base.html.j2:" not in explained


def test_another_error_is_told_as_it_is() -> None:
    assert mistakes.explain(ValueError("x")) == "ValueError: x"


def test_a_field_that_the_kind_does_not_have_is_told_with_its_place(root: Path, edit: Edit) -> None:
    place = edit("order_shipped/mail.html.j2", '"order.trackingUrl"', '"order.trackingUrI"')
    (root / "built").mkdir()
    for name, text in mail.compose_templates(kinds.FOLDER).items():
        (root / "built" / name).write_text(text, "utf-8")
    said = "order.trackingUrI is no field of order.shipped: did you mean trackingUrl?"
    assert mistakes.misspelt_fields("order.shipped") == [f"{place}: {said}"]
    assert mistakes.misspelt_fields("order.delivered") == []


@pytest.mark.parametrize("kind", kinds.names())
def test_no_template_uses_a_field_that_its_kind_does_not_have(kind: str) -> None:
    assert mistakes.misspelt_fields(kind) == []
