"""The table of permissions in the documents is that of the templates."""

from __future__ import annotations

from pathlib import Path

from tests.support.documents import code, table
from tests.support.templates import Templates, function_actions, property_values

ONLY_WHEN_ASKED_FOR = "email-pause"
"""Not in the templates of the default settings; `tests/infra/test_permissions.py` looks at it."""


def test_the_table_of_permissions_is_that_of_the_templates(templates: Templates) -> None:
    documented: dict[str, set[str]] = {}
    name = ""
    for function, granted, _resources in table(Path("infra/README.md"), "function"):
        name = code(function)[0] if function else name
        documented.setdefault(name, set()).update(code(granted))
    del documented[ONLY_WHEN_ASKED_FOR]
    assert documented == {
        name.removesuffix("-prod"): function_actions(template, name)
        for template in templates.values()
        for name in property_values(template, "AWS::Lambda::Function", "FunctionName")
    }
