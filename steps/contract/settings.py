"""What a function is told by its environment: one frozen dataclass each, written and read here.

The stack that deploys a function makes its settings and writes `to_env()`; the function reads them with
`from_env()`. A field's name in capitals is the variable's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """The base of every function's settings. A field is a str, int, bool or Decimal."""

    def to_env(self) -> dict[str, str]:
        """Return the environment variables that `from_env` reads."""
        return {field.name.upper(): _to_text(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the settings that this function was deployed with.

        Raises:
            KeyError: the stack that deployed it did not write `to_env()`.
        """
        types = get_type_hints(cls)
        return cls(
            **{
                field.name: _from_text(environ[field.name.upper()], types[field.name])
                for field in fields(cls)
            }
        )


def _to_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_text(text: str, type_: type) -> object:
    return {"true": True, "false": False}[text] if type_ is bool else type_(text)
