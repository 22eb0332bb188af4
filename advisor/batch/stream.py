"""A stream of tasks, answered in order, in constant memory: so many rows at once and no more, however fast or slow either side is."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from advisor.batch.rows import Row
from advisor.batch.tasks import Task

if TYPE_CHECKING:
    from advisor.verify.verifier import CheckCounts

Done = Callable[[Row], None]


class Engine(Protocol):
    """What answers tasks at the same time: here in processes, or on a cluster."""

    window: int  # how many rows may be under way, those included that wait for an earlier one

    def submit(self, task: Task, done: Done) -> None:
        """Have the task answered. Returns at once; `done` is called once, from any thread."""

    def counts(self) -> CheckCounts | None:
        """Where the evidence came from so far; None where nothing is checked."""


def answer_all(tasks: Iterable[Task], engine: Engine, *, ordered: bool = True) -> Iterator[Row]:
    """A row for each task, in the order of the tasks or as they come. Where there is room for more than one row, the tasks are taken
    from a thread of their own, so that waiting for one never holds back a row that is ready.

    Raises whatever the iteration over the tasks raised, after the rows of all tasks before it.
    """
    if engine.window == 1:
        done: list[Row] = []
        for task in tasks:
            engine.submit(task, done.append)
            yield done.pop()
        return
    events: queue.SimpleQueue[Task | Row | _End] = queue.SimpleQueue()
    room = threading.Semaphore(engine.window)
    is_over = threading.Event()
    threading.Thread(target=_take, args=(tasks, events, room, is_over), name="advisor-tasks", daemon=True).start()
    waiting: deque[int] = deque()
    ready: dict[int, Row] = {}
    end: _End | None = None
    try:
        while end is None or waiting:
            event = events.get()
            if isinstance(event, _End):
                end = event
            elif isinstance(event, Task):
                waiting.append(event.line)
                engine.submit(event, events.put)
            else:
                ready[event.line] = event
                if not ordered:
                    waiting.remove(event.line)
                    waiting.appendleft(event.line)
                while waiting and waiting[0] in ready:
                    yield ready.pop(waiting.popleft())
                    room.release()
    finally:
        is_over.set()
        room.release()
    if end.error is not None:
        raise end.error


@dataclass(frozen=True)
class _End:
    """The tasks are at their end, or broke off."""

    error: BaseException | None = None


def _take(tasks: Iterable[Task], events: queue.SimpleQueue[Task | Row | _End], room: threading.Semaphore, is_over: threading.Event) -> None:
    """Put tasks among the events as long as there is room for their rows."""
    iterator = iter(tasks)
    try:
        while room.acquire() and not is_over.is_set():
            events.put(next(iterator))
    except StopIteration:
        events.put(_End())
    except BaseException as error:
        events.put(_End(error))
