"""The console shows an order's way through the workflow: every state, and the path that was taken."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from infra.local.running_stack import RunningStack, until
from tests.browser.workflow_picture import graph_of, picture
from tests.conftest import load_event
from tests.support.asl import STATES

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_graph_of_an_order_has_every_state(browser: Browser, stack: RunningStack) -> None:
    order_id = f"CONSOLE-{secrets.token_hex(3)}"
    stack.publish(json.dumps(load_event("order") | {"orderId": order_id}))
    until(lambda: stack.executions(order_id), what="the execution")

    machine = stack.name("email-order-workflow")
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    graph = graph_of(page, stack.settings.console_url, machine, order_id)
    labels = graph.text_content() or ""
    page.close()
    assert complaints == []
    assert [state for state in STATES if state not in labels] == []
    png = picture(browser, stack.settings.console_url, machine, order_id)
    assert png.startswith(b"\x89PNG")
