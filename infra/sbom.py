"""The bundle's bill of materials, in CycloneDX (ECMA-424): what of others runs in Lambda.

It is in the bundle, `sbom.cdx.json`: whoever has the deployed code, the asset in `cdk.out` or its zip, has it,
too. The same packages make the same file, without time or serial number, so nothing is deployed anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

LOCK = Path(__file__).parent / "locks" / "lambda.txt"
EXCLUDES = LOCK.with_suffix(".excludes")
"""Packages of the lock that are not in the bundle, a name a line before its reason."""
NAME = "sbom.cdx.json"
APPLICATION = "order-mail"
VERSION = SchemaVersion.V1_6

_BY_CLASSIFIER = {"BSD License": "BSD-3-Clause"}
_WITH_DATA = {"babel": "Unicode-3.0"}
"""Packages with data under a licence of its own, which the metadata do not tell: Babel has the CLDR's."""


@dataclass(frozen=True)
class Locked:
    """What a lock says of a package: its archives' hashes (`sha256:...`), and what asked for it."""

    hashes: list[str]
    via: list[str]


def write(bundle: Path) -> None:
    """Write the bill of the packages in `bundle`, which were installed from the lock."""
    locked = read_lock(LOCK.read_text("utf-8"))
    packages = {name_of(package): package for package in distributions(path=[str(bundle)])}
    application = Component(name=APPLICATION, bom_ref=APPLICATION, type=ComponentType.APPLICATION)
    components = {name: _component(packages[name], locked[name]) for name in sorted(packages)}
    bom = Bom(components=components.values())
    bom.metadata.component = application
    nodes = components | {APPLICATION: application}
    for parent, node in nodes.items():
        asked_for = [components[name] for name in components if parent in locked[name].via]
        bom.register_dependency(node, asked_for)
    bill = json.loads(make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string())
    del bill["serialNumber"], bill["metadata"]["timestamp"]
    (bundle / NAME).write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", "utf-8")


def read_lock(lock: str) -> dict[str, Locked]:
    """Return what the text of a lock, as `uv pip compile` writes it, says by package."""
    packages = re.split(r"^([\w.-]+)==", lock, flags=re.MULTILINE)[1:]
    return {
        name: Locked(
            hashes=re.findall(r"--hash=(\S+)", lines),
            via=re.findall(r"^    #(?: via|  ) ([\w.-]+)", lines, re.MULTILINE),
        )
        for name, lines in zip(packages[::2], packages[1::2], strict=True)
    }


def name_of(package: Distribution) -> str:
    """Return a package's name as indexes and locks write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package.name).lower()


def licence(package: Distribution) -> str:
    """Return a package's licence as an SPDX expression, from its metadata."""
    metadata = package.metadata
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier") or []
        if classifier.startswith("License :: ")
    ]
    said = [metadata[field] for field in ("License-Expression", "License") if field in metadata]
    code = said[0] if said else " AND ".join(_BY_CLASSIFIER.get(n, n) for n in classifiers)
    data = _WITH_DATA.get(name_of(package))
    return f"{code} AND {data}" if data else code


def licences_table() -> str:
    """Return the licences of what the bundle has, as a Markdown table."""
    excluded = re.findall(r"^[\w-]+", EXCLUDES.read_text("utf-8"), re.MULTILINE)
    rows = [
        f"| {name} | {licence(distribution(name))} | {', '.join(sorted(package.via))} |"
        for name, package in sorted(read_lock(LOCK.read_text("utf-8")).items())
        if name not in excluded
    ]
    return "\n".join(["| package | licence | asked for by |", "|---|---|---|", *rows])


def _component(package: Distribution, locked: Locked) -> Component:
    purl = PackageURL("pypi", None, name_of(package), package.version)
    hash_of = HashTypeFactory().from_composite_str
    return Component(
        name=name_of(package),
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(licence(package))],
        # One of these archives: uv installs nothing else. Which one depends on the platform.
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(purl)),
                hashes=[hash_of(archive) for archive in locked.hashes],
            )
        ],
    )
