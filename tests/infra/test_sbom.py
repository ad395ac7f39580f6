"""The bill of materials says what is in the bundle, and each licence is a permissive one."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import LicenseWithExceptionSymbol, get_spdx_licensing

from infra import sbom

if TYPE_CHECKING:
    from pathlib import Path

LICENSING = get_spdx_licensing()
PERMISSIVE = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
}
"""They ask for their notice at most, which is in the bundle, in `*.dist-info`."""


@pytest.fixture(scope="module")
def bill(bundle: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bundle / sbom.NAME).read_text())
    return read


def test_the_bill_has_what_is_in_the_bundle_and_nothing_else(
    bundle: Path, bill: dict[str, Any]
) -> None:
    installed = {folder.name.removesuffix(".dist-info") for folder in bundle.glob("*.dist-info")}
    billed = {f"{c['name'].replace('-', '_')}-{c['version']}" for c in bill["components"]}
    assert billed == installed
    assert installed


def test_each_component_has_purl_licence_and_the_hashes_that_were_asked_for(
    bill: dict[str, Any],
) -> None:
    lock = sbom.LOCK.read_text()
    for component in bill["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["licenses"]
        (archives,) = component["externalReferences"]
        assert archives["hashes"]
        for archive in archives["hashes"]:
            assert f"--hash=sha256:{archive['content']}" in lock


def test_all_components_hang_together(bill: dict[str, Any]) -> None:
    edges = {node["ref"]: node.get("dependsOn", []) for node in bill["dependencies"]}
    reached, todo = set(), [sbom.APPLICATION]
    while todo:
        reached.add(node := todo.pop())
        todo += [child for child in edges[node] if child not in reached]
    assert reached == {sbom.APPLICATION, *(c["bom-ref"] for c in bill["components"])}


def test_the_bill_is_valid_cyclonedx(bundle: Path) -> None:
    validator = JsonStrictValidator(sbom.VERSION)
    assert validator.validate_str((bundle / sbom.NAME).read_text()) is None


def test_the_same_packages_make_the_same_bill(bundle: Path) -> None:
    before = (bundle / sbom.NAME).read_bytes()
    sbom.write(bundle)
    assert (bundle / sbom.NAME).read_bytes() == before


def test_licences_are_permissive_also_of_what_is_compiled_in(
    bundle: Path, bill: dict[str, Any]
) -> None:
    inner = [json.loads(file.read_text()) for file in bundle.glob("*.dist-info/sboms/*.json")]
    assert inner, "pydantic-core has the bill of its Rust crates (PEP 770)"
    refused = [
        (component["name"], expressions)
        for each in (bill, *inner)
        for component in each["components"]
        if not all(map(permissive, expressions := licences(component)))
    ]
    assert refused == []


def licences(component: dict[str, Any]) -> list[str]:
    """Return a component's licences; one without any has one that nobody allows."""
    told = [
        entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
        for entry in component.get("licenses", [])
    ]
    return told or ["LicenseRef-none"]


@functools.cache
def permissive(expression: str) -> bool:
    """Whether the terms of an SPDX expression can be met by permissive licences alone."""

    def met(node: Any) -> bool:
        if isinstance(node, LicenseWithExceptionSymbol):  # an exception only adds permissions
            return met(node.license_symbol)
        if node.isliteral:
            return node.key in PERMISSIVE
        return (any if node.operator.strip() == "OR" else all)(map(met, node.args))

    return met(LICENSING.parse(expression))


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND LGPL-2.1-or-later", False),
        ("MIT OR LGPL-2.1-or-later", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0 AND (MIT OR GPL-3.0-only)", True),
        ("LicenseRef-none", False),
        ("BSD License", False),
    ],
)
def test_which_licences_are_refused(expression: str, verdict: object) -> None:
    assert permissive(expression) is verdict
