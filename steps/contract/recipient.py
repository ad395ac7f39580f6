"""Whom a mail is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steps.contract.message import field

if TYPE_CHECKING:
    from steps.contract.state import State

SIMULATOR = "simulator.amazonses.com"
"""The domain of SES's mailbox simulator, whose mails are outside of SES's rates ("Using the mailbox simulator
manually", Amazon SES Developer Guide)."""


def is_simulated(address: str) -> bool:
    """Whether an address is one of SES's mailbox simulator, whose mails count nowhere."""
    return address.rpartition("@")[2].lower() == SIMULATOR


def recipient(state: State) -> str:
    """Return the address that a state of the order workflow names; empty where it names none."""
    if "email" in state:
        return state["email"]["to"]
    if "rejection" in state:
        return state["rejection"]["customerEmail"]
    if "order" in state:
        address: str = state["order"].get("customerEmail", "")
        return address
    return field(state.get("message", ""), "customerEmail")
