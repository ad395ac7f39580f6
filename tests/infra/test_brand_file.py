"""The brand's file: the whole letterhead, and one line that names all that is wrong in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from aws_cdk import FileSystem

from infra import brand, mail
from infra.bundling import ROOT
from infra.config import Config
from infra.setting import ConfigError
from steps.mail.brand import DEFAULT, Brand, OrderWording

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "infra" / "brand.example.json"
LINK = {"label": "Terms", "url": "https://shop.example/terms"}
MINIMAL = Brand(name="Shop", support_email="a@b.example")


def example(**changes: object) -> dict[str, Any]:
    """Return the example's content, with fields changed."""
    content: dict[str, Any] = json.loads(EXAMPLE.read_text("utf-8"))
    return content | changes


def read(tmp_path: Path, content: object, **variables: str) -> Brand:
    """Return the brand of settings with a file of this content."""
    path = tmp_path / "brand.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return Config.from_environment({"BRAND_FILE": str(path)} | variables, local=True).brand


def test_the_example_has_every_field() -> None:
    given = Config.from_environment({"BRAND_FILE": "infra/brand.example.json"}, local=True).brand
    same = [f.name for f in fields(Brand) if getattr(given, f.name) == getattr(MINIMAL, f.name)]
    assert same == []
    assert given.footer("de-AT").legal != given.footer("en").legal
    assert given.order_wording is OrderWording.RECEIVED


def test_a_path_is_one_from_the_project_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"BRAND_FILE": "infra/brand.example.json"}
    here = Config.from_environment(settings, local=True)
    monkeypatch.chdir(tmp_path)
    assert Config.from_environment(settings, local=True) == here


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    variables = {"BRAND_NAME": "Other", "BRAND_LINKS": "Help=https://other.example/help"}
    given = read(tmp_path, example(), **variables, BRAND_COLOUR=" ")
    assert given.name == "Other"
    assert given.links == {DEFAULT: (("Help", "https://other.example/help"),)}
    assert given.colour == example()["colour"]
    assert given.legal


def test_what_the_file_leaves_out_is_as_without_a_file(tmp_path: Path) -> None:
    assert read(tmp_path, {}) == Config.from_environment({}, local=True).brand


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"colour": "green"}, 'colour is "green": it takes a colour such as #1f5a43'),
        ({"colour": 7}, "colour is 7: it takes a colour such as #1f5a43"),
        ({"name": None}, "name is null: it takes the shop's name, at most 80 characters"),
        (
            {"logoURL": "https://shop.example/"},
            'logoURL is "https://shop.example/": there is no such field, but name, supportEmail, ',
        ),
        ({"links": [LINK]}, 'links is [{"label": "Terms", "url": "https://shop.example/terms"}]: '),
        (
            {"links": {DEFAULT: [LINK, LINK | {"url": "http://shop.example"}]}},
            'links.default[1].url is "http://shop.example": it takes a link that begins with https://',
        ),
        (
            {"links": {DEFAULT: [LINK | {"lable": "x"}]}},
            'links.default[0].lable is "x": there is no such field, but label, url',
        ),
        (
            {"links": {DEFAULT: [LINK | {"label": " "}]}},
            'links.default[0].label is " ": it takes a label of at most 40 characters',
        ),
        (
            {"links": {DEFAULT: [{"label": "x"}]}},
            "links.default[0].url is not given: it takes a link",
        ),
        ({"links": {DEFAULT: [LINK] * 11}}, "links.default is [{"),
        ({"links": {"de_AT": [], DEFAULT: []}}, 'links.de_AT is "de_AT": it takes a language tag'),
        ({"legal": {"de": ["x"]}}, 'legal is {"de": ["x"]}: it takes "default", too'),
        ({"legal": {DEFAULT: "x"}}, 'legal.default is "x": it takes '),
        ({"legal": {DEFAULT: ["a\nb"]}}, 'legal.default[0] is "a\\nb": it takes a line of '),
        (
            {"orderWording": "accepted"},
            'orderWording is "accepted": it takes confirmed or received',
        ),
        ({"supportPhone": "+49 (0)40 1"}, 'supportPhone is "+49 (0)40 1": it takes a phone number'),
        (
            {"unsubscribeUrl": "x"},
            'unsubscribeUrl is "x": it takes a link that begins with https:// ',
        ),
        ([], "it takes an object of JSON: "),
        ('{"name": "x",}', "it takes an object of JSON: Invalid JSON: "),
        ('{"name": "\\ud800"}', "it takes an object of JSON: Invalid JSON: "),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_its_place_and_what_it_takes(
    tmp_path: Path, content: object, said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert message.startswith(f"BRAND_FILE {tmp_path / 'brand.json'}: {said}")
    assert "it takes " in message or "there is no such field, but " in message
    assert len(message.splitlines()) == 1


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    content = example(colour="green", logoUrl="x" * 5000, supprtPhone="1")
    with pytest.raises(ConfigError) as error:
        read(tmp_path, content)
    message = str(error.value)
    for place in ("colour is ", "; logoUrl is ", "; supprtPhone is "):
        assert place in message
    assert len(message) < 1000


def test_a_dark_logo_alone_is_refused(tmp_path: Path) -> None:
    content = {"logoDarkUrl": "https://shop.example/dark.png"}
    with pytest.raises(ConfigError, match=r"^BRAND_LOGO_DARK_URL is given without BRAND_LOGO_URL"):
        read(tmp_path, content)


def test_a_shop_has_a_whole_letterhead_in_each_of_many_languages(tmp_path: Path) -> None:
    """Far more than the 4 KB that a function's variables have."""
    tags = [DEFAULT, *(f"{language}-{n:03}" for language in ("de", "fr") for n in range(20))]
    link = {"label": "L" * 40, "url": f"https://shop.example/{'x' * 100}"}
    content = example(
        links={tag: [link] * 5 for tag in tags},
        legal={tag: [f"{tag} {'§' * 100}"] * 5 for tag in tags},
    )
    assert len(json.dumps(content).encode()) > 50_000
    given = read(tmp_path, content)
    mail.build(tmp_path / "built", given)
    stored = Brand.from_json((tmp_path / "built" / "brand.json").read_text("utf-8"))
    assert stored == given
    assert stored.footer("fr-019").legal[0].startswith("fr-019 ")


def test_an_unchanged_brand_deploys_nothing_anew_and_a_changed_one_does(tmp_path: Path) -> None:
    """CDK knows an asset by this fingerprint of its folder."""

    def fingerprint(folder: str, given: Brand) -> str:
        return FileSystem.fingerprint(str(mail.build(tmp_path / folder, given)))

    turned = dict(reversed(example().items()))
    turned["legal"] = dict(reversed(turned["legal"].items()))
    before = fingerprint("before", read(tmp_path, example()))
    assert fingerprint("same", read(tmp_path, turned)) == before
    assert fingerprint("other", read(tmp_path, example(name="Other"))) != before


# --- the schema -----------------------------------------------------------------------------------


def test_the_schema_is_up_to_date_and_the_example_conforms() -> None:
    printed = json.loads(brand.SCHEMA.read_text("utf-8"))
    assert printed == brand.schema(), "run: python -m infra.brand"
    jsonschema.Draft202012Validator(printed).validate(example())
    assert (EXAMPLE.parent / example()["$schema"]).samefile(brand.SCHEMA)


def test_the_schema_is_written_on_demand() -> None:
    before = brand.SCHEMA.read_bytes()
    subprocess.run([sys.executable, "-m", "infra.brand"], check=True)
    assert brand.SCHEMA.read_bytes() == before
