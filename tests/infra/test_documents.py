"""The table of permissions in the documents is that of the templates."""

from __future__ import annotations

from pathlib import Path

from tests.infra.conftest import Templates, resources
from tests.infra.test_stacks import actions
from tests.support.documents import code, table

ONLY_WHEN_ASKED_FOR = "email-pause"
"""Not in the templates of the default settings; `tests/infra/test_monitoring.py` looks at it."""


def test_who_may_do_what(templates: Templates) -> None:
    written: dict[str, set[str]] = {}
    name = ""
    for function, granted, _resources in table(Path("infra/README.md"), "function"):
        name = code(function)[0] if function else name
        written.setdefault(name, set()).update(code(granted))
    del written[ONLY_WHEN_ASKED_FOR]
    assert written == {
        function["FunctionName"].removesuffix("-prod"): actions(template, function["FunctionName"])
        for template in templates.values()
        for function in resources(template, "AWS::Lambda::Function").values()
    }
