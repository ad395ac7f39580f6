"""The laptop's SES: one call of SendEmail from the signature to the last event."""

import heapq
import itertools
import json
import random
import smtplib
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

from infra.local.ses import events
from infra.local.ses.account import Account, Send, SesError, is_simulated
from infra.local.ses.mime import compose
from infra.local.ses.settings import Faults, Settings, faults, schedule
from infra.local.ses.upstream import Upstream

_KEPT_MESSAGES = 20_000
_SMTP_OK = 250
_COUNTERS = (
    *("calls", "accepted", "throttled", "denied", "refused"),
    *("errors_before", "errors_after", "answers_dropped"),
    *("events_published", "events_repeated", "events_lost", "in_inbox"),
)
# An event's reason for the suppression list: the kind of event, and what it must say.
_SUPPRESSING = {"BOUNCE": ("bounceType", "Permanent"), "COMPLAINT": ("complaintSubType", None)}


class Dropped(Exception):
    """The call was accepted, and its answer is to be lost."""


class Later:
    """Runs things at their time, a few at once, in one waiting thread."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ses-events")
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._running = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._wait, name="ses-clock", daemon=True)
        self._thread.start()

    def at(self, delay: float, work: Callable[[], None]) -> None:
        """Runs `work` in `delay` seconds."""
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._count), work))
            self._wake.notify()

    @property
    def pending(self) -> int:
        """How many have not run yet."""
        with self._wake:
            return len(self._due) + self._running

    def clear(self) -> None:
        """Drops what is not due yet."""
        with self._wake:
            self._due.clear()

    def close(self) -> None:
        """Stops; what is not due yet is lost."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()
        self._pool.shutdown()

    def _wait(self) -> None:
        with self._wake:
            while not self._stopped:
                now = time.monotonic()
                while self._due and self._due[0][0] <= now:
                    self._running += 1
                    self._pool.submit(self._run, heapq.heappop(self._due)[2])
                self._wake.wait(self._due[0][0] - now if self._due else None)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            # One lost event must not end the others, and its text may hold an address.
            print(f"ses: {type(error).__name__} while publishing or delivering", file=sys.stderr)
        finally:
            with self._wake:
                self._running -= 1


class Inbox:
    """The inbox's SMTP server, over one connection: a new one takes it a tenth of a second."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._lock = threading.Lock()
        self._connection: smtplib.SMTP | None = None

    def deliver(self, sender: str, recipients: Sequence[str], wire: bytes) -> None:
        """Hands a mail over."""
        with self._lock:
            self._connect().sendmail(sender, list(recipients), wire)

    def _connect(self) -> smtplib.SMTP:
        try:
            if self._connection and self._connection.noop()[0] == _SMTP_OK:
                return self._connection
        except smtplib.SMTPServerDisconnected:
            pass
        self._close()
        self._connection = smtplib.SMTP(*self._address, timeout=10)
        return self._connection

    def _close(self) -> None:
        if self._connection:
            self._connection.close()

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._close()


class Ses:
    """One account in one region. Thread-safe."""

    def __init__(self, upstream: Upstream, smtp: tuple[str, int], settings: Settings) -> None:
        self.upstream = upstream
        self.account = Account(settings, upstream.region, time.time)
        self._inbox = Inbox(*smtp)
        self._later = Later(workers=4)
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            self._tries: Counter[str] = Counter()
            self._stats: Counter[str] = Counter()
            self._times: deque[float] = deque(maxlen=_KEPT_MESSAGES)
            self._records: dict[str, dict[str, Any]] = {}
            self._mails: dict[str, events.Accepted] = {}

    def close(self) -> None:
        """Stops publishing and closes connections."""
        self._later.close()
        self._inbox.close()
        self.upstream.close()

    def reset(self) -> None:
        """Back to the start: settings, counters, messages, quota, suppression list."""
        self._later.clear()
        self.account.reset(Settings())
        self.upstream.forget()
        self._clear()

    def configure(self, patch: Mapping[str, Any]) -> Settings:
        """Changes some settings.

        Raises:
            pydantic.ValidationError: for an unknown field or a value out of range.
        """
        self.account.change(
            Settings.model_validate({**self.account.settings.model_dump(), **patch})
        )
        return self.account.settings

    def count(self, *names: str) -> None:
        """Adds one to each of these counters."""
        with self._lock:
            self._stats.update(names)

    def send_email(
        self, body: bytes, *, caller: str, source_ip: str
    ) -> tuple[str, Callable[[], None]]:
        """Takes a mail that IAM has allowed.

        Args:
            body: of the caller's request.
            caller: what events show as `ses:caller-identity`.
            source_ip: of the caller.

        Returns:
            The message id, and what to call once the answer is out: delivery and events.

        Raises:
            SesError: the refusal, or a fault.
            Dropped: accepted; close the connection without an answer.
        """
        try:
            return self._send_email(json.loads(body or b"{}"), caller, source_ip)
        except SesError as error:
            if error.code != "InternalFailure":  # counted where it was thrown
                throttled = error.code == "TooManyRequestsException"
                self.count("throttled" if throttled else "refused")
            raise

    def _send_email(
        self, request: dict[str, Any], caller: str, source_ip: str
    ) -> tuple[str, Callable[[], None]]:
        now = datetime.now(UTC)
        message_id = events.new_id(now)
        email = compose(request, message_id=message_id, region=self.upstream.region, now=now)
        identity_arn, verified = self.upstream.identity_arn(email.sender)
        identity_arn = request.get("FromEmailAddressIdentityArn") or identity_arn
        settings = self.account.settings
        dice = self._dice(settings, f"{email.recipients[0]}|{email.common_headers['subject']}")
        thrown = faults(settings, dice)
        time.sleep(thrown.slow_seconds)
        if thrown.throttle:
            raise SesError("TooManyRequestsException", "Maximum sending rate exceeded.")
        if thrown.error_before:
            self.count("errors_before")
            raise SesError("InternalFailure", "Internal failure.")
        config_set = self.upstream.configuration_set(email.config_set)
        self.account.admit(
            Send(
                sender=email.sender,
                recipients=email.recipients,
                config_set=email.config_set,
                sending_enabled=config_set.sending_enabled,
                sender_verified=verified,
                unverified_recipients=tuple(
                    r
                    for r in (email.recipients if settings.sandbox else ())
                    if not is_simulated(r) and not self.upstream.identity_arn(r)[1]
                ),
            )
        )
        accepted = events.Accepted(
            message_id=message_id,
            at=now,
            email=email,
            identity_arn=identity_arn,
            account=self.upstream.account,
            source_ip=source_ip,
            caller=caller,
        )
        return message_id, self._accept(accepted, config_set.suppressed_reasons, thrown, dice)

    def _dice(self, settings: Settings, mail: str) -> random.Random:
        with self._lock:
            self._tries[mail] += 1
            attempt = self._tries[mail]
        return random.Random(f"{settings.seed}|{mail}|{attempt}")  # noqa: S311 - must be repeatable

    def _accept(
        self,
        accepted: events.Accepted,
        reasons: list[str] | None,
        thrown: Faults,
        dice: random.Random,
    ) -> Callable[[], None]:
        settings = self.account.settings
        suppressed = self.account.suppression_of(accepted.email.recipients, reasons)
        delayed = dice.random() < settings.delay_delivery
        planned, inbox = events.outcome(accepted, suppressed, delayed=delayed)
        plan = schedule(settings, dice, [event.after for event in planned])
        with self._lock:
            self._stats["accepted"] += 1
            self._times.append(time.time())
            self._mails[accepted.message_id] = accepted
            self._records[accepted.message_id] = {
                "messageId": accepted.message_id,
                "time": events.iso(accepted.at),
                "destination": list(accepted.email.destination),
                "subject": accepted.email.common_headers["subject"],
                "tags": accepted.email.tags,
                "configurationSet": accepted.email.config_set,
                "caller": accepted.caller,
                "answered": not (thrown.error_after or thrown.drop_answer),
                "outcome": planned[-1].payload["eventType"],
                "published": [],
            }
            while len(self._records) > _KEPT_MESSAGES:
                oldest = next(iter(self._records))
                del self._records[oldest], self._mails[oldest]

        def afterwards() -> None:
            if inbox:
                self._later.at(0, partial(self._deliver, accepted, inbox))
            for event, delays in zip(planned, plan, strict=True):
                self.count(*["events_lost"] * (not delays))
                self.count(*["events_repeated"] * (len(delays) - 1))
                for delay in delays:
                    self._later.at(delay, partial(self._publish, accepted, event))

        if thrown.error_after or thrown.drop_answer:
            afterwards()
        if thrown.error_after:
            self.count("errors_after")
            raise SesError("InternalFailure", "Internal failure.")
        if thrown.drop_answer:
            self.count("answers_dropped")
            raise Dropped
        return afterwards

    def _deliver(self, accepted: events.Accepted, recipients: tuple[str, ...]) -> None:
        sender = f"{accepted.message_id}@amazonses.com"
        self._inbox.deliver(sender, recipients, accepted.email.wire)
        self.count("in_inbox")

    def _publish(self, accepted: events.Accepted, event: events.Event) -> None:
        config_set = self.upstream.configuration_set(accepted.email.config_set)
        self._suppress(accepted, event, config_set.suppressed_reasons)
        for topic in config_set.topics(event.kind):
            self.upstream.publish(topic, event.payload)
            self.count("events_published")
            with self._lock:
                if record := self._records.get(accepted.message_id):
                    record["published"].append(event.payload["eventType"])

    def _suppress(
        self, accepted: events.Accepted, event: events.Event, reasons: list[str] | None
    ) -> None:
        field, value = _SUPPRESSING.get(event.kind, ("", None))
        detail = event.payload[events.KINDS[event.kind][1]]
        heeded = self.account.suppressed_reasons if reasons is None else reasons
        if event.kind not in heeded or detail.get(field) != value:
            return
        if detail.get("bounceSubType") == "OnAccountSuppressionList":
            return
        for recipient in detail.get("bouncedRecipients") or detail["complainedRecipients"]:
            address = recipient["emailAddress"]
            if not is_simulated(address):  # SES never puts the simulator on the list
                attributes = {
                    "MessageId": accepted.message_id,
                    "FeedbackId": str(detail["feedbackId"]),
                }
                self.account.suppress(address, event.kind, attributes)

    def publish_by_hand(self, message_id: str, event_type: str, detail: dict[str, Any]) -> Any:
        """Publishes one more event of a mail at once, past all faults.

        Args:
            message_id: of an accepted mail.
            event_type: `Bounce`, `Rendering Failure`, ... or as in MatchingEventTypes.
            detail: fields that replace those of the type's object.

        Returns:
            The event.

        Raises:
            SesError: no such message or type.
        """
        with self._lock:
            accepted = self._mails.get(message_id)
        if accepted is None:
            raise SesError("NotFoundException", f"No message {message_id}.")
        event = events.make(accepted, event_type, datetime.now(UTC), detail)
        self._publish(accepted, event)
        with self._lock:
            if record := self._records.get(message_id):
                record["outcome"] = event.payload["eventType"]
        return event.payload

    def messages(self) -> list[dict[str, Any]]:
        """The accepted mails, oldest first."""
        with self._lock:
            return [
                {**record, "published": [*record["published"]]} for record in self._records.values()
            ]

    def stats(self) -> dict[str, Any]:
        """Counters since the start or the last reset, and the rate attained."""
        with self._lock:
            counted = self._stats.copy()
            times = list(self._times)
        span = times[-1] - times[0] if len(times) > 1 else 0.0
        seconds = Counter(int(moment - times[0]) for moment in times)
        return {
            **{name: counted[name] for name in _COUNTERS},
            "events_pending": self._later.pending,
            "seconds": round(span, 3),
            "rate_attained": round((len(times) - 1) / span, 3) if span else 0.0,
            "per_second": [seconds[second] for second in range(int(span) + 1)] if times else [],
        }
