"""Simulations asked for through the API: one at a time in a thread of its own, results kept in memory for a while."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal

import structlog

from api.services import Services
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import LineDifference, Simulation
from pipeline.simulation.run import Simulator
from schemas.errors import Misconfigured, Poison, Transient

WAITING_MAX: Final = 8
"""Simulations that wait or run; one more is refused."""
KEPT_MAX: Final = 20
"""Simulations kept, those that wait or run included; the oldest that is over makes room."""
ID_BYTES: Final = 8

State = Literal["waiting", "running", "done", "failed"]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A simulation on its way.

    Attributes:
        id: unguessable, hexadecimal.
        asked: what to simulate.
        created_at: microseconds since 1970.
        state: how far it is.
        progress: percent of the present step.
        step: what is being done.
        problems: why it failed.
        result: when done.
    """

    id: str
    asked: Asked
    created_at: int
    state: State = "waiting"
    progress: int = 0
    step: str = ""
    problems: tuple[str, ...] = ()
    result: Simulation | None = None


class FullError(Exception):
    """Too many simulations wait."""


class _Stopped(Exception):
    """The application shuts down."""


class SimulationJobs:
    """Runs simulations and keeps what they gave. Safe to use from several threads."""

    def __init__(self, use: Services, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Keep the stores; the thread starts with the first simulation."""
        self._use, self._random = use, random
        self._simulator = Simulator(use.warehouse, use.books, use.directory, use.registry, use.clock)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lines: tuple[str, str, Sequence[LineDifference]] | None = None
        self._pool = ThreadPoolExecutor(1, "simulation")
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def submit(self, asked: Asked) -> Job:
        """Take a simulation; raises FullError when WAITING_MAX wait or run."""
        job = Job(self._random(ID_BYTES).hex(), asked, self._use.clock())
        with self._lock:
            over = [one.id for one in self._jobs.values() if one.state in ("done", "failed")]
            if len(self._jobs) - len(over) >= WAITING_MAX:
                raise FullError
            for old in over[: max(0, len(self._jobs) + 1 - KEPT_MAX)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        self._pool.submit(self._run, job)
        return job

    def find(self, simulation: str) -> Job | None:
        """Return a simulation as it stands, or None."""
        with self._lock:
            return self._jobs.get(simulation)

    def all(self) -> Sequence[Job]:
        """Return every simulation kept, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def lines(self, job: Job, account: str) -> Sequence[LineDifference]:
        """Return the lines of one account; those asked for last are kept, since pages follow on each other.

        Raises:
            Poison: the account cannot be rated, or has too many lines.
        """
        kept = self._lines
        if kept is None or kept[:2] != (job.id, account):
            cutoff = job.result.cutoff if job.result is not None else None
            kept = self._lines = (job.id, account, self._simulator.lines(job.asked, account, cutoff))
        return kept[2]

    def stop(self) -> None:
        """Give up what runs and what waits."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job) -> None:
        def update(done: int, total: int | None, step: str | None = None) -> None:
            if self._stop.is_set():
                raise _Stopped
            self._keep(replace(job, state="running", progress=100 * done // total if total else 0, step=step or ""))

        try:
            update(0, None)
            self._keep(replace(job, state="done", progress=100, result=self._simulator.simulate(job.asked, update)))
        except _Stopped:
            return
        except Misconfigured as error:
            self._keep(replace(job, state="failed", problems=tuple(error.problems)))
        except Poison as error:
            self._keep(replace(job, state="failed", problems=(str(error),)))
        except Transient:
            self._keep(replace(job, state="failed", problems=("a store was away: ask for it again",)))
        except Exception as error:  # the thread must live on, and the caller must not wait for ever
            log.error("simulation failed", simulation=job.id, error=type(error).__name__, exc_info=error)
            self._keep(replace(job, state="failed", problems=("it failed on our side; it was logged",)))

    def _keep(self, job: Job) -> None:
        with self._lock:
            if job.id in self._jobs:
                self._jobs[job.id] = job
