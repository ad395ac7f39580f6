"""`aws` as the documents use it, on boto3: `python -m tests.support.aws_cli sqs get-queue-url ...`.

No package registry has AWS CLI v2, and v1 takes other options. Operations, options and types are those of
botocore's service models: what is wrong there is wrong here. With `AWS_CLI_CHECK_ONLY` set nothing is called.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.response import StreamingBody
from botocore.session import Session
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import Shape

OWN = {"query", "output", "cli-binary-format"}
"""The CLI's own options; all others are the operation's."""


def main(service: str, operation: str, *words: str) -> None:
    """Run one command and print its answer.

    Raises:
        SystemExit: there is no such operation or option, or a value is of another type.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: as boto3.
    """
    model = Session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        raise SystemExit(f"aws: {service} has no {operation}")
    shape = model.operation_model(names[operation]).input_shape
    members: Mapping[str, Shape] = shape.members if shape else {}
    options, files = split(words, {xform_name(name, "-"): name for name in members}, members)
    own = {name: values[0] for name, values in options.items() if name in OWN}
    arguments = {
        name: value_of(values, members[name], own)
        for name, values in options.items()
        if name in members
    }
    if report := ParamValidator().validate(arguments, shape).generate_report() if shape else "":
        raise SystemExit(f"aws: {report}")
    if "AWS_CLI_CHECK_ONLY" in os.environ:
        return
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    answer = getattr(client, xform_name(names[operation]))(**arguments)
    del answer["ResponseMetadata"]
    for name in [name for name, value in answer.items() if isinstance(value, StreamingBody)]:
        Path(files.pop()).write_bytes(answer.pop(name).read())
    if "query" in own:
        answer = jmespath.search(own["query"], answer)
    print(text(answer) if own.get("output") == "text" else json.dumps(answer, default=str))


def split(
    words: Sequence[str], names: Mapping[str, str], members: Mapping[str, Shape]
) -> tuple[dict[str, list[str]], list[str]]:
    """Tell options from the names of files; an option's values stand under its member's name.

    A switch has the value `true`, or `false` where it begins with `no-`.
    """
    options: dict[str, list[str]] = {}
    files: list[str] = []
    name = ""
    for word in words:
        if word.startswith("--"):
            option = word.removeprefix("--")
            positive = option.removeprefix("no-")
            name = option if option in OWN else names.get(option) or names.get(positive, "")
            if not name:
                raise SystemExit(f"aws: unknown option {word}")
            switch = name in members and members[name].type_name == "boolean"
            options[name] = [str(option == positive).lower()] if switch else []
        elif name and (not options[name] or members[name].type_name == "list"):
            options[name].append(word)
        else:
            files.append(word)
    return options, files


def value_of(values: list[str], shape: Shape, own: Mapping[str, str]) -> Any:
    """Read an option's value as AWS CLI v2 does, which takes binary data in base64."""
    match shape.type_name:
        case "boolean":
            return values[0] == "true"
        case "list" if not values[0].startswith("["):
            return values
        case "list" | "map" | "structure":
            return json.loads(values[0])
        case "integer" | "long":
            return int(values[0])
        case "blob" if own.get("cli-binary-format") != "raw-in-base64-out":
            return base64.b64decode(values[0], validate=True)
    return values[0]


def text(answer: Any) -> str:
    """Write an answer as `--output text` does: a list in a line, lists of lists in lines."""
    if isinstance(answer, list):
        rows = any(isinstance(entry, list) for entry in answer)
        return ("\n" if rows else "\t").join(map(text, answer))
    return "None" if answer is None else str(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
