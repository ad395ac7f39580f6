"""axe, which judges whether a page can be used by everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / "infra" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page, *, without: tuple[str, ...] = ()) -> list[tuple[str, list[str]]]:
    """Return the rules that a page breaks, with the elements that break them; `without` are left out."""
    page.evaluate(SOURCE.read_text())
    options = {"rules": {rule: {"enabled": False} for rule in without}}
    report = page.evaluate(f"axe.run({json.dumps(options)})")
    passed = {rule["id"] for rule in report["passes"]}
    assert "color-contrast" in passed, "axe looked at no text"
    return [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in report["violations"]
    ]
