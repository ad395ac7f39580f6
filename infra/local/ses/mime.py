"""From a SendEmail request to the mail on the wire, as SES builds it."""

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from infra.local.ses.account import Json, SesError

MAX_RECIPIENTS = 50
MAX_HEADERS = 15
MAX_BYTES = 40 * 1024 * 1024
"""SES Developer Guide, "Service quotas in Amazon SES": after encoding."""
FILE_NAME_MAX = 255
"""SES API v2 Reference, Attachment."""
_UNSUPPORTED = """
ade adp app asp bas bat cer chm cmd com cpl crt csh der exe fxp gadget hlp hta inf ins isp its js jse ksh lib
lnk mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt mdw mdz msc msh msh1 msh2 mshxml msh1xml msh2xml
msi msp mst ops pcd pif plg prf prg reg scf scr sct shb shs sys ps1 ps1xml ps2 ps2xml psc1 psc2 tmp url vb vbe
vbs vps vsmacros vss vst vsw vxd ws wsc wsf wsh xnk
"""
UNSUPPORTED_TYPES = frozenset(_UNSUPPORTED.split())
"""SES Developer Guide, "Amazon SES unsupported attachment types"."""
_ENCODINGS = {"BASE64": "base64", "QUOTED_PRINTABLE": "quoted-printable", "SEVEN_BIT": "7bit"}
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER_NAME = re.compile(r"[!-9;-@A-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")
# SES builds these itself; a custom header of the same name would stand twice in the mail.
_OWN = re.compile(
    "from|to|cc|bcc|reply-to|subject|date|message-id|return-path|mime-version|content-.*", re.I
)
_EICAR = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"


@dataclass(frozen=True)
class Email:
    """A mail that SES could send. `recipients` are bare addresses, `destination` is as given."""

    source: str
    destination: tuple[str, ...]
    recipients: tuple[str, ...]
    config_set: str | None
    tags: dict[str, list[str]]
    headers: tuple[tuple[str, str], ...]
    common_headers: Json
    wire: bytes
    infected: bool

    @property
    def sender(self) -> str:
        """The bare From address."""
        return parseaddr(self.source)[1]


def bare(address: str) -> str:
    """Strip an address of its display name.

    Raises:
        SesError: BadRequestException when it is none that SES takes.
    """
    # SES wants display names as encoded words and domains as punycode.
    stripped = parseaddr(address)[1] if address.isascii() and address.isprintable() else ""
    local, _, domain = stripped.rpartition("@")
    if not local or not domain or re.search(r"[\s,;<>]", stripped):
        raise SesError("BadRequestException", "Missing final '@domain'")
    return stripped


def compose(request: Json, *, message_id: str, region: str, now: datetime) -> Email:
    """Build the mail of a SendEmail request.

    Args:
        request: the JSON body.
        message_id: the id that SES answers with.
        region: of the endpoint.
        now: when SES took it, with a time zone.

    Raises:
        SesError: BadRequestException, as SES would for a request it cannot send.
    """
    simple = (request.get("Content") or {}).get("Simple")
    if simple is None:
        raise SesError("BadRequestException", "The local SES sends Content.Simple only.")
    destination = _destination(request)
    try:
        message = _message(request, simple, message_id)
        infected = any(_EICAR in part["Data"] for part in simple["Body"].values()) or any(
            _EICAR.encode() in b64decode(file["RawContent"])
            for file in simple.get("Attachments") or []
        )
    except (KeyError, ValueError) as error:
        raise SesError("BadRequestException", f"Invalid content: {error}") from error
    headers = tuple((name, str(value)) for name, value in message.items())
    # What SES adds is in the mail, not in its events.
    domain = "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"
    message["Message-ID"] = f"<{message_id}@{domain}>"
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Feedback-ID"] = f"::1.{region}.laptop:AmazonSES"
    message["X-SES-Outgoing"] = f"{now.astimezone(UTC):%Y.%m.%d}-127.0.0.1"
    wire = message.as_bytes()
    if len(wire) > MAX_BYTES:
        raise SesError(
            "BadRequestException", f"Message length is more than {MAX_BYTES} bytes long."
        )
    return Email(
        source=request["FromEmailAddress"],
        destination=destination,
        recipients=tuple(bare(address) for address in destination),
        config_set=request.get("ConfigurationSetName"),
        tags=_tags(request),
        headers=headers,
        common_headers=_common_headers(message, message_id),
        wire=wire,
        infected=infected,
    )


def _destination(request: Json) -> tuple[str, ...]:
    given = request.get("Destination") or {}
    destination = tuple(
        address
        for name in ("ToAddresses", "CcAddresses", "BccAddresses")
        for address in given.get(name) or []
    )
    if not 0 < len(destination) <= MAX_RECIPIENTS:
        raise SesError("BadRequestException", f"From 1 to {MAX_RECIPIENTS} recipients.")
    return destination


def _message(request: Json, simple: Json, message_id: str) -> EmailMessage:
    body = simple["Body"]
    if not body:
        raise SesError("BadRequestException", "Body must hold Text or Html.")
    message = EmailMessage(policy=SMTP)
    bare(request["FromEmailAddress"])
    message["From"] = request["FromEmailAddress"]
    for name, addresses in (
        ("Reply-To", request.get("ReplyToAddresses")),
        ("To", request["Destination"].get("ToAddresses")),
        ("Cc", request["Destination"].get("CcAddresses")),
    ):
        if addresses:
            message[name] = ", ".join(address for address in addresses if bare(address))
    message["Subject"] = simple["Subject"]["Data"]
    for name, value in _custom_headers(simple.get("Headers") or []):
        message[name] = value
    message["MIME-Version"] = "1.0"
    if "Text" in body:
        _add(message.set_content, body["Text"], "plain")
    if "Html" in body:
        _add(
            message.add_alternative if "Text" in body else message.set_content, body["Html"], "html"
        )
    for attachment in simple.get("Attachments") or []:
        _attach(message, attachment)
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            # Short, or the header would be split in RFC 2231 pieces.
            part.set_boundary(f"----=_Part_{number}_{message_id[:16]}")
        if number:
            del part["MIME-Version"]  # which the library gives to parts, too
    return message


def _attach(message: EmailMessage, attachment: dict[str, str]) -> None:
    """Add a file as SES does, whose defaults are an attachment and seven-bit text."""
    name, content = attachment["FileName"], b64decode(attachment["RawContent"], validate=True)
    if not 0 < len(name) <= FILE_NAME_MAX or not name.isprintable():
        raise SesError("BadRequestException", f"A file name has 1 to {FILE_NAME_MAX} characters.")
    if name.rpartition(".")[2].lower() in UNSUPPORTED_TYPES:
        raise SesError("BadRequestException", f"Unsupported attachment type: {name}")
    encoding = attachment.get("ContentTransferEncoding", "SEVEN_BIT")
    if encoding == "SEVEN_BIT" and not content.isascii():
        raise SesError("BadRequestException", "The content is not seven-bit.")
    maintype, _, subtype = attachment.get("ContentType", "application/octet-stream").partition("/")
    message.add_attachment(
        content,
        maintype=maintype,
        subtype=subtype,
        cte=_ENCODINGS[encoding],
        disposition=attachment.get("ContentDisposition", "ATTACHMENT").lower(),
        filename=name,
    )


def _add(add: Callable[..., None], part: dict[str, str], subtype: str) -> None:
    text = part["Data"]
    cte = None if text.isascii() else "quoted-printable"
    add(text, subtype=subtype, charset=part.get("Charset", "UTF-8"), cte=cte)


def _custom_headers(headers: list[dict[str, str]]) -> list[tuple[str, str]]:
    if len(headers) > MAX_HEADERS:
        raise SesError("BadRequestException", f"At most {MAX_HEADERS} headers.")
    for header in headers:
        name, value = header["Name"], header["Value"]
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise SesError("BadRequestException", "Header names and values are printable ASCII.")
        if _OWN.fullmatch(name):
            raise SesError("BadRequestException", f"Header {name} is set by SES.")
    return [(h["Name"], h["Value"]) for h in headers]


def _common_headers(message: EmailMessage, message_id: str) -> Json:
    names = {"from": "From", "replyTo": "Reply-To", "to": "To", "cc": "Cc"}
    addresses = {key: [str(message[name])] for key, name in names.items() if message[name]}
    return {**addresses, "messageId": message_id, "subject": str(message["Subject"])}


def _tags(request: Json) -> dict[str, list[str]]:
    tags = {tag.get("Name", ""): tag.get("Value", "") for tag in request.get("EmailTags") or []}
    for word in (*tags, *tags.values()):
        if not _TAG.fullmatch(word):
            raise SesError(
                "BadRequestException", "Tag names and values take A-Z, a-z, 0-9, _ and - only."
            )
    return {name: [value] for name, value in tags.items()}
