"""The order queue, its dead letters, Lambda's event source on it, and the dispatchers it starts."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from steps.aws.queue import OrderQueue
from steps.contract import limits
from steps.dispatch import Dispatcher
from tests.simulation.doors import FaultyPace, Workflow
from tests.simulation.life import Copy, DeadLetter
from tests.simulation.processes import Died, Process, running
from tests.support.in_memory_aws import SES
from tests.support.order_queue import sqs_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from steps.contract.sqs_event import SqsRecord
    from tests.simulation.life import Life
    from tests.simulation.world import World


class Queue:
    """Messages by their ids; each is received when it is visible, in batches."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.copies: dict[str, Copy] = {}
        self._ready: deque[Copy] = deque()
        self._polled = False
        self._idle: list[Dispatcher] = []

    # --- what the shop, the dispatcher and operators do -------------------------------------------

    def publish(self, life: Life, body: str, receives: int = 0) -> None:
        """Put a message on the queue; `receives`: how often it was received in vain already."""
        world, now = self.world, self.world.time.now
        copy = Copy(life, body, now, now, receives, handle=f"{len(self.copies) + 1:08}-message")
        self.copies[copy.handle] = copy
        life.copies.append(copy)
        life.published += 1
        world.log(
            life,
            f"published as {copy.handle[:8]}" + (f", receive {receives + 1}" if receives else ""),
        )
        self._show(copy, now)

    def postpone(self, handle: str, seconds: int) -> None:
        """Let a message come back in `seconds`."""
        copy = self.copies[handle]
        self.world.log(copy.life, f"{handle[:8]} comes back in {seconds} s")
        self._show(copy, self.world.time.now + seconds)

    def dead_letter(self, life: Life, body: str, reason: str) -> None:
        """Put a message into the dead letters; without a reason, SQS does it."""
        world = self.world
        letter = DeadLetter(body, reason, disturbed=any(c.disturbed for c in life.copies))
        life.dead_letters.append(letter)
        world.log(life, f"dead letter, reason {reason or 'none: moved by SQS'}")
        kind = life.dice.strike("operator") if len(life.dead_letters) < 4 else None
        if kind:
            most = (10, 3_600) if kind == "redrives-soon" else (86_400, 5 * 86_400)
            world.time.at(
                world.time.now + life.dice.long(*most), lambda: self._redrive(life, letter)
            )

    def _redrive(self, life: Life, letter: DeadLetter) -> None:
        letter.redriven = True
        self.world.log(life, "an operator redrives the dead letter")
        self.publish(life, letter.body)

    # --- the event source -------------------------------------------------------------------------

    def _show(self, copy: Copy, moment: float) -> None:
        copy.visible_at = moment
        self.world.time.at(moment, lambda: self._shown(copy, moment))

    def _shown(self, copy: Copy, moment: float) -> None:
        if copy.gone or copy.visible_at != moment:
            return
        self._ready.append(copy)
        if not self._polled:
            self._polled = True
            self.world.time.at(self.world.time.now + 0.1, self._poll)

    def _poll(self) -> None:
        self._polled = False
        batch = [copy for copy in self._take() if self._receive(copy)]
        if self._ready:
            self._polled = True
            self.world.time.at(self.world.time.now + 0.01, self._poll)
        if batch:
            lead = batch[0].life
            self.world.start(
                lambda: self._dispatch(batch), lead, "dispatcher", limits.DISPATCHER_TIMEOUT
            )

    def _take(self) -> Iterable[Copy]:
        taken: dict[str, Copy] = {}
        while self._ready and len(taken) < limits.DISPATCHER_BATCH:
            copy = self._ready.popleft()
            if not copy.gone and copy.visible_at <= self.world.time.now:
                taken[copy.handle] = copy
        return taken.values()

    def _receive(self, copy: Copy) -> bool:
        now, life = self.world.time.now, copy.life
        if now - copy.sent_at > limits.QUEUE_RETENTION:
            copy.gone = life.vanished = True
            return False
        if copy.receives >= limits.QUEUE_REDRIVE_RECEIVES:
            copy.gone = True
            self.dead_letter(life, copy.body, "")
            return False
        copy.receives += 1
        copy.disturbed = False
        life.received += 1
        twice = life.dice.strike("receive")
        self._show(copy, now + (life.dice.long(1, 60) if twice else limits.QUEUE_VISIBILITY))
        return True

    def _dispatch(self, batch: list[Copy]) -> None:
        """Run a dispatcher on a batch, then take what may leave the queue off it."""
        world, process = self.world, running()
        for copy in batch:
            copy.life.mates.update(other.life.number for other in batch)
        dispatcher = self._idle.pop() if self._idle else self._new_dispatcher()
        records = [
            sqs_record(
                copy.body,
                message_id=copy.handle,
                receives=copy.receives,
                sent_at=copy.sent_at,
            )
            for copy in batch
        ]
        try:
            staying = set(dispatcher.run_batch(records))
        except Died:
            staying = None
        except Exception as error:
            world.crashes.append(f"the dispatcher raises {type(error).__name__}")
            for copy in batch:
                copy.life.crashes.append(f"the dispatcher raises {type(error).__name__}")
            staying = None
        invocation = process.invocation
        if invocation.killed or invocation.put_off or world.troubled():
            for copy in batch:
                copy.disturbed = True
                copy.life.world_faults.add("its batch")
        if staying is None:
            for copy in batch:
                copy.life.batch_deaths += 1
            return
        world.flush(invocation, None)
        self._idle.append(dispatcher)
        for copy in batch:
            if copy.handle not in staying:
                self._delete(copy)

    def _delete(self, copy: Copy) -> None:
        if copy.life.dice.strike("delete"):
            self.world.log(copy.life, f"{copy.handle[:8]} is done, and not deleted")
            return
        self.world.log(copy.life, f"{copy.handle[:8]} leaves the queue")
        copy.gone = True

    def _new_dispatcher(self) -> Dispatcher:
        world = self.world
        skew = world.skew if len(self._idle) % 2 == 0 else 0.0

        def clock() -> float:
            return world.time.now + skew

        return Dispatcher(
            workflow=Workflow(
                clock=world.clock, sleep=world.travel, table=world.table, ses=SES, world=world
            ),
            queue=OrderQueue(url="orders", dead_letters_url="dead letters"),
            table=world.table,
            pace=FaultyPace(clock=clock, sleep=world.travel, item=world.pace_item, world=world),
            clock=clock,
            sleep=world.travel,
            each=self._each,  # type: ignore[arg-type]
        )

    def _each(self, run: Callable[..., object], *arguments: Iterable[object]) -> list[object]:
        """Run a function for each set of arguments in a process of its own, as the threads do."""
        world, parent = self.world, running()
        calls: list[tuple[Any, ...]] = list(zip(*arguments, strict=True))
        answers: list[object] = [None] * len(calls)
        failures: list[BaseException] = []
        left = len(calls)

        def one(index: int, call: tuple[Any, ...]) -> None:
            nonlocal left
            try:
                answers[index] = run(*call)
            except (Exception, Died) as error:
                failures.append(error)
            left -= 1
            if not left:
                world.time.at(world.time.now, parent.switch)

        for index, call in enumerate(calls):
            life = self._life(call[0])
            world.time.start(Process(partial(one, index, call), life, parent.invocation))
        world.time.pause()
        failures.sort(key=lambda error: isinstance(error, Exception))
        if failures:
            raise failures[0]
        return answers

    def _life(self, record: SqsRecord) -> Life:
        return self.copies[record["messageId"]].life
