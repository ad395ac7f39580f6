"""Every change has its lines in the audit log: before it, after it, and without addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.audit import LOG_GROUP, audited

if TYPE_CHECKING:
    from infra.operator.aws import Deployment


def lines(deployment: Deployment) -> list[dict[str, Any]]:
    events = deployment.client("logs").filter_log_events(logGroupName=deployment.name(LOG_GROUP))
    return [json.loads(event["message"]) for event in events["events"]]


def test_a_change_is_written_before_it_is_made_and_after(deployment: Deployment) -> None:
    with audited(deployment, "dead drop", why="jo@example.com asked", orders=["A-1"]) as done:
        (begun,) = lines(deployment)
        done["dropped"] = 1
    assert begun["state"] == "begun"
    begun, ended = lines(deployment)
    assert ended.items() >= {"state": "done", "dropped": 1, "change": begun["change"]}.items()
    assert ended["who"] == deployment.caller["Arn"]
    assert ended["what"] == "dead drop"
    assert ended["why"] == "(address) asked"
    assert ended["orders"] == ["A-1"]


def test_a_change_that_fails_is_written_as_failed(deployment: Deployment) -> None:
    with pytest.raises(KeyError), audited(deployment, "pause", why="a test"):
        raise KeyError("jo@example.com")
    ended = lines(deployment)[1]
    assert (ended["state"], ended["error"]) == ("failed", "KeyError")
    assert "jo@" not in json.dumps(ended)


def test_without_the_audit_log_nothing_is_changed(deployment: Deployment) -> None:
    deployment.client("logs").delete_log_group(logGroupName=deployment.name(LOG_GROUP))
    changed = False
    missing = deployment.client("logs").exceptions.ResourceNotFoundException
    with pytest.raises(missing), audited(deployment, "pause", why="a test"):
        changed = True
    assert not changed
