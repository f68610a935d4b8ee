"""Keeps as many batch jobs with a worker each as are wanted, and knows what became of every one.

Dask's own scaling loses sight of jobs: one that is cancelled while it waits, or was refused, is
never missed. A fleet compares, again and again, what is wanted with the batch system's queue and
with the workers that have registered.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime.clusters.batch_settings import BatchSettings
from catalog_builder.runtime.clusters.queues import (
    COMPLETED,
    BatchQueue,
    JobState,
    QueuedJob,
    RefusedError,
    SilentError,
)

#: Seconds that a new job may take to appear in the queue's list.
APPEARS_SECONDS = 15.0
#: Pause before the second attempt at a refused submission; it doubles, up to the longest.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0
#: Seconds after which a warning that is still true is given again.
AGAIN_SECONDS = 3600.0


class Teller(Protocol):
    """What tells the person what happens."""

    def say(self, text: str, *, detail: bool = False) -> None:
        """Tell."""

    def warn(self, text: str) -> None:
        """Tell, and ask for attention."""


@dataclass
class Job:
    """A job and its one worker."""

    identifier: str
    worker: str
    submitted: float
    state: JobState = JobState.WAITING
    seen: bool = False
    #: When it began to run, and when its worker was last registered; None for never.
    running_since: float | None = None
    registered: float | None = None


@dataclass
class Group:
    """Jobs of one kind: the same script, but for the worker's name."""

    name: str
    #: Writes the script of the worker's job and returns it.
    script: Callable[[str], Path]
    wanted: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    serial: int = 0
    #: Jobs in a row that ended without a worker; submissions refused in a row, and no sooner than.
    stillborn: int = 0
    refused: int = 0
    not_before: float = 0.0
    #: Times at which workers were lost that are not replaced yet.
    gaps: list[float] = field(default_factory=list)
    failure: ClusterError | None = None

    def forget_failures(self) -> None:
        """Begin anew."""
        self.failure, self.stillborn, self.refused, self.not_before = None, 0, 0, 0.0

    def ready(self) -> int:
        """Return how many of its workers are registered."""
        return sum(
            job.registered is not None and job.state is JobState.RUNNING
            for job in self.jobs.values()
        )


class Fleet:
    """Jobs of a run, by groups.

    Parameters
    ----------
    queue : BatchQueue
        The batch system.
    settings : BatchSettings
        How patient to be.
    teller : Teller
        Told of what happens to jobs.
    logs : Path
        Where jobs write what they say, for the messages.
    record : callable
        Told of the identifiers of all living jobs when they change.
    clock : callable, optional
        Seconds; for tests.
    """

    def __init__(
        self,
        queue: BatchQueue,
        settings: BatchSettings,
        teller: Teller,
        logs: Path,
        record: Callable[[list[str]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue, self.settings, self.teller = queue, settings, teller
        self.logs, self.record, self.clock = logs, record, clock
        self.groups: dict[str, Group] = {}
        self.submitted = 0
        #: Jobs lost, by the batch system's word; seconds that their workers were missing.
        self.lost: Counter[str] = Counter()
        self.missing_seconds = 0.0
        self._warned: dict[str, float] = {}

    def identifiers(self) -> list[str]:
        """Return all living jobs."""
        return [job for group in self.groups.values() for job in group.jobs]

    def attend(self, workers: Iterable[str]) -> None:
        """Compare wanted, queue and registered workers (by name) once, and act.

        A group that cannot be had gets a failure; nothing is raised.
        """
        now = self.clock()
        try:
            queued = self.queue.jobs(self.identifiers())
        except SilentError as silent:
            # Jobs go on without their batch system's daemon: wait until it is back.
            self._warn_of("silent", f"{silent} Jobs are left as they are.")
            return
        registered = set(workers)
        before = self.identifiers()
        for group in self.groups.values():
            if group.failure is None:
                self._look(group, queued, registered, now)
                self._fill(group, now)
                self._judge_waiting(group, queued, now)
        if self.identifiers() != before:
            self.record(self.identifiers())

    def scale(self, group: Group, wanted: int) -> None:
        """Set how many jobs a group should have, and end those beyond, waiting ones first."""
        group.wanted = wanted
        order = sorted(group.jobs.values(), key=lambda job: job.registered is None, reverse=True)
        surplus = [job.identifier for job in order[: max(0, len(order) - wanted)]]
        if not surplus:
            return
        self.queue.cancel(surplus)
        for identifier in surplus:
            del group.jobs[identifier]
        del group.gaps[wanted:]
        self.record(self.identifiers())

    # --- one round -------------------------------------------------------------------------------

    def _look(
        self, group: Group, queued: Mapping[str, QueuedJob], registered: set[str], now: float
    ) -> None:
        for job in list(group.jobs.values()):
            found = queued.get(job.identifier)
            if found is None and not job.seen and now - job.submitted < APPEARS_SECONDS:
                continue
            found = found or QueuedJob(JobState.ENDED, "gone from the queue")
            job.seen = True
            if found.state is JobState.ENDED:
                self._lose(group, job, found.word, now)
                continue
            if job.registered is not None and found.state is not JobState.RUNNING:
                self._note_loss(group, f"requeued ({found.word})", now)  # it waits again, itself
                job.registered = None
            job.state = found.state
            if found.state is not JobState.RUNNING:
                job.running_since = None
            elif job.worker in registered:
                self._welcome(group, job, now)
            else:
                self._judge_silence(group, job, now)

    def _welcome(self, group: Group, job: Job, now: float) -> None:
        if job.registered is None:
            group.stillborn = 0
            self._warned.pop(f"waiting {group.name}", None)
            if group.gaps:
                self.missing_seconds += now - group.gaps.pop(0)
        job.running_since = job.running_since or now
        job.registered = now

    def _judge_silence(self, group: Group, job: Job, now: float) -> None:
        """End a job that runs without its worker for too long: it holds a place for nothing."""
        job.running_since = job.running_since or now
        last_sign = job.registered or job.running_since
        if now - last_sign > self.settings.start_seconds:
            self.queue.cancel([job.identifier])
            word = f"no worker for {self.settings.start_seconds:.0f} s"
            self._lose(group, job, word, now)

    def _lose(self, group: Group, job: Job, word: str, now: float) -> None:
        del group.jobs[job.identifier]
        if job.registered is not None:
            planned = word == COMPLETED  # its worker left by itself: its lifetime was over
            self._note_loss(group, "lifetime over" if planned else word, now)
            self.teller.say(f"Job {job.identifier} ended: {word}.", detail=planned)
            return
        self.lost[word] += 1
        if job.running_since is None and word == "CANCELLED":
            self.teller.warn(f"Job {job.identifier} was cancelled while it waited.")
            return
        group.stillborn += 1
        self.teller.warn(f"Job {job.identifier} ended before it had a worker: {word}.")
        if group.stillborn >= self.settings.failed_starts:
            group.failure = ClusterError(
                f"{group.stillborn} {group.name} jobs in a row ended before they had a worker"
                f" ({word}). {self._last_words(job)}",
                "Correct what their log says (the environment of a job is"
                " job_script_prologue's), then give the same command again.",
            )

    def _note_loss(self, group: Group, word: str, now: float) -> None:
        self.lost[word] += 1
        if len(group.jobs) < group.wanted or word.startswith("requeued"):
            group.gaps.append(now)

    def _fill(self, group: Group, now: float) -> None:
        while len(group.jobs) < group.wanted and now >= group.not_before:
            group.serial += 1
            worker = f"{self.queue.name}-{group.name}-{group.serial}"
            try:
                identifier = self.queue.submit(group.script(worker))
            except (RefusedError, SilentError) as refused:
                self._note_refusal(group, refused, now)
                return
            group.refused = 0
            self.submitted += 1
            group.jobs[identifier] = Job(identifier, worker, now)

    def _note_refusal(self, group: Group, refused: RefusedError | SilentError, now: float) -> None:
        group.refused += 1
        if not group.jobs and isinstance(refused, RefusedError):
            group.failure = ClusterError(
                f"No {group.name} job is accepted: {refused.problem}",
                "Correct the settings of the queue; `catalog-builder doctor` asks whether they"
                " would do.",
            )
            return
        # Some jobs are there: fewer workers are better than none.
        pause = min(PAUSE_SECONDS * 2 ** (group.refused - 1), LONGEST_PAUSE_SECONDS)
        group.not_before = now + pause
        have = f"{len(group.jobs)} of {group.wanted} {group.name} jobs are there"
        self._warn_of(f"refused {group.name}", f"A job was refused, {have}: {refused.problem}")

    def _judge_waiting(self, group: Group, queued: Mapping[str, QueuedJob], now: float) -> None:
        if group.ready() or not group.jobs or group.failure is not None:
            return
        job = next(iter(group.jobs.values()))
        found = queued.get(job.identifier)
        if found is None or found.state not in (JobState.WAITING, JobState.HELD):
            return
        waited = now - job.submitted
        told = f"{group.name} job {job.identifier} has been waiting for {waited:.0f} s"
        limit = self.settings.pending_limit
        if self.queue.is_hopeless(found.word):
            group.failure = ClusterError(
                f"{told} and will never start: {found.word}.",
                "Correct walltime, memory, account or queue in the settings.",
            )
        elif limit is not None and waited > limit:
            group.failure = ClusterError(
                f"{told}, longer than pending_limit ({found.word}).",
                "Give the same command again when the machine has room, or choose another queue.",
            )
        elif waited > self.settings.pending_warning:
            held = ": it is held" if found.state is JobState.HELD else ""
            self._warn_of(
                f"waiting {group.name}", f"{told}{held} ({found.word}); no worker is there yet."
            )

    # --- words -----------------------------------------------------------------------------------

    def _warn_of(self, subject: str, text: str) -> None:
        now = self.clock()
        last = self._warned.get(subject)
        if last is None or now - last > AGAIN_SECONDS:
            self._warned[subject] = now
            self.teller.warn(text)

    def _last_words(self, job: Job) -> str:
        files = sorted(self.logs.glob(f"*{job.identifier}*"))
        for file in files:
            lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"Its log {file} ends with: {lines[-1].strip()}"
        return f"It left no words in {self.logs}."
