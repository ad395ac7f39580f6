"""Starts MiniStack, in MiniStack's own environment, with one rule changed.

The queues' and topics' policies refuse requests without TLS, on the laptop as on AWS. The local
endpoint is plain HTTP on loopback, so every request would be refused; here loopback counts as secure
transport. All other conditions and policies decide as they are.
"""

from ministack import app  # type: ignore[import-not-found]

_pin_request_origin = app.pin_request_origin


def _pin_loopback_as_secure(source_ip: str, _secure_transport: bool) -> None:  # noqa: FBT001 - MiniStack's signature
    _pin_request_origin(source_ip, True)  # noqa: FBT003 - likewise


app.pin_request_origin = _pin_loopback_as_secure
app.main()
