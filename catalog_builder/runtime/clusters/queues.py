"""What is asked of a batch system, by its own commands: submit, look, cancel. No Dask in here."""

from __future__ import annotations

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

from catalog_builder.ground.errors import ClusterError

#: Seconds after which a batch system that does not answer is taken for absent, this time.
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


def ask(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the batch system, in a folder, whatever its exit code.

    Raises
    ------
    SilentError
        If it is not there or does not end.
    """
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


def answer_of(command: Sequence[str]) -> str:
    """Return what a command prints; its failure is a :class:`SilentError`."""
    done = ask(command)
    if done.returncode != 0:
        raise SilentError(complaint_of(command, done))
    return done.stdout


def taken(command: Sequence[str], folder: Path | None = None) -> str:
    """Return what a command prints; its failure is a :class:`RefusedError`."""
    done = ask(command, folder)
    if done.returncode != 0:
        raise RefusedError(complaint_of(command, done))
    return done.stdout


def complaint_of(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    """Return a failed command and its own words."""
    said = " ".join((done.stderr or done.stdout).split())
    return f"`{shlex.join(command)}` says: {said or f'exit code {done.returncode}'}."


def identifier_in(answer: str) -> str:
    """Return the job identifier of the answer to a submission."""
    found = re.search(r"\d+", answer)
    if found is None:
        raise RefusedError(f"The batch system's answer has no job identifier: {answer.strip()!r}.")
    return found.group()
