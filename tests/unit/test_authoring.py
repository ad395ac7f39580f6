"""A kind of mail and a language are added as CONTRIBUTING.md says, and nothing else is edited."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]

EVENT = '''"""`order.recalled`: what was bought is not safe."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import Moment, OrderEvent, PartId, Pieces, Text

MAX_AGE = timedelta(days=7)
ITEMS = "recalledItems"
IDENTITY = "recallId"


class OrderRecalled(OrderEvent):
    """Adds what is recalled, and why."""

    event_type: Literal["order.recalled"]
    event_timestamp: Moment
    recall_id: PartId = None
    recall_reason: Text
    recalled_items: Pieces | None = None
'''

WORDS = """[% set subject %]{{ _("Please stop using items of order %(id)s", id=short_id) }}[% endset %]
[% set headline, lead, preheader = "{{ name }}", "{{ order.recallReason }}", "" %]
"""

PART = """[% extends "base.{0}.j2" %]
{1}
[% block details %]
[[ parts.items('{{{{ _("Recalled items") }}}}') ]]
[[ parts.rest('{{{{ _("Not in this package") }}}}', "") ]]
[% endblock %]
"""

KIND = """
import json
from datetime import UTC, datetime
from steps import kinds, render
from steps.kinds.parsing import InvalidEvent, parse
from steps.kinds.schema import schema
from tests.support.sample_mails import BRAND, email
mail = email("order.recalled-part")
assert mail["subject"] == "Please stop using items of order NW-20418", mail["subject"]
assert "The glaze has lead." in mail["html"] and "The glaze has lead." in mail["text"]
recalled, rest = mail["text"].split("Not in this package")
assert "Stoneware mug, speckled: × 1" in recalled and "Linen" not in recalled, recalled
assert "Stoneware mug, speckled: × 3" in rest and "Linen" in rest, rest
assert "Not in this package" not in email("order.recalled")["text"]
assert any(reference["$ref"].endswith("OrderRecalled") for reference in schema()["oneOf"])
assert kinds.part(kinds.sample("order.recalled-part")) == {"recallId": "RC-1"}
try:
    parse(json.dumps(kinds.sample("order.recalled") | {"eventType": "order.lost"}), datetime.now(UTC))
except InvalidEvent as invalid:
    assert "order.recalled" in invalid.reasons[0]["reason"]
"""

LANGUAGE = """
from tests.support.sample_mails import email
mail = email("order.confirmed", locale="sv-FI")
said = "TACK"
assert (said in mail["subject"], said in mail["text"]) == ({done}, {done}), mail["subject"]
assert ('lang="sv-FI"' in mail["html"]) == {done}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code, to which something is added."""
    ignore = shutil.ignore_patterns(".*", "node_modules", "built", "__pycache__", "order.*.html")
    return Path(shutil.copytree(ROOT, tmp_path / "checkout", ignore=ignore))


def run(checkout: Path, *arguments: str) -> str:
    """Run a Python program in the copy; return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(checkout: Path, *tests: str) -> None:
    """Run the tests that ask every kind, template and text."""
    chosen = "kinds or class or fields or placeholders or every_language"
    options = ("-q", "-p", "no:cacheprovider", "-k", chosen)
    run(checkout, "-m", "pytest", *options, *tests, "tests/infra/test_mail.py")


def translate(checkout: Path, language: str) -> None:
    """Translate every message that is not, as a translator would who knows one word."""
    for path in checkout.glob(f"steps/kinds/**/texts/{language}.po"):
        catalogue = read_po(io.BytesIO(path.read_bytes()), locale=language.replace("-", "_"))
        for message in catalogue:
            if message.id and not any(message.string):
                forms = message.id if isinstance(message.id, tuple) else (message.id,)
                said = tuple(
                    f"TACK {' '.join(re.findall(r'%[(][a-z]+[)][sd]', str(form)))}"
                    for form in (forms * catalogue.num_plurals)[-catalogue.num_plurals :]
                )
                message.string = said if isinstance(message.id, tuple) else said[-1]
        with path.open("wb") as file:
            write_po(file, catalogue, omit_header=True, width=0, no_location=True)


def test_adding_a_kind_is_adding_a_folder(checkout: Path) -> None:
    folder = checkout / "steps" / "kinds" / "order_recalled"
    shutil.copytree(checkout / "steps" / "kinds" / "order_shipped", folder)
    shutil.rmtree(folder / "texts")
    (folder / "__init__.py").write_text(EVENT)
    sample = (checkout / "steps" / "kinds" / "order_confirmed" / "sample.json").read_text("utf-8")
    new = '"recallReason": "The glaze has lead.", "eventTimestamp": "2026-10-09T15:30:00Z",'
    sample = sample.replace("order.confirmed", "order.recalled").replace("{", "{" + new, 1)
    (folder / "sample.json").write_text(sample, "utf-8")
    mugs = '"recalledItems": [{"name": "Stoneware mug, speckled", "quantity": 1, "sku": "MUG-SPK"}]'
    (folder / "sample-part.json").write_text(
        sample.replace("{", '{"recallId": "RC-1", ' + mugs + ",", 1), "utf-8"
    )
    (folder / "words.j2").write_text(WORDS)
    json_ld = "[% block json_ld %]order_ld(None)[% endblock %]"
    (folder / "mail.html.j2").write_text(PART.format("html", json_ld))
    (folder / "mail.txt.j2").write_text(PART.format("txt", ""))
    run(checkout, "-m", "infra.mail")
    for texts in (checkout / "steps" / "kinds" / "texts").glob("*.po"):
        translate(checkout, texts.stem)
    for program in ("steps.kinds.schema", "infra.mail"):
        run(checkout, "-m", program)
    run(checkout, "-c", KIND)
    judged = ("tests/unit/kinds/test_kinds.py", "tests/unit/kinds/test_schema.py")
    run(
        checkout,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *judged,
        "tests/infra/test_mail.py",
    )


def test_adding_a_language_is_adding_its_texts(checkout: Path) -> None:
    (checkout / "steps" / "kinds" / "texts" / "sv.po").touch()
    run(checkout, "-m", "infra.mail")
    run(checkout, "-c", LANGUAGE.format(done=False))
    translate(checkout, "sv")
    run(checkout, "-m", "infra.mail")
    run(checkout, "-c", LANGUAGE.format(done=True))
    judge(checkout)
