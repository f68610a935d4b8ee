"""Batch systems by their own commands: submit, look, cancel. No Dask in here."""

from __future__ import annotations

import getpass
import re
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from catalog_builder.errors import ClusterError

#: A batch system that does not answer for so long is taken for absent, this time.
COMMAND_SECONDS = 60
#: The word of a job that ended by itself, and well.
COMPLETED = "COMPLETED"


class JobState(StrEnum):
    """Where a job is, as far as a driver cares."""

    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True)
class QueuedJob:
    """What a batch system says of a job; `word` is its own for state or reason."""

    state: JobState
    word: str = ""


class RefusedError(ClusterError):
    """The batch system does not take a job; the problem is its own message."""


class SilentError(ClusterError):
    """The batch system does not answer (its daemon restarts, say); asking again may help."""


class BatchQueue(ABC):
    """The commands of one batch system.

    Parameters
    ----------
    name : str
        Of all jobs of one run; different for every run.
    """

    #: Commands that must be there.
    commands: ClassVar[tuple[str, ...]]

    def __init__(self, name: str) -> None:
        self.name = name

    def require(self) -> None:
        """Raise if a command is missing.

        Raises
        ------
        ClusterError
            Naming it.
        """
        for command in self.commands:
            if shutil.which(command) is None:
                raise ClusterError(
                    f"The command {command} is not there.",
                    "Start catalog-builder where jobs are submitted: on a login node.",
                )

    @abstractmethod
    def submit(self, script: Path) -> str:
        """Submit a job script and return the job's identifier.

        Raises
        ------
        RefusedError
            If the job is not taken.
        """

    @abstractmethod
    def find(self, queue: str) -> str:
        """Return what there is to know of a queue, in its own words.

        Raises
        ------
        RefusedError
            If it does not exist.
        """

    def test(self, script: Path) -> None:
        """Find out, without submitting, whether a job could start on the machine as it is now.

        Raises
        ------
        RefusedError
            If it could not: also while its nodes are down, when it would only have to wait.
        """
        del script

    @abstractmethod
    def jobs(self, identifiers: Sequence[str]) -> dict[str, QueuedJob]:
        """Return what is known of the run's jobs; one that is absent has ended.

        Raises
        ------
        SilentError
            If the batch system does not answer.
        """

    @abstractmethod
    def cancel(self, identifiers: Iterable[str]) -> None:
        """End jobs, waiting or running; those that have ended are passed over."""

    def is_hopeless(self, word: str) -> bool:
        """Say whether a job that waits for this reason waits in vain."""
        return word.startswith("Can Never Run")  # a comment of PBS

    def cancel_all(self, identifiers: Iterable[str]) -> None:
        """End every job of the run, also one whose identifier was never heard of."""
        self.cancel(identifiers)


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
        return _identifier(_taken(["sbatch", "--parsable", str(script)], script.parent))

    def find(self, queue: str) -> str:
        """Ask sinfo: nodes by state, time limit, memory and generic resources."""
        command = ["sinfo", "--noheader", f"--partition={queue}"]
        lines = _answer([*command, "--format=%D %t nodes, %l, %m MB, %G"]).splitlines()
        if not lines:
            raise RefusedError(f"There is no partition {queue!r}.")
        return "; ".join(" ".join(line.split()) for line in lines)

    def test(self, script: Path) -> None:
        """Ask ``sbatch --test-only``: account, limits, memory, GPUs."""
        _taken(["sbatch", "--test-only", str(script)], script.parent)

    def jobs(self, identifiers: Sequence[str]) -> dict[str, QueuedJob]:
        """Ask squeue for all jobs of the run's name, ended ones included while Slurm knows them."""
        del identifiers
        command = ["squeue", "--noheader", "--states=all", f"--name={self.name}"]
        command += [f"--user={getpass.getuser()}", "--format=%i|%T|%r"]
        return self.parse(_answer(command))

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
            _run(["scancel", "--quiet", *chosen])

    def cancel_all(self, identifiers: Iterable[str]) -> None:
        """Cancel by the run's name."""
        del identifiers
        _run(["scancel", "--quiet", f"--user={getpass.getuser()}", f"--name={self.name}"])


class PbsQueue(BatchQueue):
    """PBS (OpenPBS, PBS Professional, Torque): qsub, qstat, qdel."""

    commands = ("qsub", "qstat", "qdel")
    _STATES: ClassVar[dict[str, JobState]] = {
        **dict.fromkeys("QWT", JobState.WAITING),
        **dict.fromkeys("HS", JobState.HELD),
        **dict.fromkeys("RBU", JobState.RUNNING),
        **dict.fromkeys("CEFX", JobState.ENDED),
    }

    def submit(self, script: Path) -> str:
        """Submit by qsub."""
        return _identifier(_taken(["qsub", str(script)], script.parent))

    def find(self, queue: str) -> str:
        """Ask ``qstat -Q``; PBS tells what is wrong with a job when it is submitted."""
        line = _taken(["qstat", "-Q", queue]).strip().splitlines()
        if not line or queue not in line[-1]:
            raise RefusedError(f"There is no queue {queue!r}.")
        return " ".join(line[-1].split())

    def jobs(self, identifiers: Sequence[str]) -> dict[str, QueuedJob]:
        """Ask ``qstat -f`` for these jobs; it fails for those that have ended, and goes on."""
        if not identifiers:
            return {}
        command = ["qstat", "-f", *identifiers]
        done = _run(command)
        found = self.parse(done.stdout)
        # 153: unknown job, 35: finished job; anything else than those is no answer.
        if done.returncode not in (0, 35, 153):
            raise SilentError(_complaint(command, done))
        return found

    @classmethod
    def parse(cls, text: str) -> dict[str, QueuedJob]:
        """Read the records of ``qstat -f``; identifiers lose the server's name."""
        found = {}
        for record in re.split(r"^Job Id:\s*", text, flags=re.MULTILINE)[1:]:
            identifier = re.match(r"\d+", record)
            state = re.search(r"^\s*job_state = (\w)", record, re.MULTILINE)
            if identifier is None or state is None:
                continue
            known = cls._STATES.get(state.group(1), JobState.RUNNING)
            found[identifier.group()] = QueuedJob(known, cls._word(record, known, state.group(1)))
        return found

    @staticmethod
    def _word(record: str, state: JobState, letter: str) -> str:
        if state is JobState.ENDED:
            code = re.search(r"^\s*exit_status = (-?\d+)", record, re.MULTILINE | re.IGNORECASE)
            if code is not None:
                return COMPLETED if code.group(1) == "0" else f"exit status {code.group(1)}"
        comment = re.search(r"^\s*comment = (.*)", record, re.MULTILINE)
        return comment.group(1).strip() if comment else letter

    def cancel(self, identifiers: Iterable[str]) -> None:
        """Cancel by qdel."""
        chosen = list(identifiers)
        if chosen:
            _run(["qdel", *chosen])


#: Batch systems by the name of their kind of cluster.
QUEUES: dict[str, type[BatchQueue]] = {"slurm": SlurmQueue, "pbs": PbsQueue}


def _run(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a fixed command; the arguments are no shell's
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SilentError(f"`{command[0]}` does not answer: {error}.") from None


def _answer(command: Sequence[str]) -> str:
    done = _run(command)
    if done.returncode != 0:
        raise SilentError(_complaint(command, done))
    return done.stdout


def _taken(command: Sequence[str], folder: Path | None = None) -> str:
    done = _run(command, folder)
    if done.returncode != 0:
        raise RefusedError(_complaint(command, done))
    return done.stdout


def _complaint(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join((done.stderr or done.stdout).split())
    return f"`{shlex.join(command)}` says: {said or f'exit code {done.returncode}'}."


def _identifier(answer: str) -> str:
    found = re.search(r"\d+", answer)
    if found is None:
        raise RefusedError(f"The batch system's answer has no job identifier: {answer.strip()!r}.")
    return found.group()
