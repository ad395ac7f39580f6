"""The emulator behind the laptop's SES: what is verified, and which topics want events."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import boto3
import urllib3
from botocore.config import Config

from infra.local.ses.account import Json, SesError

T = TypeVar("T")
# Lookups are kept this long, in seconds: a change in the emulator shows that much later.
_KEEP = 1.0
_TIMEOUT = urllib3.Timeout(connect=2, read=30)
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect"})
_AUTHENTICATION = frozenset({401, 403})


SOURCE_ARN = "x-amz-source-arn"
"""The header by which a service tells another on whose behalf it calls: `aws:SourceArn` of a policy."""
_source: ContextVar[str] = ContextVar("source")

_OURS = {"x-laptop-ses": "asks"}
"""What the emulator answers itself. Whatever else comes to it for SES v2 it passes on to us."""
_CALLED_AS = "x-forwarded-host"
"""The header that says which Host the caller has signed, where the emulator passed a request on."""


def _as_ours(params: dict[str, Any], **_: Any) -> None:
    params["headers"].update(_OURS)


def _on_behalf(params: dict[str, Any], **_: Any) -> None:
    params["headers"][SOURCE_ARN] = _source.get()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def refused(self) -> bool:
        """Whether the caller was not authenticated, or not allowed."""
        return self.status in _AUTHENTICATION


@dataclass(frozen=True)
class ConfigurationSet:
    """What a configuration set says. `suppressed_reasons` is None where the account decides."""

    sending_enabled: bool
    suppressed_reasons: list[str] | None
    destinations: list[Json]

    def topics(self, kind: str) -> list[str]:
        """Return the SNS topics that want events of this kind (`SEND`, ...)."""
        return [
            destination["SnsDestination"]["TopicArn"]
            for destination in self.destinations
            if destination["Enabled"]
            and kind in destination["MatchingEventTypes"]
            and "SnsDestination" in destination
        ]


class Upstream:
    """The emulator, asked with its root credentials, except for `forward`. Thread-safe."""

    def __init__(self, endpoint: str, *, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self._endpoint = endpoint.rstrip("/")
        self._http = urllib3.PoolManager(maxsize=32, retries=False, timeout=_TIMEOUT)
        root = boto3.Session("test", "test", region_name=region)
        config = Config(max_pool_connections=32)
        self._ses = root.client("sesv2", endpoint_url=self._endpoint, config=config)
        self._sns = root.client("sns", endpoint_url=self._endpoint, config=config)
        self._ses.meta.events.register("before-call.sesv2", _as_ours)
        self._sns.meta.events.register("before-call.sns.Publish", _on_behalf)
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}

    def close(self) -> None:
        """Close its connections."""
        self._http.clear()
        for client in (self._ses, self._sns):
            client.close()

    def forget(self) -> None:
        """Drop what lookups are kept."""
        with self._lock:
            self._kept.clear()

    def _keep(self, kind: str, name: str, look_up: Callable[[], T]) -> T:
        with self._lock:
            kept = self._kept.get((kind, name))
        if kept and time.monotonic() < kept[0]:
            return cast("T", kept[1])
        value = look_up()
        with self._lock:
            self._kept[kind, name] = (time.monotonic() + _KEEP, value)
        return value

    def forward(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Pass a request on as it was signed: method, target, Host and body untouched."""
        sent = {name.lower(): value for name, value in headers.items()}
        host = sent.pop(_CALLED_AS, sent["host"])
        kept = {n: v for n, v in sent.items() if n not in _HOP} | _OURS | {"host": host}
        response = self._http.request(method, self._endpoint + target, headers=kept, body=body)
        answered = {n: v for n, v in response.headers.items() if n.lower() not in _HOP}
        return Answer(response.status, answered, response.data)

    def identity_arn(self, address: str) -> tuple[str, bool]:
        """Return the ARN of the identity that verifies an address, and whether there is one.

        An address identity goes before its domain, and that before a parent domain.
        """
        names = self._keep("identities", "", self._identities)
        domain = address.rpartition("@")[2].lower()
        labels = domain.split(".")
        parents = [".".join(labels[start:]) for start in range(len(labels) - 1)]
        verified = next((n for n in [address.lower(), *parents] if n in names), None)
        arn = f"arn:aws:ses:{self.region}:{self.account}:identity/"
        return arn + names.get(verified or "", address), verified is not None

    def _identities(self) -> dict[str, str]:
        # One page: a laptop has few.
        identities = self._ses.list_email_identities(PageSize=1000)["EmailIdentities"]
        return {
            identity["IdentityName"].lower(): identity["IdentityName"]
            for identity in identities
            if identity.get("VerificationStatus", "SUCCESS") == "SUCCESS"
        }

    def configuration_set(self, name: str | None) -> ConfigurationSet:
        """Read a configuration set.

        Raises:
            SesError: NotFoundException.
        """
        if name is None:
            return ConfigurationSet(sending_enabled=True, suppressed_reasons=None, destinations=[])
        return self._keep("configuration-set", name, lambda: self._configuration_set(name))

    def _configuration_set(self, name: str) -> ConfigurationSet:
        try:
            answer = self._ses.get_configuration_set(ConfigurationSetName=name)
        except self._ses.exceptions.NotFoundException as error:
            raise SesError(
                "NotFoundException", f"Configuration set <{name}> does not exist."
            ) from error
        reasons = answer.get("SuppressionOptions", {}).get("SuppressedReasons")
        events = self._ses.get_configuration_set_event_destinations(ConfigurationSetName=name)
        return ConfigurationSet(
            sending_enabled=answer.get("SendingOptions", {}).get("SendingEnabled", True),
            suppressed_reasons=None if reasons is None else [*reasons],
            destinations=[dict(d) for d in events.get("EventDestinations", [])],
        )

    def publish(
        self, topic: str, payload: Mapping[str, Any], *, configuration_set: str | None
    ) -> None:
        """Publish an event as SES does: for a configuration set, newline at the end and subject included."""
        _source.set(
            f"arn:aws:ses:{self.region}:{self.account}:configuration-set/{configuration_set}"
        )
        self._sns.publish(
            TopicArn=topic,
            Subject="Amazon SES Email Event Notification",
            Message=json.dumps(payload, separators=(",", ":"), ensure_ascii=False) + "\n",
        )
