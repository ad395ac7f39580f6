"""The bundle: the steps and their dependencies, built by uv without Docker.

One bundle serves every function. boto3 is not in it: it comes with the runtime. What is only the source of
something built is not in it, nor the conventions of languages that no mail is written in. Packages keep
their `*.dist-info`: Amazon Inspector reads it, and it has their licences.

What functions import is in it as bytecode, too: the disk is read-only where they run, so that each of them
would compile it anew at each start.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import aws_lambda as lambda_

from infra import mail, sbom
from steps.mail import localise

if TYPE_CHECKING:
    from steps.mail.brand import Brand

ROOT = Path(__file__).parent.parent

_NOT_FOR_LAMBDA = shutil.ignore_patterns(
    *("__pycache__", "*.pyc", "*.md", "*.png", "built"),
    *("*.j2", "*.css", "texts"),  # what the mails are built from
    *("sample*.json", "schema.py", "order_event.schema.json"),  # for those who send orders
    *("outcome_schema.py", "outcome_event.schema.json"),  # and for those who are told
)

_SWAGGER_UI = "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*"
"""Script and style of a page that shows an API, 1.7 MB: data of a part of Powertools that nothing imports."""

_NOT_IMPORTED = (
    r"/pydantic/(v1/|mypy\.py)|/babel/messages/"
    r"|/aws_lambda_powertools/(event_handler/|utilities/(?!__init__|jmespath_utils))"
)
"""Modules without bytecode, by their paths: half of all, and no function imports them."""

_IN_LAMBDA = "/var/task"
"""Where Lambda has a bundle; tracebacks of bytecode name it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a bundle is to run. `bootstrap` starts the runtime client where AWS's image does not.

    python_version: major and minor, `3.14`.
    """

    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    python_version: str
    python_platform: str | None
    bootstrap: Path | None = None

    @property
    def cache_tag(self) -> str:
        """What the names of its bytecode's files say (PEP 3147)."""
        return f"cpython-{self.python_version.replace('.', '')}"

    @property
    def on_laptop(self) -> bool:
        """Whether the functions run on the laptop instead of on AWS."""
        return self.bootstrap is not None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A directory with all that a function's code needs, and the target that it was built for."""

    directory: Path
    target: Target


AWS_LAMBDA = Target(
    runtime=lambda_.Runtime.PYTHON_3_14,
    architecture=lambda_.Architecture.ARM_64,
    python_version="3.14",
    python_platform="aarch64-manylinux_2_28",
)


def laptop(bootstrap: Path) -> Target:
    """Return the target for the laptop's own Python, started by `bootstrap`."""
    arm = platform.machine() in ("arm64", "aarch64")
    return Target(
        runtime=lambda_.Runtime.PROVIDED_AL2023,
        architecture=lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64,
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        python_platform=None,
        bootstrap=bootstrap,
    )


def build_bundle(target: Target, directory: Path, brand: Brand) -> Bundle:
    """Build the bundle for `target` in `directory`, from the lock file; its mails have this brand.

    Raises:
        subprocess.CalledProcessError: uv could not install the locked wheels, or something does not compile;
            the message is shown.
    """
    shutil.rmtree(directory, ignore_errors=True)
    command = ["uv", "pip", "install", "--quiet", "--target", str(directory)]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"]
    command += ["--excludes", str(sbom.EXCLUDES)]
    command += ["--python-version", target.python_version]
    if target.python_platform:
        command += ["--python-platform", target.python_platform]
    command += ["-r", str(sbom.LOCK)]
    subprocess.run(command, check=True)  # noqa: S603 - our own lock file and constants
    shutil.rmtree(directory / "bin", ignore_errors=True)
    (directory / ".lock").unlink(missing_ok=True)
    shutil.copytree(ROOT / "steps", directory / "steps", ignore=_NOT_FOR_LAMBDA)
    built = mail.build(directory / "steps" / "mail" / "built", brand)
    _drop_locales(directory / "babel" / "locale-data", built)
    for file in directory.glob(_SWAGGER_UI):
        file.unlink()
    sbom.write(directory)
    _compile(directory, target)
    if target.bootstrap:
        shutil.copy(target.bootstrap, directory / "bootstrap")
    return Bundle(directory=directory, target=target)


def _drop_locales(locale_data: Path, built: Path) -> None:
    """Leave the conventions of the languages that mails are written in, of all their territories.

    `steps.mail.localise` asks for no other; the rest would be two thirds of the bundle.
    """
    tags = [localise.SOURCE, *(catalogue.stem for catalogue in built.glob("*.mo"))]
    languages = {"root", *(tag.partition("-")[0] for tag in tags)}
    for file in locale_data.glob("*.dat"):
        if file.stem.partition("_")[0] not in languages:
            file.unlink()


def _compile(directory: Path, target: Target) -> None:
    """Add the bytecode of the target's Python to what functions import.

    It is the same on every machine, and from a minor version's release on it stays the same. Python takes it
    unread beside its source ("unchecked-hash"), since nothing changes in a bundle; where it is of another
    Python, the source is compiled as if it were not there ("Cached bytecode invalidation", The Python Language
    Reference, 5.4.7).
    """
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-x", _NOT_IMPORTED]
    if target.on_laptop:
        as_in_lambda = ["-s", str(directory), "-p", _IN_LAMBDA]
        command = [sys.executable, "-m", "compileall", *options, *as_in_lambda, str(directory)]
    else:
        program = str(Path(__file__).with_name("bytecode.mjs"))
        command = ["node", program, target.cache_tag, str(directory), *options]
    # What a constant's set has in which order is in the file.
    seed = {"PYTHONHASHSEED": "0"}
    subprocess.run(command, check=True, env=os.environ | seed)  # noqa: S603 - our own constants
