"""A queue whose documents are read together, by one thread beside the event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

# The weight of the newest batch in the mean speed.
NEWEST = 0.2
# Bounds of the seconds after which a client is told to come back.
SOONEST, LATEST = 1, 60


class HasTokens(Protocol):
    """Anything with a size, and with the work that it takes: the tokens of all its passes."""

    @property
    def tokens(self) -> int: ...

    @property
    def work(self) -> int: ...


Item = TypeVar("Item", bound=HasTokens)
Answer = TypeVar("Answer")


class QueueFullError(Exception):
    """Too much waits already.

    Args:
        retry_after: seconds after which the queue should have room.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after} seconds")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Waiting(Generic[Item, Answer]):
    """An item in the queue, since when it waits, and its answer to come."""

    item: Item
    since: float
    answer: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """Reads items that arrive together in one call.

    While a batch is read, the next one gathers. An item that finds the reader idle waits a moment for others.

    Args:
        read: reads items in a thread, and returns their answers in order. Where it raises, each item is read by itself:
            only those that are to blame fail.
        batch_tokens: items are gathered until their work is this many tokens. A larger item is a batch of its own.
        queue_tokens: nothing more is taken while work of this many tokens waits.
        wait_seconds: how long an item waits for others.
        observe: called for each batch with the number of items and tokens, and the seconds that it took.
    """

    def __init__(
        self,
        read: Callable[[Sequence[Item]], list[Answer]],
        batch_tokens: int,
        queue_tokens: int,
        wait_seconds: float,
        observe: Callable[[int, int, float], None] = lambda items, tokens, seconds: None,
    ) -> None:
        self.read, self.observe = read, observe
        self.batch_tokens, self.queue_tokens, self.wait_seconds = batch_tokens, queue_tokens, wait_seconds
        self.waiting: deque[Waiting[Item, Answer]] = deque()
        self.waiting_tokens = 0
        self.closed = False
        self.seconds_per_token = 0.0
        self._changed = asyncio.Condition()

    def check_room(self) -> None:
        """Raise [`QueueFullError`] while too much waits."""
        if self.waiting_tokens >= self.queue_tokens:
            seconds = math.ceil(self.waiting_tokens * self.seconds_per_token)
            raise QueueFullError(min(max(seconds, SOONEST), LATEST))

    async def answers(self, items: Sequence[Item]) -> list[Answer]:
        """The answers to items, which are read in the order in which they come.

        A cancelled call takes its items out of the queue.

        Raises:
            QueueFullError: while too much waits.
            Exception: what `read` raised for one of the items.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        waiting: list[Waiting[Item, Answer]] = [Waiting(item, loop.time(), loop.create_future()) for item in items]
        self.waiting.extend(waiting)
        self.waiting_tokens += sum(item.work for item in items)
        async with self._changed:
            self._changed.notify_all()
        try:
            return list(await asyncio.gather(*(one.answer for one in waiting)))
        except Exception:
            # The request has failed: its other items need not be read.
            for one in waiting:
                one.answer.cancel()
            raise

    async def run(self) -> None:
        """Read what is in the queue, until the queue is closed and empty."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "plmarker-reader") as thread:
            while batch := await self._next_batch():
                start = time.perf_counter()
                answers = await loop.run_in_executor(thread, self._read_each, [one.item for one in batch])
                seconds = time.perf_counter() - start
                for one, answer in zip(batch, answers, strict=True):
                    if one.answer.done():  # nobody waits for it any more
                        continue
                    if isinstance(answer, Exception):
                        one.answer.set_exception(answer)
                    else:
                        one.answer.set_result(answer)
                work = sum(one.item.work for one in batch)
                newest = NEWEST if self.seconds_per_token else 1.0
                self.seconds_per_token += newest * (seconds / max(work, 1) - self.seconds_per_token)
                self.observe(len(batch), sum(one.item.tokens for one in batch), seconds)

    async def close(self) -> None:
        """Let `run` return once the queue is empty."""
        self.closed = True
        async with self._changed:
            self._changed.notify_all()

    async def _next_batch(self) -> list[Waiting[Item, Answer]]:
        """The first items of the queue; nothing where it is closed and empty."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self.waiting or self.closed)
                if not self.waiting:
                    return []
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self.waiting[0].since + self.wait_seconds):
                        await self._changed.wait_for(lambda: self.waiting_tokens >= self.batch_tokens or self.closed)
            batch: list[Waiting[Item, Answer]] = []
            work = 0
            while self.waiting and (not batch or work + self.waiting[0].item.work <= self.batch_tokens):
                one = self.waiting.popleft()
                self.waiting_tokens -= one.item.work
                if not one.answer.done():
                    batch.append(one)
                    work += one.item.work
            if batch:
                return batch

    def _read_each(self, items: Sequence[Item]) -> list[Answer | Exception]:
        """The answers, or what was raised."""
        try:
            return [*self.read(items)]
        except Exception as error:
            if len(items) == 1:
                return [error]
        return [answer for item in items for answer in self._read_each([item])]
