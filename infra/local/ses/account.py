"""What SES refuses: rate, quota, pauses, unverified identities; and the suppression list.

Messages are those SES is known to answer with; codes and statuses are botocore's service model.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.local.ses.settings import SesSettings

SIMULATOR = "@simulator.amazonses.com"
DAY = 86_400.0
Json = dict[str, Any]
"""A JSON object: a request, an answer, an event."""
_STATUS = {
    "AccessDeniedException": 403,
    "NotFoundException": 404,
    "TooManyRequestsException": 429,
    "InternalFailure": 500,
}


PAUSED = (
    "Sending paused for this account. For more information, please check the inbox of the email address "
    "associated with your AWS account."
)


class SesError(Exception):
    """A refusal as SES words it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = _STATUS.get(code, 400)


class TokenBucket:
    """A send rate that tolerates bursts of one second's worth, and of two at least, unless told otherwise.

    SES documents that short bursts above the rate pass and sustained ones do not, without figures.
    """

    def __init__(self, rate: float, now: float, capacity: float | None = None) -> None:
        self.rate = rate
        self.capacity = capacity or max(rate, 2.0)
        self._tokens = self.capacity
        self._then = now

    def take(self, count: int, now: float) -> bool:
        """Take `count` tokens, or none. More than the capacity pass when the bucket is full."""
        self._tokens = min(self.capacity, self._tokens + (now - self._then) * self.rate)
        self._then = now
        # Refilling sums fractions: without the slack a token is late by one rounding error.
        if self._tokens + 1e-9 < min(count, self.capacity):
            return False
        self._tokens -= count
        return True


@dataclass(frozen=True)
class Send:
    """What the account has to know of a mail. Addresses are bare."""

    sender: str
    recipients: tuple[str, ...]
    config_set: str | None
    sending_enabled: bool
    sender_verified: bool
    unverified_recipients: tuple[str, ...]


@dataclass
class Suppressed:
    """An entry of the suppression list; `updated` is in epoch seconds."""

    address: str
    reason: str
    updated: float
    attributes: dict[str, str] = field(default_factory=dict)

    def summary(self) -> Json:
        """Describe it as ListSuppressedDestinations does."""
        return {
            "EmailAddress": self.address,
            "Reason": self.reason,
            "LastUpdateTime": self.updated,
        }


def is_simulated(address: str) -> bool:
    """Tell whether the mailbox simulator takes this address."""
    return address.lower().endswith(SIMULATOR)


class SesAccount:
    """The account in one region. Thread-safe."""

    def __init__(self, settings: SesSettings, region: str, clock: Callable[[], float]) -> None:
        self._region = region
        self._clock = clock
        self._lock = threading.Lock()
        self.reset(settings)

    def reset(self, settings: SesSettings) -> None:
        """Forget everything."""
        with self._lock:
            self.settings = settings
            self._bucket = TokenBucket(settings.effective_rate, self._clock())
            self._actions = self._bucket_of_actions(settings)
            self._sent: deque[tuple[float, int]] = deque()
            self._suppressed: dict[str, Suppressed] = {}
            # What new accounts have; PutAccountSuppressionAttributes changes it.
            self.suppressed_reasons = ["BOUNCE", "COMPLAINT"]

    def _bucket_of_actions(self, settings: SesSettings) -> TokenBucket:
        rate = settings.action_rate
        return TokenBucket(rate, self._clock(), capacity=rate)

    def change(self, settings: SesSettings) -> None:
        """Take new settings; a changed rate starts with a full bucket."""
        with self._lock:
            if settings.effective_rate != self._bucket.rate:
                self._bucket = TokenBucket(settings.effective_rate, self._clock())
            if settings.action_rate != self.settings.action_rate:
                self._actions = self._bucket_of_actions(settings)
            self.settings = settings

    def admit_action(self) -> None:
        """Let a request that is not a mail in: all actions together, SES takes one a second.

        Source: SES Developer Guide, "Service quotas in Amazon SES", SES API sending limits.

        Raises:
            SesError: TooManyRequestsException.
        """
        with self._lock:
            if not self._actions.take(1, self._clock()):
                raise SesError("TooManyRequestsException", "Rate exceeded")

    def admit(self, send: Send) -> None:
        """Let a mail in and count it.

        Raises:
            SesError: what SES would answer; then nothing was counted.
        """
        now = self._clock()
        with self._lock:
            self._refuse(send)
            # Mails to the simulator count for the rate, not for the quota.
            counted = sum(not is_simulated(address) for address in send.recipients)
            if self._sent_last_day(now) + counted > self.settings.effective_quota:
                raise SesError("LimitExceededException", "Daily message quota exceeded.")
            if not self._bucket.take(len(send.recipients), now):
                raise SesError("TooManyRequestsException", "Maximum sending rate exceeded.")
            self._sent.append((now, counted))

    def _refuse(self, send: Send) -> None:
        settings = self.settings
        if settings.refusal:
            code, _, text = settings.refusal.partition(": ")
            raise SesError(code, text)
        if settings.suspended:
            raise SesError("AccountSuspendedException", "Sending suspended for this account.")
        if settings.paused:
            raise SesError("SendingPausedException", PAUSED)
        if not send.sending_enabled:
            raise SesError(
                "SendingPausedException", f"Sending paused for configuration set {send.config_set}."
            )
        failed: tuple[str, ...] = (
            () if settings.sender_verified and send.sender_verified else (send.sender,)
        )
        if settings.sandbox:
            failed += send.unverified_recipients
        if failed:
            raise SesError(
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in "
                f"region {self._region.upper()}: {', '.join(failed)}",
            )
        if not settings.mail_from_verified:
            raise SesError(
                "MailFromDomainNotVerifiedException",
                "The MAIL FROM domain of the sending identity is not verified.",
            )

    def _sent_last_day(self, now: float) -> int:
        while self._sent and self._sent[0][0] <= now - DAY:
            self._sent.popleft()
        return sum(count for _, count in self._sent)

    def describe(self) -> Json:
        """Answer GetAccount."""
        with self._lock:
            settings = self.settings
            return {
                "DedicatedIpAutoWarmupEnabled": False,
                "EnforcementStatus": "SHUTDOWN" if settings.suspended else "HEALTHY",
                "ProductionAccessEnabled": not settings.sandbox,
                "SendQuota": {
                    "Max24HourSend": settings.effective_quota,
                    "MaxSendRate": settings.effective_rate,
                    "SentLast24Hours": float(self._sent_last_day(self._clock())),
                },
                # An account that SES itself shut down may say that sending is enabled.
                "SendingEnabled": not settings.paused,
                "SuppressionAttributes": {"SuppressedReasons": list(self.suppressed_reasons)},
            }

    def suppress(self, address: str, reason: str, attributes: dict[str, str] | None = None) -> None:
        """Put an address on the suppression list."""
        if reason not in {"BOUNCE", "COMPLAINT"}:
            raise SesError("BadRequestException", "Reason must be BOUNCE or COMPLAINT.")
        with self._lock:
            entry = Suppressed(address, reason, self._clock(), attributes or {})
            self._suppressed[address] = entry

    def suppressed(self, address: str) -> Suppressed:
        """Look an address up, as it was spelt when it was put on the list.

        Sending heeds no case (SES Developer Guide, "Using the Amazon SES account-level suppression list").

        Raises:
            SesError: NotFoundException.
        """
        with self._lock:
            entry = self._suppressed.get(address)
        if entry is None:
            raise SesError(
                "NotFoundException",
                f"Email address {address} does not exist on your suppression list.",
            )
        return entry

    def unsuppress(self, address: str) -> None:
        """Take an address off the list."""
        self.suppressed(address)
        with self._lock:
            self._suppressed.pop(address, None)

    def suppression_of(
        self, recipients: tuple[str, ...], reasons: list[str] | None
    ) -> dict[str, str]:
        """Tell which recipients SES will not deliver to, and why.

        Args:
            recipients: bare addresses.
            reasons: of the configuration set, or None where it leaves them to the account.
        """
        heeded = self.suppressed_reasons if reasons is None else reasons
        with self._lock:
            kept = {address.lower(): entry for address, entry in self._suppressed.items()}
        entries = {r: kept.get(r.lower()) for r in recipients}
        return {r: entry.reason for r, entry in entries.items() if entry and entry.reason in heeded}

    def list_suppressed(self, query: dict[str, list[str]]) -> Json:
        """Answer ListSuppressedDestinations."""
        with self._lock:
            entries = sorted(self._suppressed.values(), key=lambda e: e.updated)
        if "Reason" in query:
            entries = [e for e in entries if e.reason in query["Reason"]]
        start = int(query.get("NextToken", ["0"])[0])
        end = start + int(query.get("PageSize", ["1000"])[0])
        page: Json = {"SuppressedDestinationSummaries": [e.summary() for e in entries[start:end]]}
        return page | ({"NextToken": str(end)} if end < len(entries) else {})
