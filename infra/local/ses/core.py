"""The laptop's SES: one call of SendEmail from the signature to the last event."""

import asyncio
import itertools
import json
import random
import smtplib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from infra.local.ses import events
from infra.local.ses.account import Json, Send, SesAccount, SesError, is_simulated
from infra.local.ses.mime import Email, compose
from infra.local.ses.settings import Faults, SesSettings, faults, schedule
from infra.local.ses.upstream import Upstream

_KEPT_MAILS = 20_000
_SMTP_OK = 250
_SMTP_TIMEOUT = 60
"""Seconds; on a laptop that is busy the inbox answers late, and a mail given up is a mail lost."""
_COUNTERS = (
    *("calls", "accepted", "throttled", "denied", "refused", "account_throttled"),
    *("errors_before", "errors_after", "answers_dropped"),
    *("events_published", "events_repeated", "events_lost", "in_inbox"),
)


class Dropped(Exception):
    """The call was accepted, and its answer is to be lost."""


class Later:
    """Runs work at its time, a few at once."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ses-events")
        self._numbers = itertools.count()
        self._pending: set[int] = set()
        self._clock = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._clock.run_forever, daemon=True)
        self._thread.start()

    def at(self, delay: float, work: Callable[[], None]) -> None:
        """Run `work` in `delay` seconds."""
        number = next(self._numbers)
        self._pending.add(number)
        run = partial(self._pool.submit, self._run, number, work)
        self._clock.call_soon_threadsafe(self._clock.call_later, delay, run)

    @property
    def pending(self) -> int:
        """How many have not run yet."""
        return len(self._pending)

    def clear(self) -> None:
        """Drop what does not run yet."""
        self._pending.clear()

    def close(self) -> None:
        """Stop; what is not due yet is lost."""
        self._clock.call_soon_threadsafe(self._clock.stop)
        self._thread.join()
        self._pool.shutdown()
        self._clock.close()

    def _run(self, number: int, work: Callable[[], None]) -> None:
        if number not in self._pending:
            return
        try:
            work()
        except Exception as error:
            # One lost event must not end the others, and its text may hold an address.
            print(f"ses: {type(error).__name__} while publishing or delivering", file=sys.stderr)
        finally:
            self._pending.discard(number)


class Inbox:
    """The inbox's SMTP server, over one connection: a new one takes it a tenth of a second."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._lock = threading.Lock()
        self._connection: smtplib.SMTP | None = None

    def deliver(self, sender: str, recipients: Sequence[str], wire: bytes) -> None:
        """Hand a mail over."""
        with self._lock:
            if self._connection is None or not _is_alive(self._connection):
                # A new object, not connect() again: that one greets the server no second time.
                self._connection = smtplib.SMTP(*self._address, timeout=_SMTP_TIMEOUT)
            self._connection.sendmail(sender, list(recipients), wire)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            if self._connection:
                self._connection.close()


def _is_alive(connection: smtplib.SMTP) -> bool:
    try:
        return connection.noop()[0] == _SMTP_OK
    except smtplib.SMTPServerDisconnected:
        return False


@dataclass
class SentMail:
    """A mail that SES took, and what became of it."""

    accepted: events.Accepted
    answered: bool
    outcome: str
    """The type of its last event."""
    published: list[str] = field(default_factory=list)
    """The types of the events that were published so far."""

    def summary(self) -> Json:
        """Describe it as `/_laptop/messages` does."""
        email = self.accepted.email
        return {
            "messageId": self.accepted.message_id,
            "time": events.iso(self.accepted.at),
            "destination": list(email.destination),
            "subject": email.common_headers["subject"],
            "tags": email.tags,
            "configurationSet": email.config_set,
            "caller": self.accepted.caller,
            "answered": self.answered,
            "outcome": self.outcome,
            "published": [*self.published],
        }


class Ses:
    """One account in one region. Thread-safe; `clock` is in epoch seconds."""

    def __init__(
        self,
        upstream: Upstream,
        smtp: tuple[str, int],
        settings: SesSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.upstream = upstream
        self.account = SesAccount(settings, upstream.region, clock)
        self._clock = clock
        self._inbox = Inbox(*smtp)
        self._later = Later(workers=4)
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            self._tries: Counter[str] = Counter()
            self._stats: Counter[str] = Counter()
            self._mails: dict[str, SentMail] = {}

    def close(self) -> None:
        """Stop publishing and close connections."""
        self._later.close()
        self._inbox.close()
        self.upstream.close()

    def reset(self) -> None:
        """Go back to the start: settings, counters, messages, quota, suppression list."""
        self._later.clear()
        self.account.reset(SesSettings())
        self.upstream.forget()
        self._clear()

    def configure(self, patch: Mapping[str, object]) -> SesSettings:
        """Change some settings.

        Raises:
            pydantic.ValidationError: for an unknown field or a value out of range.
        """
        changed = self.account.settings.model_dump() | dict(patch)
        self.account.change(SesSettings.model_validate(changed))
        return self.account.settings

    def count(self, *names: str) -> None:
        """Add one to each of these counters."""
        with self._lock:
            self._stats.update(names)

    def get_account(self) -> Json:
        """Answer GetAccount.

        Raises:
            SesError: the fault.
        """
        settings = self.account.settings
        if self._dice(settings, "GetAccount").random() < settings.throttle_account:
            self.count("account_throttled")
            raise SesError("TooManyRequestsException", "Rate exceeded.")
        return self.account.describe()

    def send_email(
        self, body: bytes, *, caller: str, source_ip: str
    ) -> tuple[str, Callable[[], None]]:
        """Take a mail that IAM has allowed.

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
        now = datetime.fromtimestamp(self._clock(), UTC)
        try:
            return self._send_email(json.loads(body or b"{}"), caller, source_ip, now)
        except SesError as error:
            if error.code != "InternalFailure":  # counted where it was thrown
                throttled = error.code == "TooManyRequestsException"
                self.count("throttled" if throttled else "refused")
            raise

    def _send_email(
        self, request: Json, caller: str, source_ip: str, now: datetime
    ) -> tuple[str, Callable[[], None]]:
        message_id = events.new_id(now)
        email = compose(request, message_id=message_id, region=self.upstream.region, now=now)
        settings = self.account.settings
        dice = self._dice(settings, f"{email.recipients[0]}|{email.common_headers['subject']}")
        thrown = faults(settings, dice)
        time.sleep(thrown.slow_seconds)
        if thrown.throttle:
            raise SesError("TooManyRequestsException", "Maximum sending rate exceeded.")
        if thrown.error_before:
            self.count("errors_before")
            raise SesError("InternalFailure", "Internal failure.")
        identity_arn, verified = self.upstream.identity_arn(email.sender)
        reasons = self._admit(email, sender_verified=verified)
        accepted = events.Accepted(
            message_id=message_id,
            at=now,
            email=email,
            identity_arn=request.get("FromEmailAddressIdentityArn") or identity_arn,
            account=self.upstream.account,
            source_ip=source_ip,
            caller=caller,
        )
        afterwards = self._accept(accepted, reasons, thrown, dice)
        if thrown.error_after or thrown.drop_answer:
            afterwards()
        if thrown.error_after:
            self.count("errors_after")
            raise SesError("InternalFailure", "Internal failure.")
        if thrown.drop_answer:
            self.count("answers_dropped")
            raise Dropped
        return message_id, afterwards

    def _dice(self, settings: SesSettings, mail: str) -> random.Random:
        with self._lock:
            self._tries[mail] += 1
            attempt = self._tries[mail]
        return random.Random(f"{settings.seed}|{mail}|{attempt}")  # noqa: S311 - must be repeatable

    def _admit(self, email: Email, *, sender_verified: bool) -> list[str] | None:
        """Let the account judge a mail; return for which reasons its configuration set suppresses."""
        config_set = self.upstream.configuration_set(email.config_set)
        self.account.admit(
            Send(
                sender=email.sender,
                recipients=email.recipients,
                config_set=email.config_set,
                sending_enabled=config_set.sending_enabled,
                sender_verified=sender_verified,
                unverified_recipients=tuple(
                    recipient
                    for recipient in (email.recipients if self.account.settings.sandbox else ())
                    if not is_simulated(recipient) and not self.upstream.identity_arn(recipient)[1]
                ),
            )
        )
        return config_set.suppressed_reasons

    def _accept(
        self,
        accepted: events.Accepted,
        reasons: list[str] | None,
        thrown: Faults,
        dice: random.Random,
    ) -> Callable[[], None]:
        """Keep a mail; return what delivers it and publishes its events."""
        settings = self.account.settings
        suppressed = self.account.suppression_of(accepted.email.recipients, reasons)
        delayed = dice.random() < settings.delay_delivery
        full = dice.random() < settings.mailbox_full
        planned, inbox = events.outcome(accepted, suppressed, delayed=delayed, full=full)
        delays = schedule(settings, dice, [event.after for event in planned])
        with self._lock:
            self._stats["accepted"] += 1
            self._mails[accepted.message_id] = SentMail(
                accepted,
                answered=not (thrown.error_after or thrown.drop_answer),
                outcome=planned[-1].payload["eventType"],
            )
            while len(self._mails) > _KEPT_MAILS:
                del self._mails[next(iter(self._mails))]
        follow_up = partial(
            self._follow_up, accepted, inbox, list(zip(planned, delays, strict=True))
        )
        return partial(self._later.at, 0, follow_up)

    def _follow_up(
        self,
        accepted: events.Accepted,
        inbox: tuple[str, ...],
        planned: list[tuple[events.Event, list[float]]],
    ) -> None:
        """Deliver a mail, then publish its events: a Delivery says that the inbox has it."""
        try:
            if inbox:
                sender = f"{accepted.message_id}@amazonses.com"
                self._inbox.deliver(sender, inbox, accepted.email.wire)
                self.count("in_inbox")
        finally:
            for event, delays in planned:
                self.count(*["events_lost"] * (not delays))
                self.count(*["events_repeated"] * (len(delays) - 1))
                for delay in delays:
                    self._later.at(delay, partial(self._publish, accepted, event))

    def _publish(self, accepted: events.Accepted, event: events.Event) -> None:
        config_set = self.upstream.configuration_set(accepted.email.config_set)
        self._suppress(accepted, event, config_set.suppressed_reasons)
        for topic in config_set.topics(event.kind):
            self.upstream.publish(topic, event.payload, configuration_set=accepted.email.config_set)
            self.count("events_published")
            with self._lock:
                if mail := self._mails.get(accepted.message_id):
                    mail.published.append(event.payload["eventType"])

    def _suppress(
        self, accepted: events.Accepted, event: events.Event, reasons: list[str] | None
    ) -> None:
        heeded = self.account.suppressed_reasons if reasons is None else reasons
        if event.kind not in heeded:
            return
        for address in event.to_suppress:
            if not is_simulated(address):  # SES never puts the simulator on the list
                attributes = {
                    "MessageId": accepted.message_id,
                    "FeedbackId": str(event.detail["feedbackId"]),
                }
                self.account.suppress(address, event.kind, attributes)

    def publish_by_hand(self, message_id: str, event_type: str, detail: Json) -> Json:
        """Publish one more event of a mail at once, past all faults.

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
            mail = self._mails.get(message_id)
        if mail is None:
            raise SesError("NotFoundException", f"No message {message_id}.")
        now = datetime.fromtimestamp(self._clock(), UTC)
        event = events.make(mail.accepted, event_type, now, detail)
        self._publish(mail.accepted, event)
        mail.outcome = event.payload["eventType"]
        return event.payload

    def messages(self) -> list[Json]:
        """Describe the accepted mails, oldest first."""
        with self._lock:
            return [mail.summary() for mail in self._mails.values()]

    def stats(self) -> dict[str, int]:
        """Return the counters since the start or the last reset."""
        with self._lock:
            counters = {name: self._stats[name] for name in _COUNTERS}
        return counters | {"events_pending": self._later.pending}
