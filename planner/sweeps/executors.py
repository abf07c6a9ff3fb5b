"""Where a sweep's variations are solved: processes of this machine, or a Dask cluster; both are ordinary executors."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from contextlib import contextmanager

from planner.units import PlannerError
from planner.words import say

_PATIENCE = "10s"  # for a scheduler to answer


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@contextmanager
def processes(jobs: int) -> Iterator[Executor]:
    """`jobs` processes of this machine. An exception in the block, Ctrl-C among them, ends them at once.

    Raises
    ------
    PlannerError
        If the system ends one of them, for want of memory as a rule.
    """
    others = set(multiprocessing.active_children())
    # Started afresh, not forked: the same on every system, and nothing of this process' threads comes along.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        with _interrupts_held():
            for _ in range(jobs):
                pool.submit(_started)
        yield pool
        pool.shutdown()
    except BrokenExecutor:
        raise PlannerError(say("executors.ended")) from None
    finally:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """The workers of the Dask cluster whose scheduler listens at `address`, such as `tcp://10.0.0.5:8786`.

    Raises
    ------
    PlannerError
        If Dask is not installed, nobody answers, or the cluster goes away.
    """
    try:
        from distributed import Client, KilledWorker
        from distributed.comm.registry import backends
    except ImportError:
        raise PlannerError(say("executors.no_dask")) from None
    scheme, has_scheme, rest = address.rpartition("://")
    if not re.fullmatch(r"[^\s/]+:\d{1,5}", rest) or (has_scheme and scheme not in backends):
        raise PlannerError(say("executors.address", address=address))
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PlannerError(say("executors.no_answer", address=address, reason=reason)) from None
    log = logging.getLogger("distributed.client")
    level = log.level
    log.setLevel(logging.CRITICAL)  # a cluster that goes away is told in a sentence below
    with client:
        executor = client.get_executor()
        try:
            yield executor
        except (KilledWorker, CancelledError, BrokenExecutor) as error:
            reason = type(error).__name__
            raise PlannerError(say("executors.went_away", address=address, reason=reason)) from None
        finally:
            executor.shutdown(wait=False)
            log.setLevel(level)


def _started() -> None:
    """The first thing that a process is given."""


def _begin() -> None:
    """Ctrl-C reaches every process of a terminal; the parent alone answers it. Where it goes, its processes go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, and processes that start in it are deaf to it until they are set up."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # The mask is what the new processes inherit; here another thread may still take the signal, so it is noted as well.
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt
