"""The bundle: what runs in Lambda, for the machines that Lambda has, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path

from babel.localedata import locale_identifiers

from infra import sbom

MEGABYTE = 1024 * 1024

CONVENTIONS = """
import json, sys
from babel import Locale, UnknownLocaleError
from steps.mail import localise

def known(tag):
    try:
        Locale.parse(tag, sep="-")
    except UnknownLocaleError:
        pass
    except ValueError:
        return False
    return True

written = {}
for tag in json.load(sys.stdin):
    language = localise.language(tag)
    amounts = [language.money("1234.5", currency) for currency in ("EUR", "JPY", "USD", "XYZ")]
    written[tag] = [known(tag), language.tag, language.direction, language.number("1234.5")]
    written[tag] += [*amounts, language.date("2026-11-25")]
print(json.dumps(written))
"""
"""What a mail takes from a locale, for each tag: the validate step's check, then how it writes."""


def test_the_bundle_has_the_steps_and_their_wheels_for_lambda(bundle: Path) -> None:
    assert (bundle / "steps" / "validate.py").is_file()
    (core,) = bundle.glob("pydantic_core/*.so")
    assert "cpython-314-aarch64" in core.name
    size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
    assert size < 20 * MEGABYTE


def test_what_is_in_the_bundle_is_of_a_package_or_of_the_steps(bundle: Path) -> None:
    recorded = {
        str(file)
        for package in distributions(path=[str(bundle)])
        for file in package.files or []
        if not str(file).startswith("bin/")
    }
    found = {str(file.relative_to(bundle)) for file in bundle.rglob("*") if file.is_file()}
    others = {file for file in found if not file.startswith("steps/")}
    assert others - recorded == {sbom.NAME}
    missing = recorded - others
    assert {file for file in missing if not fnmatch(file, "babel/locale-data/*.dat")} == set()
    assert not list(bundle.glob("boto*"))


def test_of_the_steps_there_is_code_and_what_it_reads(bundle: Path) -> None:
    source = Path("steps")
    steps = bundle / "steps"
    built = {f"mail/built/{file.name}" for file in (source / "mail" / "built").iterdir()}
    code = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    read = {"reports/prices.json", "reports/usage.json"}
    found = {str(file.relative_to(steps)) for file in steps.rglob("*") if file.is_file()}
    assert found == (code - {"kinds/schema.py"}) | read | built


def test_mails_are_written_as_with_all_of_babel_s_locales(bundle: Path) -> None:
    tags = [identifier.replace("_", "-") for identifier in locale_identifiers()]
    tags += [
        "de-XX",
        "xx-DE",
        "en-Latn-GB",
        "DE-at",
        "zh-Hant-TW",
        "iw-IL",
        "no",
        "C",
        "d",
        "de--AT",
    ]

    def written(path: str) -> dict[str, list[str]]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", CONVENTIONS],
            input=json.dumps(tags),
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        result: dict[str, list[str]] = json.loads(done.stdout)
        return result

    assert len(list(bundle.glob("babel/locale-data/*.dat"))) < len(tags) / 2
    assert written(str(bundle)) == written(str(Path().absolute()))
