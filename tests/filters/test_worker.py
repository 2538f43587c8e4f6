"""The engine thread: order, results, errors, and its end."""

from __future__ import annotations

import threading

import pytest

from vswipe.filters._worker import Closed, Worker


def test_work_runs_on_one_thread_of_its_own() -> None:
    worker = Worker()
    names = {worker.run(worker.ticket(), lambda: threading.current_thread().name) for _ in range(3)}
    assert names == {"vswipe engine"}
    worker.close()


def test_the_lowest_ticket_goes_first() -> None:
    worker = Worker()
    tickets = [worker.ticket() for _ in range(5)]
    started, go = threading.Event(), threading.Event()
    order: list[int] = []

    def block() -> None:
        started.set()
        go.wait(10)

    threads = [threading.Thread(target=worker.run, args=(tickets[0], block))]
    threads[0].start()
    assert started.wait(10)
    for ticket in (tickets[3], tickets[1], tickets[4], tickets[2]):
        threads.append(threading.Thread(target=worker.run, args=(ticket, lambda ticket=ticket: order.append(ticket))))
        threads[-1].start()
    while len(worker._jobs) < 4:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
    assert order == tickets[1:]
    worker.close()


def test_an_error_reaches_the_one_who_asked() -> None:
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        worker.run(worker.ticket(), lambda: 1 // 0)
    assert worker.run(worker.ticket(), lambda: 5) == 5
    worker.close()


def test_close_gives_up_what_waits_and_what_checks() -> None:
    worker = Worker()
    started = threading.Event()
    errors: list[BaseException] = []

    def long() -> None:
        started.set()
        while True:
            worker.check()

    def ask(work: object) -> None:
        try:
            worker.run(worker.ticket(), work)  # type: ignore[arg-type]
        except Closed as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(work,)) for work in (long, lambda: None)]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    while not worker._jobs:
        pass
    worker.close()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 2
    with pytest.raises(Closed):
        worker.run(worker.ticket(), lambda: None)
