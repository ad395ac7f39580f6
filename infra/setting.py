"""A setting: an environment variable, what it means, what it takes, and what it is when absent.

A dataclass whose fields are declared with `setting` or `group` is a table of settings: each field is a row.
"""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ROW = "row"
"""The key of a field's metadata under which its row is."""


class ConfigError(ValueError):
    """A setting is missing or wrong. The message is one line: the variable, what it held, what it takes."""


@dataclass(frozen=True)
class Format(Generic[T_co]):
    """What a variable takes: in words, and as a function.

    The function returns the value of a text, or raises ValueError or ArithmeticError.
    """

    words: str
    parse: Callable[[str], T_co]


@dataclass(frozen=True)
class Setting(Generic[T_co]):
    """One variable. Without a default it must be given; empty is the same as absent.

    `default_by` makes the default of what the other variables hold. `laptop_default` and `laptop_takes`
    replace `default` and `takes` on the laptop. `default_words` stand in the table where the default itself
    would not tell.
    """

    variable: str
    meaning: str
    takes: Format[T_co]
    _: KW_ONLY
    default: T_co | None = None
    default_by: Callable[[Mapping[str, str]], T_co] | None = None
    default_words: str = ""
    laptop_default: T_co | None = None
    laptop_takes: Format[T_co] | None = None

    def read(self, environ: Mapping[str, str], *, local: bool) -> T_co:
        """Return the setting's value.

        Raises:
            ConfigError: the variable holds something else, or nothing and has no default.
        """
        takes, default = self.takes, self.default
        if local:
            takes = self.laptop_takes or takes
            default = default if self.laptop_default is None else self.laptop_default
        text = self.text(environ)
        if not text and self.default_by:
            return self.default_by(environ)
        if not text and default is not None:
            return default
        if not text:
            raise ConfigError(f"{self.variable} is not set: it takes {takes.words}")
        try:
            return takes.parse(text)
        except (ValueError, ArithmeticError):
            raise ConfigError(
                f"{self.variable} is {quoted(text)}: it takes {takes.words}"
            ) from None

    def text(self, environ: Mapping[str, str]) -> str:
        """Return what the variable holds; "" where it is not given."""
        return environ.get(self.variable, "").strip()

    @property
    def described_default(self) -> str:
        """What the table says of the default, in Markdown."""
        words = self.default_words or _described(self.default)
        if self.laptop_default is None:
            return words
        return f"{words}; on the laptop {_described(self.laptop_default)}"


@dataclass(frozen=True)
class Group(Generic[T_co]):
    """Settings that make one object: `make` takes their values by the names of `rows`."""

    make: Callable[..., T_co]
    rows: Mapping[str, Setting[object] | Group[object]]

    def read(self, environ: Mapping[str, str], *, local: bool) -> T_co:
        """Return the object.

        Raises:
            ConfigError: for the first wrong value.
        """
        values = {name: row.read(environ, local=local) for name, row in self.rows.items()}
        return self.make(**values)

    def settings(self) -> Iterator[Setting[object]]:
        """Yield all settings, those of groups inside included, in the order in which they are read."""
        for row in self.rows.values():
            if isinstance(row, Group):
                yield from row.settings()
            else:
                yield row


def setting(
    variable: str,
    meaning: str,
    takes: Format[T],
    *,
    default: T | None = None,
    default_by: Callable[[Mapping[str, str]], T] | None = None,
    default_words: str = "",
    laptop_default: T | None = None,
    laptop_takes: Format[T] | None = None,
) -> T:
    """Declare a dataclass's field to be read from a variable: see `Setting`."""
    return _declare(
        Setting(
            variable,
            meaning,
            takes,
            default=default,
            default_by=default_by,
            default_words=default_words,
            laptop_default=laptop_default,
            laptop_takes=laptop_takes,
        )
    )


def group(make: Callable[..., T], rows: Mapping[str, Setting[object]]) -> T:
    """Declare a dataclass's field to be made of several settings: see `Group`."""
    return _declare(Group(make, rows))


def _declare(row: Setting[T] | Group[T]) -> T:
    declared: T = field(metadata={ROW: row})
    return declared


def quoted(value: object) -> str:
    """Return a value as a message shows it: as JSON, so that a line break in it does not make two lines."""
    return json.dumps(value, ensure_ascii=False)


def markdown_table(settings: Iterable[Setting[object]]) -> str:
    """Return a table for a document: variable, meaning, default."""
    rows = [f"| `{s.variable}` | {s.meaning} | {s.described_default} |" for s in settings]
    return "\n".join(["| variable | meaning | default |", "|---|---|---|", *rows])


def _described(value: object) -> str:
    if value is None:
        return "must be given"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", (), {}) else "none"
