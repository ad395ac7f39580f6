"""`suppression`: why SES delivers nothing to an address, and how to let it be tried again.

SES keeps an address as it was spelt when it was put on the account's list. It heeds no case when it sends, but
whoever asks for an entry must spell it so (SES Developer Guide, "Using the Amazon SES account-level suppression
list"). So the address is looked up as it is given, and in lower case.

The same page: the list of all accounts, the global one, cannot be asked, and an account with a list of its own
overrides it: SES tries to deliver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.operator.audit import audited
from infra.operator.aws import ABSENT
from infra.operator.errors import NotFound, Refused
from steps.aws.sdk import error_code
from steps.contract.order_id import shown
from steps.ledger.rules import iso
from steps.ledger.ses_events import SUPPRESSED

if TYPE_CHECKING:
    from infra.operator.aws import Deployment
    from steps.ledger.rules import Record

REASONS = frozenset({"BOUNCE", "COMPLAINT"})
"""For which SES puts an address on the list."""

WARNINGS = {
    "BOUNCE": (
        "A mail to it bounced for good. If the next one bounces, too, that counts in your bounce rate: SES "
        "reviews accounts from 5%. Be sure that the mailbox exists."
    ),
    "COMPLAINT": (
        "Its owner called a mail spam. If they do so again, that counts in your complaint rate: SES reviews "
        "accounts from 0.1%. Be sure that they asked for it."
    ),
}
"""What to mind before an address is taken off, by its reason."""

_GLOBAL = (
    "The address may still be on SES's global list, which nobody can ask. The record of a mail that it kept "
    "back has the reason Permanent/Suppressed. "
)
_OVERRIDDEN = (
    _GLOBAL + "Your account has a list of its own, so SES tries such an address all the same."
)
_NOT_OVERRIDDEN = (
    _GLOBAL + "An account with a list of its own overrides it: "
    "aws sesv2 put-account-suppression-attributes --suppressed-reasons BOUNCE COMPLAINT"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the account's list.

    spelling: `as given` or `lower case`. reason: BOUNCE or COMPLAINT. since: ISO 8601 UTC, of its last change.
    message_id: SES's, of the mail that caused it; empty where somebody put the address there by hand.
    """

    spelling: str
    reason: str
    since: str
    message_id: str


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """What stands between us and an address.

    address: its 16 digits, as the audit log has it. account, configuration_set: the reasons that each heeds;
    None where the configuration set leaves it to the account. heeded: whether an entry keeps our mails back.
    note: what is to be known where there is no entry, and where one is not heeded.
    """

    address: str
    entries: list[Entry]
    account: list[str]
    configuration_set: list[str] | None
    heeded: bool
    note: str


def look_up(deployment: Deployment, address: str) -> Suppression:
    """Return whether SES keeps mails to an address back, and since which mail."""
    ses = deployment.client("sesv2")
    entries = entries_of(deployment, address)
    options = ses.get_configuration_set(ConfigurationSetName=deployment.configuration_set).get(
        "SuppressionOptions", {}
    )
    account = ses.get_account().get("SuppressionAttributes", {}).get("SuppressedReasons", [])
    return judged(shown(address), entries, account, options.get("SuppressedReasons"))


def entries_of(deployment: Deployment, address: str) -> list[Entry]:
    """Return an address's entries of the account's list."""
    ses = deployment.client("sesv2")
    found = {spelling: _entry(ses, text) for spelling, text in _spellings(address).items()}
    return [
        Entry(
            spelling=spelling,
            reason=entry["Reason"],
            since=iso(entry["LastUpdateTime"].timestamp()),
            message_id=entry.get("Attributes", {}).get("MessageId", ""),
        )
        for spelling, entry in found.items()
        if entry
    ]


def spellings(deployment: Deployment, address: str) -> list[str]:
    """Return how the account's list spells an address; nothing where it is not on it."""
    ses = deployment.client("sesv2")
    return [text for text in _spellings(address).values() if _entry(ses, text)]


def judged(
    address: str, entries: list[Entry], account: list[str], configuration_set: list[str] | None
) -> Suppression:
    """Say what entries and settings mean together; the configuration set's go before the account's."""
    heeds = account if configuration_set is None else configuration_set
    heeded = any(entry.reason in heeds for entry in entries)
    note = ""
    if not entries:
        note = _OVERRIDDEN if heeds else _NOT_OVERRIDDEN
    elif not heeded:
        note = (
            "SES sends to the address all the same: its reason is not among those that are heeded."
        )
    return Suppression(
        address=address,
        entries=entries,
        account=account,
        configuration_set=configuration_set,
        heeded=heeded,
        note=note,
    )


def remove(deployment: Deployment, address: str, *, why: str) -> int:
    """Take an address off the account's list; return how many entries it had.

    Raises:
        NotFound: it is not on the list.
    """
    ses = deployment.client("sesv2")
    with audited(deployment, "suppression remove", why=why, address=shown(address)) as done:
        removed = 0
        for text in _spellings(address).values():
            try:
                ses.delete_suppressed_destination(EmailAddress=text)
            except ClientError as error:
                if error_code(error) not in ABSENT:
                    raise
            else:
                removed += 1
        done["removed"] = removed
        if not removed:
            raise NotFound("the address is not on the account's list")
    return removed


def was_kept_back(record: Record) -> bool:
    """Whether SES kept the record's mail back because of a suppression list."""
    return str(record.get("reason", "")).rpartition("/")[2] in SUPPRESSED


def allow_retry(record: Record, found: Suppression) -> None:
    """Let a mail be sent again that SES kept back, once nothing keeps it back any more.

    Args:
        record: of that mail.
        found: what is known of the address that it would go to now.

    Raises:
        Refused: it was not kept back, or would be again.
    """
    if not was_kept_back(record):
        raise Refused(
            f"SES did not keep this mail back: it is {record['status']}. To send it again all the same: "
            "order-mail resend"
        )
    if found.heeded:
        raise Refused("the address is still on the list: order-mail suppression remove")


def _spellings(address: str) -> dict[str, str]:
    lower = address.lower()
    return {"as given": address} | ({"lower case": lower} if lower != address else {})


def _entry(ses: Any, address: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = ses.get_suppressed_destination(EmailAddress=address)
    except ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise
    entry: dict[str, Any] = found["SuppressedDestination"]
    return entry
