"""The rooms of the code and what each imports, drawn: `python -m tests.support.rooms`.

A room is a package of what `steps` shares, or all Lambda functions together, or one of the other packages.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES = ("infra", "statemachines", "steps")
FUNCTIONS = "functions"

FLOORS = (
    ("infra.local",),
    ("infra",),
    ("statemachines",),
    (FUNCTIONS,),
    ("aws",),
    ("kinds", "ledger", "mail", "reports"),
    ("contract",),
)
"""From the top down; a room imports what is below it."""


@cache
def modules() -> dict[str, set[str]]:
    """Return every module with the modules of ours that it imports, for typing alone included."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {
        module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules
    }


def lambda_functions() -> set[str]:
    """Return the modules at the top of `steps`: one each is one Lambda function."""
    files = Path("steps").glob("*.py")
    return {f"steps.{file.stem}" for file in files if file.stem != "__init__"}


def room(module: str) -> str:
    """Return the room that a module is in; empty for a package's own `__init__`."""
    package, _, rest = module.partition(".")
    if package == "steps":
        return FUNCTIONS if module in lambda_functions() else rest.partition(".")[0]
    return "infra.local" if module.startswith("infra.local") else package


def arrows() -> set[tuple[str, str]]:
    """Return which room imports which."""
    return {
        (room(importer), room(imported))
        for importer, its_imports in modules().items()
        for imported in its_imports
        if room(importer) and room(imported) and room(importer) != room(imported)
    }


def mermaid(rooms: Iterable[str]) -> str:
    """Draw these rooms and the arrows between them as a Mermaid flowchart."""
    drawn = list(rooms)
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {name}["{_title(name)}"]' for name in drawn]
    for importer in drawn:
        if imported := [name for name in drawn if (importer, name) in arrows()]:
            lines.append(f"    {importer} --> {' & '.join(imported)}")
    return "\n".join([*lines, "```"])


def _title(name: str) -> str:
    if name == FUNCTIONS:
        return (
            f"functions<br>{' '.join(sorted(f.removeprefix('steps.') for f in lambda_functions()))}"
        )
    return f"{name}/" if name == "statemachines" else f"steps/{name}/"


STEPS_PICTURE = ["statemachines", *(name for floor in FLOORS[3:] for name in floor)]

if __name__ == "__main__":
    print(mermaid(STEPS_PICTURE))
