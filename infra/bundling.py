"""The bundle: the steps and their dependencies, built by uv without Docker.

One bundle serves every function. boto3 is not in it: it comes with the runtime. What is only the source of
something built is not in it, nor the conventions of languages that no mail is written in. Packages keep
their `*.dist-info`: Amazon Inspector reads it, and it has their licences.
"""

from __future__ import annotations

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


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a bundle is to run. `bootstrap` starts the runtime client where AWS's image does not."""

    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    python_version: str
    python_platform: str | None
    bootstrap: Path | None = None

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
        subprocess.CalledProcessError: uv could not install the locked wheels; its message is shown.
    """
    shutil.rmtree(directory, ignore_errors=True)
    command = ["uv", "pip", "install", "--quiet", "--target", str(directory)]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
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
    sbom.write(directory)
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
