"""What `order-mail find` and `reconcile` print, and how they end."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import EndpointConnectionError

from infra.operator import __main__, output, trail
from infra.operator.aws import explained
from infra.operator.errors import OperatorError
from steps.contract.order_id import shown
from steps.ledger.status import Status
from tests.operator.environment import keep
from tests.operator.test_find import JO, a_record, moment, sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.operator.environment import Environment


@pytest.fixture
def run(
    environment: Environment,  # noqa: ARG001 - it is asked
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """Run `order-mail` in this process; its exit code, and what it printed."""
    for console in (output.answers, output.notes):
        monkeypatch.setattr(console, "_width", 200)

    def run(*words: str) -> tuple[int, str]:
        command, *rest = words
        place = ["--env", "test", "--region", "us-east-1"]
        monkeypatch.setattr(sys, "argv", ["order-mail", command, *place, *rest])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


def test_an_answer_reads_like_a_letter(run: Callable[..., tuple[int, str]]) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    code, printed = run("find", "ORDER1")
    assert code == 0
    head, sentence, next_step, *_ = printed.splitlines()
    assert head == (
        "Delivered DELIVERED  Order confirmed  order ORDER1  to (hidden: --show-address)"
    )
    assert sentence.strip() == "The recipient's server took the mail."
    assert next_step.strip().startswith("→ Ask the customer to look into the junk folder.")
    assert JO not in printed
    assert JO in run("find", "ORDER1", "--show-address")[1]


def test_a_pause_stands_on_top_where_something_may_wait(
    run: Callable[..., tuple[int, str]], environment: Environment
) -> None:
    environment.ses.sends = False
    keep(sent(Status.DELIVERED, "Delivery"))
    head, *rest = run("find", "ORDER1")[1].splitlines()
    assert head.startswith("Delivered")
    assert any(line.startswith("Sending is paused.") for line in rest)
    keep(a_record(Status.CLAIMED))
    assert run("find", "ORDER1")[1].startswith("Sending is paused.")


def test_json_is_the_finding(run: Callable[..., tuple[int, str]]) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    code, printed = run("find", "ORDER1", "--json")
    assert code == 0
    found = json.loads(printed)
    assert [story["status"] for story in found["stories"]] == ["DELIVERED"]
    assert JO not in printed


def test_nothing_found_is_the_answer_no_and_says_where_it_looked(
    run: Callable[..., tuple[int, str]],
) -> None:
    code, printed = run("find", "[bold]X")
    assert code == 1
    first, second, third, *_ = printed.splitlines()
    assert first == (
        "Nothing of [bold]X is known here: it was not published to this environment, or more than 90 days ago."
    )
    assert second.startswith("  → Is that the right id, and the right --env?")
    assert third.startswith("Looked at: records by order, message and notification;")


def test_nothing_found_where_not_all_was_asked_is_no_answer(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> bool:
        raise OperatorError("you may not do that: logs:FilterLogEvents is denied")

    monkeypatch.setattr(trail, "_read", denied)
    code, printed = run("find", "X")
    assert code == 3
    assert "logs:FilterLogEvents is denied" in printed


def test_a_list_is_reconciled_from_a_file(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    keep(sent(Status.DELIVERED, "Delivery"))
    orders = tmp_path / "orders.csv"
    orders.write_text("orderId\nORDER1\n")
    assert run("reconcile", str(orders)) == (
        0,
        "0 of 1 orders have no outcome. With a mail: 1, rejected: 0, given up: 0.\n",
    )
    orders.write_text("orderId\nORDER1\nORDER2\n")
    code, printed = run("reconcile", str(orders))
    assert code == 1
    assert printed.startswith("1 of 2 orders have no outcome.")
    assert "ORDER2  no record  nowhere" in printed


def test_an_operators_own_words_are_no_markup(
    run: Callable[..., tuple[int, str]], environment: Environment
) -> None:
    keep(a_record(Status.CLAIMED))
    report = {"date": moment(60), "paused": True, "by": "jo", "why": "see [/ticket] [bold]5"}
    environment.deployment.reports.keep("pause", report, 2**31)
    assert "by jo: see [/ticket] [bold]5" in run("find", "ORDER1")[1]


def test_an_order_id_that_may_be_a_name_is_shown_as_logs_show_it(
    run: Callable[..., tuple[int, str]],
) -> None:
    name = "Jo Doe 5"
    part = {"shipmentId": "Jo's parcel"}
    record = sent(Status.DELIVERED, "Delivery", orderId=name, part=part)
    keep(record)
    for as_json in ((), ("--json",)):
        printed = run("find", record["notificationId"], *as_json)[1]
        assert shown(name) in printed
        assert "Jo" not in printed
    assert name in run("find", record["notificationId"], "--show-address")[1]


@pytest.mark.parametrize("term", ["", " ", "\u202e"])
def test_nothing_is_no_term(run: Callable[..., tuple[int, str]], term: str) -> None:
    assert run("find", term) == (2, "")


@pytest.mark.parametrize(
    "content",
    [b"", b"orderId\n", "orderId\nA\n".encode("utf-16"), b"M\xfcller\n", b'"' + b"x" * 200_000],
)
def test_what_is_no_list_is_a_wrong_command_line(
    run: Callable[..., tuple[int, str]], tmp_path: Path, content: bytes
) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_bytes(content)
    assert run("reconcile", str(orders)) == (2, "")


def test_a_failure_is_a_json_document_too(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OperatorError("AWS does not answer: x. Do this")

    monkeypatch.setattr("infra.operator.cli.find.find", refuse)
    code, printed = run("find", "ORDER1", "--json")
    assert (code, json.loads(printed)) == (3, {"error": "AWS does not answer: x. Do this"})
    assert run("find", "ORDER1") == (3, "")


@pytest.mark.parametrize(
    ("endpoint", "next_step"),
    [
        (
            "http://127.0.0.1:9",
            "AWS_ENDPOINT_URL names it: does the local stack run (make status)?",
        ),
        (None, "Is this machine online, and is the region right (us-east-1)?"),
    ],
)
def test_an_aws_that_does_not_answer_is_told_with_the_next_step(
    endpoint: str | None,
    next_step: str,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(OperatorError) as told, explained(environment.deployment):
        raise EndpointConnectionError(
            endpoint_url=endpoint or "https://sqs.us-east-1.amazonaws.com"
        )
    assert str(told.value).startswith("AWS does not answer: Could not connect to the endpoint URL")
    assert str(told.value).endswith(f"{next_step} Then ask again")
