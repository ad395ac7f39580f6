"""From a SendEmail request to the mail on the wire, as SES builds it."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, parseaddr
from typing import Any

from infra.local.ses.account import SesError

MAX_RECIPIENTS = 50
MAX_HEADERS = 15
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER_NAME = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")
# SES builds these itself; a custom header of the same name would stand twice in the mail.
_OWN = re.compile(
    "from|to|cc|bcc|reply-to|subject|date|message-id|return-path|mime-version|content-.*", re.I
)
_EICAR = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"


@dataclass(frozen=True)
class Email:
    """A mail that SES could send. `recipients` are bare addresses, `destination` is as given."""

    source: str
    destination: tuple[str, ...]
    recipients: tuple[str, ...]
    config_set: str | None
    tags: dict[str, list[str]]
    headers: tuple[tuple[str, str], ...]
    common_headers: dict[str, Any]
    wire: bytes
    infected: bool

    @property
    def sender(self) -> str:
        """The bare From address."""
        return parseaddr(self.source)[1]


def bare(address: str) -> str:
    """The address of an address with or without display name.

    Raises:
        SesError: BadRequestException when it is none that SES takes.
    """
    # SES wants display names as encoded words and domains as punycode.
    found = parseaddr(address)[1] if address.isascii() and address.isprintable() else ""
    local, _, domain = found.rpartition("@")
    if not local or not domain or re.search(r"[\s,;<>]", found):
        raise SesError("BadRequestException", "Missing final '@domain'")
    return found


def message_domain(region: str) -> str:
    """What stands behind the @ in SES's Message-ID header."""
    return "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"


def compose(request: dict[str, Any], *, message_id: str, region: str, now: datetime) -> Email:
    """Builds the mail of a SendEmail request.

    Args:
        request: the JSON body.
        message_id: the id that SES answers with.
        region: of the endpoint.
        now: when SES took it, with a time zone.

    Raises:
        SesError: BadRequestException, as SES would for a request it cannot send.
    """
    content = request.get("Content") or {}
    message: Message
    try:
        if "Simple" in content:
            message = _simple(request, content["Simple"], message_id)
        elif "Raw" in content:
            message = message_from_bytes(_raw(content["Raw"]))
        elif "Template" in content:
            raise SesError("BadRequestException", "The local SES sends no stored templates.")
        else:
            raise SesError("BadRequestException", "Content is required.")
    except (KeyError, ValueError) as error:
        raise SesError("BadRequestException", f"Invalid content: {error}") from error
    return _email(request, message, message_id=message_id, region=region, now=now)


def _simple(request: dict[str, Any], simple: dict[str, Any], message_id: str) -> EmailMessage:
    destination = request.get("Destination") or {}
    message = EmailMessage(policy=SMTP)
    message["From"] = request["FromEmailAddress"]
    for name, addresses in (
        ("Reply-To", request.get("ReplyToAddresses")),
        ("To", destination.get("ToAddresses")),
        ("Cc", destination.get("CcAddresses")),
    ):
        if addresses:
            message[name] = ", ".join(a for a in addresses if bare(a))
    message["Subject"] = simple["Subject"]["Data"]
    for name, value in _custom(simple.get("Headers") or []):
        message[name] = value
    message["MIME-Version"] = "1.0"
    body = simple["Body"]
    if "Text" in body:
        _part(message.set_content, body["Text"], "plain")
    if "Html" in body:
        add = message.add_alternative if "Text" in body else message.set_content
        _part(add, body["Html"], "html")
    if not body:
        raise SesError("BadRequestException", "Body must hold Text or Html.")
    if simple.get("Attachments"):
        raise SesError("BadRequestException", "The local SES sends no attachments.")
    if message.is_multipart():
        # Short, or the header would be split in RFC 2231 pieces.
        message.set_boundary(f"----=_Part_{message_id[:16]}")
    for part in list(message.walk())[1:]:
        del part["MIME-Version"]  # which the library gives to parts, too
    return message


def _part(add: Any, part: dict[str, str], subtype: str) -> None:
    text = part["Data"]
    cte = None if text.isascii() else "quoted-printable"
    add(text, subtype=subtype, charset=part.get("Charset", "UTF-8"), cte=cte)


def _custom(headers: list[dict[str, str]]) -> list[tuple[str, str]]:
    if len(headers) > MAX_HEADERS:
        raise SesError("BadRequestException", f"At most {MAX_HEADERS} headers.")
    for header in headers:
        name, value = header["Name"], header["Value"]
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise SesError("BadRequestException", "Header names and values are printable ASCII.")
        if _OWN.fullmatch(name):
            raise SesError("BadRequestException", f"Header {name} is set by SES.")
    return [(h["Name"], h["Value"]) for h in headers]


def _raw(raw: dict[str, str]) -> bytes:
    try:
        return base64.b64decode(raw["Data"], validate=True)
    except binascii.Error as error:
        raise SesError("BadRequestException", "Raw.Data is not base64.") from error


def _addresses(message: Message, *names: str) -> tuple[str, ...]:
    pairs = getaddresses([str(v) for n in names for v in message.get_all(n, [])])
    return tuple(address for _, address in pairs)


def _email(
    request: dict[str, Any], message: Message, *, message_id: str, region: str, now: datetime
) -> Email:
    given = request.get("Destination") or {}
    destination = tuple(
        address
        for name in ("ToAddresses", "CcAddresses", "BccAddresses")
        for address in given.get(name) or []
    ) or _addresses(message, "To", "Cc", "Bcc")
    if not 0 < len(destination) <= MAX_RECIPIENTS:
        raise SesError("BadRequestException", f"From 1 to {MAX_RECIPIENTS} recipients.")
    source = request.get("FromEmailAddress") or str(message["From"] or "")
    bare(source)
    config_set = request.get("ConfigurationSetName") or message["X-SES-CONFIGURATION-SET"]
    tags = _tags(request, str(message["X-SES-MESSAGE-TAGS"] or ""))
    # Meant for SES, or replaced by it: none of them reaches the recipient.
    for name in list(dict.fromkeys(message.keys())):
        if name.lower().startswith("x-ses-") or name.lower() in {
            "bcc", "date", "message-id", "return-path",
        }:  # fmt: skip
            del message[name]
    headers = tuple((name, str(value)) for name, value in message.items())
    common = {
        "from": [str(message["From"])],
        **({"replyTo": [str(message["Reply-To"])]} if message["Reply-To"] else {}),
        **({"to": [str(message["To"])]} if message["To"] else {}),
        **({"cc": [str(message["Cc"])]} if message["Cc"] else {}),
        "messageId": message_id,
        "subject": str(message["Subject"] or ""),
    }
    message["Message-ID"] = f"<{message_id}@{message_domain(region)}>"
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Feedback-ID"] = f"::1.{region}.laptop:AmazonSES"
    message["X-SES-Outgoing"] = f"{now.astimezone(UTC):%Y.%m.%d}-127.0.0.1"
    decoded = (p.get_payload(decode=True) for p in message.walk() if not p.is_multipart())
    return Email(
        source=source,
        destination=destination,
        recipients=tuple(bare(address) for address in destination),
        config_set=str(config_set) if config_set else None,
        tags=tags,
        headers=headers,
        common_headers=common,
        wire=message.as_bytes(policy=message.policy.clone(linesep="\r\n")),
        infected=any(_EICAR in part for part in decoded if isinstance(part, bytes)),
    )


def _tags(request: dict[str, Any], header: str) -> dict[str, list[str]]:
    pairs = [(t.get("Name", ""), t.get("Value", "")) for t in request.get("EmailTags") or []]
    pairs += [
        (name.strip(), value.strip())
        for name, equals, value in (item.partition("=") for item in re.split("[,;]", header))
        if equals
    ]
    for name, value in pairs:
        if not _TAG.fullmatch(name) or not _TAG.fullmatch(value):
            raise SesError(
                "BadRequestException", "Tag names and values take A-Z, a-z, 0-9, _ and - only."
            )
    return {name: [value] for name, value in pairs}
