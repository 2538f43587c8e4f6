"""The engine thread: all heavy Python work of all filters runs on it, in the order in which it was asked for.

PyTorch keeps one OpenMP team per calling thread, so an engine called from VapourSynth's worker threads would start one
on each of them. The thread is a daemon; at the end of the interpreter the work in progress is given up at its next
check, and whoever waits for a result gets `Closed`.
"""

from __future__ import annotations

import atexit
import heapq
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from vswipe.filters._host import Host

# How long the end of the interpreter waits for the work in progress to reach a check. A thread that is still in the
# engine afterwards is stopped by the interpreter the hard way.
EXIT_SECONDS = 20.0


class Closed(Exception):
    """Python is shutting down: the work was given up."""


class Closeable(Protocol):
    """What is told before the interpreter ends."""

    def close(self) -> None: ...


class _Job[T]:
    """One call on its way: `work` is run on the engine thread, `done` says when."""

    def __init__(self, ticket: int, work: Callable[[], T]) -> None:
        self.ticket = ticket
        self.work: Callable[[], T] | None = work
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def __lt__(self, other: _Job[Any]) -> bool:
        return self.ticket < other.ticket

    def run(self) -> None:
        try:
            assert self.work is not None
            self.result = self.work()
        except BaseException as error:
            self.error = error
        # Whatever the work holds (frames) belongs to the waiting side from here on.
        self.work = None
        self.done.set()


class Worker:
    """A thread that runs calls one after the other, the lowest ticket first."""

    def __init__(self) -> None:
        self._jobs: list[_Job[Any]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._tickets = itertools.count()
        self._hosts: set[Host] = set()
        self._clients: weakref.WeakSet[Closeable] = weakref.WeakSet()

    def ticket(self) -> int:
        """A place in the queue: work is done in the order of tickets, whatever gets ready first."""
        return next(self._tickets)

    def attach(self, host: Host, client: Closeable) -> None:
        """Close `client`, and `host` to new visits, before the interpreter ends."""
        with self._changed:
            if not self._hosts:
                atexit.register(self.close)
            self._hosts.add(host)
            self._clients.add(client)

    def check(self) -> None:
        """Raise `Closed` when the interpreter is about to end."""
        if self._closing:
            raise Closed

    def run[T](self, ticket: int, work: Callable[[], T]) -> T:
        """The result of `work()`, called on the engine thread.

        Raises:
            Closed: the interpreter is about to end.
            Exception: what `work` raised.
        """
        job: _Job[T] = _Job(ticket, work)
        with self._changed:
            self.check()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="vswipe engine", daemon=True)
                self._thread.start()
            heapq.heappush(self._jobs, job)
            self._changed.notify()
        job.done.wait()
        if (error := job.error) is not None:
            # The traceback holds the job, and with it the frames: not in a circle, so that they go with the error.
            job.error = None
            try:
                raise error
            finally:
                del error
        return job.result  # type: ignore[return-value]

    def close(self) -> None:
        """Give up all work, let every waiting thread leave Python, and close the clients."""
        with self._changed:
            self._closing = True
            waiting, self._jobs = self._jobs, []
            self._changed.notify()
        for job in waiting:
            job.error = Closed()
            job.done.set()
        for host in self._hosts:
            host.close()
        deadline = time.monotonic() + EXIT_SECONDS
        if self._thread is not None:
            self._thread.join(EXIT_SECONDS)
        while any(host.inside() for host in self._hosts) and time.monotonic() < deadline:
            time.sleep(0.002)
        for client in list(self._clients):
            client.close()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                job = heapq.heappop(self._jobs)
            job.run()
            # Not to hold the last job's frames while waiting for the next one.
            del job


engine = Worker()
