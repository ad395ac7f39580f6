"""The bundle: what runs in Lambda, for the machines that Lambda has, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import distributions
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

import pytest
from babel.localedata import locale_identifiers

from infra import sbom
from infra.brand import LOCAL_BRAND
from infra.bundling import AWS_LAMBDA, Target, build_bundle, laptop
from steps import kinds
from steps.mail.brand import Brand
from tests.support.sample_mails import pairs

MEGABYTE = 1_000_000
IMAGE = ".local/lambda-image/bin/python"

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

MAILS = """
import importlib, json, pathlib, sys
from datetime import datetime
from steps import render
from steps.kinds.parsing import parse
from steps.mail.brand import Brand

for function in pathlib.Path(render.__file__).parent.glob("*.py"):
    importlib.import_module(f"steps.{function.stem}")
mails = []
for event in json.load(sys.stdin):
    now = datetime.fromisoformat(event.get("eventTimestamp", event["orderTimestamp"]))
    order = parse(json.dumps(event), now).model_dump_json(by_alias=True, exclude_none=True)
    mails.append(render.render(json.loads(order), Brand(name="Shop", support_email="a@shop.example"), "id"))
print(json.dumps(mails))
"""
"""Imports every function, and makes mails of events."""

BYTECODE = """
import pathlib, sys
bundle = pathlib.Path(sys.path[0])
specs = [m.__spec__ for m in list(sys.modules.values()) if getattr(m, "__spec__", None)]
ours = [s for s in specs if s.cached and bundle in pathlib.Path(s.origin).parents]
assert len(ours) > 150
print(json.dumps([s.name for s in ours if not pathlib.Path(s.cached).exists()]))
"""
"""Follows `MAILS`: what was imported from the bundle without bytecode."""


@pytest.fixture(scope="module")
def on_laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle for the laptop."""
    folder = tmp_path_factory.mktemp("laptop")
    return build_bundle(laptop_target(folder), folder / "asset", LOCAL_BRAND).directory


def laptop_target(folder: Path) -> Target:
    (folder / "bootstrap").touch()
    return laptop(folder / "bootstrap")


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
    found = {
        str(file.relative_to(bundle))
        for file in bundle.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    others = {file for file in found if not file.startswith("steps/")}
    assert others - recorded == {sbom.NAME}
    missing = recorded - others
    data = ("babel/locale-data/*.dat", "aws_lambda_powertools/*/swagger_ui/*.min.*")
    assert {f for f in missing if not any(fnmatch(f, pattern) for pattern in data)} == set()
    assert not list(bundle.glob("boto*"))
    assert not list(bundle.glob("dns*"))


def test_of_the_steps_there_is_code_and_what_it_reads(bundle: Path) -> None:
    source = Path("steps")
    steps = bundle / "steps"
    built = {f"mail/built/{file.name}" for file in (source / "mail" / "built").iterdir()}
    code = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    read = {"reports/prices.json", "reports/usage.json"}
    found = {
        str(file.relative_to(steps))
        for file in steps.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert found == (code - {"kinds/schema.py", "contract/outcome_schema.py"}) | read | built


def test_the_bundle_has_its_settings_brand(bundle: Path) -> None:
    stored = (bundle / "steps" / "mail" / "built" / "brand.json").read_text("utf-8")
    assert Brand.from_json(stored) == LOCAL_BRAND


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

    assert len(list(bundle.glob("babel/locale-data/*.dat"))) < len(tags) / 2
    from_bundle = run(CONVENTIONS, tags, path=bundle)
    assert from_bundle == run(CONVENTIONS, tags, path=Path().absolute())


def test_the_bundle_writes_every_mail_with_nothing_but_lambda_s_image(on_laptop: Path) -> None:
    """As on the laptop: Lambda's own bundle has wheels that run on Lambda's machines alone."""
    events = [kinds.sample(sample) | {"locale": locale} for sample, locale in pairs()]
    in_lambda = run(MAILS, events, path=on_laptop, python=IMAGE)
    assert len(in_lambda) > len(kinds.names())
    assert in_lambda == run(MAILS, events, path=Path().absolute())


def test_what_functions_import_is_there_as_bytecode(on_laptop: Path, bundle: Path) -> None:
    program = MAILS.replace("print(json.dumps(mails))", BYTECODE)
    events = [kinds.sample(sample) | {"locale": locale} for sample, locale in pairs()]
    assert run(program, events, path=on_laptop, python=IMAGE) == []
    assert compiled(bundle) == compiled(on_laptop)


def compiled(bundle: Path) -> set[str]:
    """Return the modules that have bytecode: `steps/__pycache__/send`."""
    return {str(path.relative_to(bundle)).split(".")[0] for path in bundle.rglob("*.pyc")}


def test_lambda_s_python_takes_the_bytecode(bundle: Path) -> None:
    program = str(Path(__file__).with_name("bytecode.mjs"))
    done = subprocess.run(
        ["node", program, str(bundle)], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == []
    names = {path.name.split(".", 1)[1] for path in bundle.rglob("*.pyc")}
    assert names == {f"{AWS_LAMBDA.cache_tag}.pyc"}


def test_bytecode_of_another_python_is_passed_over(on_laptop: Path, tmp_path: Path) -> None:
    other = shutil.copytree(on_laptop, tmp_path / "asset")
    for path in other.rglob("*.pyc"):
        assert path.read_bytes().startswith(MAGIC_NUMBER)
        path.write_bytes(b"\0" * 16 + b"no code of anybody's")
    assert run(MAILS, [kinds.sample("order.shipped")], path=other, python=IMAGE)


@pytest.mark.parametrize("target", ["laptop", "lambda"])
def test_the_same_sources_make_the_same_bundle(
    target: str, on_laptop: Path, bundle: Path, tmp_path: Path
) -> None:
    first = {"laptop": on_laptop, "lambda": bundle}[target]
    built_for = {"laptop": laptop_target(tmp_path), "lambda": AWS_LAMBDA}[target]
    again = build_bundle(built_for, tmp_path / "elsewhere" / "asset", LOCAL_BRAND).directory
    assert digests(again) == digests(first)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_pyodide_of_another_version_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        ["node", "infra/bytecode.mjs", "cpython-399", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cpython-399 is wanted" in done.stderr
    assert not list(tmp_path.iterdir())


def run(program: str, given: object, *, path: Path, python: str = sys.executable) -> Any:
    """Run a program that finds its modules in `path`, before those of `python`."""
    done = subprocess.run(
        [python, "-P", "-c", program],
        input=json.dumps(given),
        env=os.environ | {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
