"""Slurm's own commands."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from pathlib import Path

from catalog_builder.runtime.clusters.queues import (
    BatchQueue,
    JobState,
    QueuedJob,
    RefusedError,
    answer_of,
    ask,
    identifier_in,
    taken,
)


class SlurmQueue(BatchQueue):
    """Slurm: sbatch, squeue, scancel, sinfo."""

    commands = ("sbatch", "squeue", "scancel", "sinfo")
    #: Reasons of waiting (``squeue``'s %r) that end only when somebody acts.
    _HOPELESS = frozenset(
        {
            "AccountNotAllowed",
            "AssocMaxWallDurationPerJobLimit",
            "BadConstraints",
            "DependencyNeverSatisfied",
            "InvalidAccount",
            "InvalidQOS",
            "JobHeldAdmin",
            "PartitionNodeLimit",
            "PartitionTimeLimit",
            "QOSMaxMemoryPerJob",
            "QOSMaxWallDurationPerJobLimit",
            "QOSNotAllowed",
        }
    )
    _ENDED = frozenset(
        {
            *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
            *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
        }
    )
    _WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})

    def submit(self, script: Path) -> str:
        """Submit by sbatch."""
        return identifier_in(taken(["sbatch", "--parsable", str(script)], script.parent))

    def find(self, queue: str) -> str:
        """Ask sinfo: nodes by state, time limit, memory and generic resources."""
        command = ["sinfo", "--noheader", f"--partition={queue}"]
        lines = answer_of([*command, "--format=%D %t nodes, %l, %m MB, %G"]).splitlines()
        if not lines:
            raise RefusedError(f"There is no partition {queue!r}.")
        return "; ".join(" ".join(line.split()) for line in lines)

    def test(self, script: Path) -> None:
        """Ask ``sbatch --test-only``: account, limits, memory, GPUs."""
        taken(["sbatch", "--test-only", str(script)], script.parent)

    def jobs(self, identifiers: Sequence[str]) -> dict[str, QueuedJob]:
        """Ask squeue for all jobs of the run's name, ended ones included while Slurm knows them."""
        del identifiers
        command = ["squeue", "--noheader", "--states=all", f"--name={self.name}"]
        command += [f"--user={getpass.getuser()}", "--format=%i|%T|%r"]
        return self.parse(answer_of(command))

    @classmethod
    def parse(cls, text: str) -> dict[str, QueuedJob]:
        """Read squeue's lines ``identifier|state|reason``."""
        found = {}
        for line in text.splitlines():
            identifier, _, rest = line.strip().partition("|")
            state, _, reason = rest.partition("|")
            found[identifier] = cls._job(state, reason)
        return found

    @classmethod
    def _job(cls, state: str, reason: str) -> QueuedJob:
        if state in cls._ENDED:
            return QueuedJob(JobState.ENDED, state)
        if state in cls._WAITING:
            held = "held" in reason.lower()
            return QueuedJob(JobState.HELD if held else JobState.WAITING, reason)
        return QueuedJob(JobState.RUNNING, state)

    def is_hopeless(self, word: str) -> bool:
        """Say whether squeue's reason is one that only a person can change."""
        return word in self._HOPELESS

    def cancel(self, identifiers: Iterable[str]) -> None:
        """Cancel by scancel."""
        chosen = list(identifiers)
        if chosen:
            ask(["scancel", "--quiet", *chosen])

    def cancel_all(self, identifiers: Iterable[str]) -> None:
        """Cancel by the run's name."""
        del identifiers
        ask(["scancel", "--quiet", f"--user={getpass.getuser()}", f"--name={self.name}"])
