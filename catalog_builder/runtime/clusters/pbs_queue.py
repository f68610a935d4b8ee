"""PBS's own commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from catalog_builder.runtime.clusters.queues import (
    COMPLETED,
    BatchQueue,
    JobState,
    QueuedJob,
    RefusedError,
    SilentError,
    ask,
    complaint_of,
    identifier_in,
    taken,
)


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
        return identifier_in(taken(["qsub", str(script)], script.parent))

    def find(self, queue: str) -> str:
        """Ask ``qstat -Q``; PBS tells what is wrong with a job when it is submitted."""
        line = taken(["qstat", "-Q", queue]).strip().splitlines()
        if not line or queue not in line[-1]:
            raise RefusedError(f"There is no queue {queue!r}.")
        return " ".join(line[-1].split())

    def jobs(self, identifiers: Sequence[str]) -> dict[str, QueuedJob]:
        """Ask ``qstat -f`` for these jobs; it fails for those that have ended, and goes on."""
        if not identifiers:
            return {}
        command = ["qstat", "-f", *identifiers]
        done = ask(command)
        found = self.parse(done.stdout)
        # 153: unknown job, 35: finished job; anything else than those is no answer.
        if done.returncode not in (0, 35, 153):
            raise SilentError(complaint_of(command, done))
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
            ask(["qdel", *chosen])
