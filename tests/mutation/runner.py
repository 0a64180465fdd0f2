"""Runs mutants: a pytest plugin that takes over once the tests are collected."""

import importlib
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import Mutant, mutants_of

PACKAGE = "rating"
SLOW_SECONDS = 3.0
"""Tests that take longer are left out."""
PATIENCE_SECONDS = 10.0
PATIENCE = 2
"""A mutant that takes so many times longer than its tests do, and some seconds, hangs: that is noticed, too."""
KILLED, SURVIVED = 1, 0
PROGRESS = 50


@dataclass(frozen=True)
class Options:
    """What to run; `modules`: names of files, all if empty; `sample` 0: all mutants."""

    modules: tuple[str, ...]
    sample: int
    seed: int
    seconds: int
    jobs: int


@dataclass(frozen=True)
class Covered:
    """What the tests do without a mutant.

    Attributes:
        tests: positions of the tests that come by a function, the quickest first, by (file, qualified name).
        seconds: by position.
        failed: node ids of tests that fail; they take no part.
    """

    tests: Mapping[tuple[str, str], Sequence[int]]
    seconds: Mapping[int, float]
    failed: Sequence[str]


@dataclass
class Runner:
    """The plugin; `score` is set at the end: noticed mutants ÷ all that were tried."""

    options: Options
    score: float | None = None
    _running: dict[int, tuple[str, Mutant, float]] = field(default_factory=dict)
    _verdicts: list[tuple[str, Mutant, str]] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run mutants in place of the tests."""
        files = sorted(p for p in Path(PACKAGE).glob("*.py") if not self.options.modules or _asked(p, self.options))
        covered: Covered = _in_fork(lambda: _covered(session.items))
        for name in covered.failed:
            _say(f"left out, it fails without a mutant: {name}")
        todo = [(str(path), mutant) for path in files for mutant in mutants_of(path.read_text("utf-8"), str(path))]
        if self.options.sample:
            todo = random.Random(self.options.seed).sample(todo, min(self.options.sample, len(todo)))
        _say(f"{len(todo)} mutants, {len(covered.seconds)} tests")
        end = time.monotonic() + self.options.seconds
        for path, mutant in todo:
            if time.monotonic() > end:
                _say("time is up")
                break
            tests = covered.tests.get((path, mutant.function), ())
            if not tests:
                self._verdict(path, mutant, "without test")
                continue
            while len(self._running) >= self.options.jobs:
                self._wait()
            limit = time.monotonic() + PATIENCE_SECONDS + PATIENCE * sum(covered.seconds[i] for i in tests)
            self._running[_fork(path, mutant, [session.items[i] for i in tests])] = (path, mutant, limit)
        while self._running:
            self._wait()
        self._report()
        return True

    def _wait(self) -> None:
        """Wait until a fork has ended; those that hang are ended."""
        for pid, (path, mutant, limit) in list(self._running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            late = not done and time.monotonic() > limit
            if late:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if done or late:
                del self._running[pid]
                noticed = "noticed" if os.waitstatus_to_exitcode(status) != SURVIVED else "survived"
                self._verdict(path, mutant, "hung" if late else noticed)
                return
        time.sleep(0.01)

    def _verdict(self, path: str, mutant: Mutant, verdict: str) -> None:
        self._verdicts.append((path, mutant, verdict))
        if len(self._verdicts) % PROGRESS == 0:
            _say(f"… {len(self._verdicts)} tried")
        if verdict != "noticed":
            _say(f"{verdict}: {path}:{mutant.line} {mutant.function}: {mutant.before}  →  {mutant.after}")

    def _report(self) -> None:
        by_file: dict[str, list[bool]] = {}
        for path, _, verdict in self._verdicts:
            by_file.setdefault(path, []).append(verdict in ("noticed", "hung"))
        for path, noticed in sorted(by_file.items()):
            _say(f"{sum(noticed):5} of {len(noticed):5} = {100 * sum(noticed) / len(noticed):5.1f} %  {path}")
        noticed = [found for each in by_file.values() for found in each]
        self.score = sum(noticed) / len(noticed) if noticed else 1.0
        _say(f"mutation score {100 * self.score:.1f} %")


def _asked(path: Path, options: Options) -> bool:
    return path.stem in {Path(name).stem for name in options.modules}


def _say(text: str) -> None:
    sys.__stdout__.write(text + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _in_fork(action: Callable[[], Any]) -> Any:
    """Return what an action returns that runs in a fork: it leaves no traces in the tests."""
    inlet, outlet = os.pipe()
    if os.fork() == 0:
        with os.fdopen(outlet, "wb") as file:
            pickle.dump(action(), file)
        os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as file:
        found = pickle.load(file)
    os.wait()
    return found


def _covered(items: Sequence[pytest.Item]) -> Covered:
    """Run every test once and note which functions of the package it calls."""
    root = str(Path(PACKAGE).resolve())
    tests: dict[tuple[str, str], list[int]] = {}
    seconds: dict[int, float] = {}
    failed: list[str] = []
    seen: set[CodeType] = set()

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    for number, item in enumerate(items):
        seen.clear()
        began = time.monotonic()
        sys.setprofile(note)
        ok = _passes(item)
        sys.setprofile(None)
        took = time.monotonic() - began
        if not ok:
            failed.append(item.nodeid)
        elif took <= SLOW_SECONDS:
            seconds[number] = took
            for code in seen:
                if code.co_filename.startswith(root):
                    path = str(Path(PACKAGE) / Path(code.co_filename).name)
                    tests.setdefault((path, code.co_qualname.partition(".<locals>")[0]), []).append(number)
    return Covered({k: sorted(v, key=seconds.__getitem__) for k, v in tests.items()}, seconds, failed)


def _passes(item: pytest.Item) -> bool:
    return not any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))


def _fork(path: str, mutant: Mutant, items: Sequence[pytest.Item]) -> int:
    """Start a fork that runs tests with a mutant in place; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = KILLED
    try:
        _exchange(path, mutant)
        code = SURVIVED if all(_passes(item) for item in items) else KILLED
    finally:
        os._exit(code)


def _exchange(path: str, mutant: Mutant) -> None:
    """Give a function the code of a mutant; whoever holds the function has the mutant then."""
    found: Any = importlib.import_module(f"{PACKAGE}.{Path(path).stem}")
    for name in mutant.function.split("."):
        found = vars(found)[name]
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    clear = getattr(found, "cache_clear", lambda: None)
    clear()
    found = getattr(found, "__wrapped__", found)
    if not isinstance(found, FunctionType):
        raise TypeError(mutant.function)
    found.__code__ = mutant.code
