"""The brand's settings: a variable for each simple field, and `BRAND_FILE`, a file with all of them.

The file's fields are those of `steps.mail.brand.Brand` in camel case: `infra/brand.example.json` has every one.
`python -m infra.brand` writes their JSON Schema, by which editors complete and check them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from infra import formats
from infra.setting import ConfigError, Format, Setting, quoted
from steps.mail.brand import DEFAULT, Brand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
SCHEMA = Path(__file__).with_name("brand.schema.json")

LOCAL_BRAND = Brand(name="Example Shop", support_email="orders@example.com")
"""What the laptop's mails have unless told otherwise."""

SHOWN_MAX = 80
"""Characters that a message shows of what a field held."""

BRAND_SETTINGS = {
    "name": Setting(
        "BRAND_NAME",
        "the shop's name in the mails",
        formats.line(80, "the shop's name,"),
        default="",
        default_words="the sender's domain",
        laptop_default=LOCAL_BRAND.name,
    ),
    "support_email": Setting(
        "SUPPORT_EMAIL",
        "where customers write to; also the mails' Reply-To",
        formats.SUPPORT_ADDRESS,
        default="",
        default_words="the sender",
    ),
    "support_phone": Setting(
        "SUPPORT_PHONE",
        "where customers call, as it is written: `+49 40 1234567`",
        formats.PHONE,
        default=Brand.support_phone,
    ),
    "colour": Setting(
        "BRAND_COLOUR",
        "the mails' colour, made darker or lighter where it would not be seen; the text on it is chosen to be "
        "readable",
        formats.COLOUR,
        default=Brand.colour,
    ),
    "logo_url": Setting(
        "BRAND_LOGO_URL",
        "a picture in place of the name at the top, shown 32 px high",
        formats.WEB_LINK,
        default=Brand.logo_url,
    ),
    "logo_dark_url": Setting(
        "BRAND_LOGO_DARK_URL",
        "the picture for dark mode, where it is another one",
        formats.WEB_LINK,
        default=Brand.logo_dark_url,
    ),
    "website_url": Setting(
        "BRAND_WEBSITE_URL",
        "where the name at the top leads to",
        formats.WEB_LINK,
        default=Brand.website_url,
    ),
    "postal_address": Setting(
        "BRAND_POSTAL_ADDRESS",
        "stands in the footer, unless the file's `legal` does",
        formats.line(200, "one line of"),
        default=Brand.postal_address,
    ),
    "links": Setting(
        "BRAND_LINKS",
        "the footer's links, for all languages: `Help=https://…, Returns=https://…`",
        formats.LINKS,
        default={},
    ),
    "unsubscribe_url": Setting(
        "LIST_UNSUBSCRIBE_URL",
        "adds one-click unsubscribe (RFC 8058): `https://…/{notificationId}`",
        formats.UNSUBSCRIBE_LINK,
        default=Brand.unsubscribe_url,
    ),
    "order_wording": Setting(
        "ORDER_WORDING",
        '`received` lets the confirmation say that the order was received, where "confirmed" may accept it',
        formats.ORDER_WORDING,
        default=Brand.order_wording,
    ),
}
"""By the fields of `Brand`; `legal` is the file's alone."""


def _file(text: str) -> str:
    if not (ROOT / text).is_file():
        raise ValueError(text)
    return text


FILE = Format("the path of a JSON file, from the project's folder", _file)


def completed(brand: Brand, file: str, environ: Mapping[str, str]) -> Brand:
    """Return a brand that was read from variables with what the file has and no variable gives.

    Raises:
        ConfigError: one line for all that is wrong in the file.
    """
    given = {name for name, row in BRAND_SETTINGS.items() if row.text(environ)}
    in_file = _read(file) if file else {}
    return replace(brand, **{name: value for name, value in in_file.items() if name not in given})


# --- the file -------------------------------------------------------------------------------------


def _text(takes: Format[T]) -> Any:
    """Return the type of a text that a format reads."""

    def read(value: object) -> T:
        try:
            if isinstance(value, str):
                return takes.parse(value)
        except (ValueError, ArithmeticError):
            pass
        raise PydanticCustomError("takes", "{takes}", {"takes": takes.words})

    return Annotated[
        Any, PlainValidator(read), WithJsonSchema({"type": "string", "description": takes.words})
    ]


def _by_language(entry: Any, most: int, what: str) -> Any:
    """Return the type of entries by language tag; languages without an entry get the default's."""

    def complete(entries: dict[str, T]) -> dict[str, T]:
        if DEFAULT not in entries:
            words = f'"{DEFAULT}", too, for all other languages'
            raise PydanticCustomError("takes", "{takes}", {"takes": words})
        return entries

    entries = Annotated[tuple[entry, ...], Field(max_length=most)]
    return Annotated[
        dict[_text(formats.LANGUAGE), entries],  # type: ignore[misc]
        AfterValidator(complete),
        Field(description=f"{what}, by language tag; {DEFAULT} is for all other languages"),
    ]


_CLOSED = ConfigDict(extra="forbid", alias_generator=to_camel)

_LINK = {"label": formats.LABEL, "url": formats.WEB_LINK}
_LINK_FIELDS: dict[str, Any] = {name: (_text(takes), ...) for name, takes in _LINK.items()}
_Link = create_model("Link", __config__=_CLOSED, **_LINK_FIELDS)
_PAIR = Annotated[_Link, AfterValidator(lambda link: (link.label, link.url))]

_FIELDS: dict[str, Any] = {
    name: (_text(row.takes), Field(default=row.default, title=row.meaning))
    for name, row in BRAND_SETTINGS.items()
} | {
    "links": (_by_language(_PAIR, formats.LINKS_MAX, "the footer's links"), {}),
    "legal": (
        _by_language(
            _text(formats.LEGAL_LINE),
            formats.LEGAL_MAX,
            "what the law wants below a mail, in place of name and postal address: company, register, "
            "directors, VAT id",
        ),
        {},
    ),
}
_BrandFile = create_model(
    "Brand",
    __config__=_CLOSED,
    **_FIELDS,
    # For editors, which find the schema by it.
    schema_uri=(str, Field(default="", alias="$schema")),
)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the brand's file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_BrandFile.model_json_schema(),
    }


def _read(file: str) -> dict[str, Any]:
    """Return the fields of `Brand` that a file has."""
    try:
        read = _BrandFile.model_validate_json((ROOT / file).read_bytes())
    except ValidationError as error:
        wrong = "; ".join(map(_sentence, error.errors()))
        raise ConfigError(f"BRAND_FILE {file}: {wrong}") from None
    return {name: getattr(read, name) for name in read.model_fields_set - {"schema_uri"}}


def _sentence(error: ErrorDetails) -> str:
    """Say where something is wrong, what is there, and what it takes."""
    if not error["loc"]:
        return f"it takes an object of JSON: {error['msg']}"
    places = [place for place in error["loc"] if place != "[key]"]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in places).removeprefix(".")
    held = quoted(error["input"])
    held = held if len(held) <= SHOWN_MAX else f"{held[:SHOWN_MAX]}…"
    match error["type"]:
        case "missing":
            return f"{path} is not given: it takes {_LINK[str(places[-1])].words}"
        case "extra_forbidden":
            known = _FIELDS if len(places) == 1 else _LINK
            return (
                f"{path} is {held}: there is no such field, but {', '.join(map(to_camel, known))}"
            )
        case "too_long":
            words = f"at most {error['ctx']['max_length']}"
        case _:
            words = error["msg"].removeprefix("Input should be ")
    return f"{path} is {held}: it takes {words}"


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
