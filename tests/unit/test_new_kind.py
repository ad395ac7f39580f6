"""Adding a kind is adding a folder: nothing else of the code knows that there is another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

EVENT = '''"""`order.delayed`: it takes longer."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import OrderEvent, Text

MAX_AGE = timedelta(days=7)


class OrderDelayed(OrderEvent):
    """Adds why."""

    event_type: Literal["order.delayed"]
    delay_reason: Text
'''

PROGRAM = """
import json
from infra.mail import build
from datetime import UTC, datetime
from steps import kinds, render
from steps.kinds.parsing import InvalidEvent, parse
from steps.kinds.schema import schema
from tests.support.sample_mails import BRAND
build()
NOW = datetime(2026, 11, 24, tzinfo=UTC)
event = parse(json.dumps(kinds.sample("order.delayed")), NOW)
order = json.loads(event.model_dump_json(by_alias=True, exclude_none=True))
mail = render.render(order, BRAND, "0" * 40)
assert mail["subject"] == "Order NW-20418 takes longer", mail["subject"]
assert "The kiln is cold." in mail["html"] and "The kiln is cold." in mail["text"]
assert any(reference["$ref"].endswith("OrderDelayed") for reference in schema()["oneOf"])
try:
    parse(json.dumps(kinds.sample("order.delayed") | {"eventType": "order.lost"}), NOW)
except InvalidEvent as invalid:
    assert "order.delayed" in invalid.reasons[0]["reason"]
"""


def test_adding_a_kind_is_adding_a_folder(tmp_path: Path) -> None:
    for package in ("steps", "infra", "tests"):
        ignore = shutil.ignore_patterns("node_modules", "built", "__pycache__", "golden")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    folder = tmp_path / "steps" / "kinds" / "order_delayed"
    shutil.copytree(ROOT / "steps" / "kinds" / "order_confirmed", folder)
    (folder / "__init__.py").write_text(EVENT)
    sample = (folder / "sample.json").read_text()
    sample = sample.replace("order.confirmed", "order.delayed")
    (folder / "sample.json").write_text(
        sample.replace("{", '{"delayReason": "The kiln is cold.",', 1)
    )
    words = '[% set subject %]{{ _("Order %(id)s takes longer", id=order_id) }}[% endset %]\n'
    words += '[% set headline, lead, preheader = "{{ name }}", "{{ order.delayReason }}", "" %]'
    (folder / "words.j2").write_text(words)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
