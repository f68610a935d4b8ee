"""Jobs and keys that a dead driver left: ended by a process that survives it, or by the next run.

A driver that is killed cannot tidy up. Its running workers notice by themselves; jobs that still
wait, and the run's key, do not. So each run writes a record of its jobs and starts a small process
(this module as a program) that waits for the driver's end and then tidies up what the record says.
Where that process was killed as well, the next run in the workdir does it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.runtime.clusters.pbs_queue import PbsQueue
from catalog_builder.runtime.clusters.queues import BatchQueue, SilentError
from catalog_builder.runtime.clusters.slurm_queue import SlurmQueue
from catalog_builder.runtime.workdir import Workdir, write_json

#: Batch systems by the name of their kind of cluster.
QUEUES: dict[str, type[BatchQueue]] = {"slurm": SlurmQueue, "pbs": PbsQueue}
#: How long a submission may take that began before the driver died.
STRAGGLER_SECONDS = 5.0
_SUFFIX = ".run.json"


def record_file(workdir: Workdir, name: str) -> Path:
    """Return where the run of this name keeps its record."""
    return workdir.root / "cluster" / f"{name}{_SUFFIX}"


def write_record(
    file: Path, kind: str, name: str, identifiers: list[str], certificates: str
) -> None:
    """Write down what is to be tidied up after the run."""
    write_json(
        file, {"kind": kind, "name": name, "jobs": identifiers, "certificates": certificates}
    )


@contextmanager
def guarded(file: Path) -> Iterator[None]:
    """Have a process tidy up if this one dies in the body; at its end there is nothing left to do.

    The process notices by the end of a pipe that only this one holds.
    """
    command = [sys.executable, "-m", __name__, str(file)]
    guard = subprocess.Popen(  # noqa: S603 - this module as a program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a closed terminal must not end it
    )
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        if guard.stdin is not None:
            guard.stdin.close()
        guard.wait()


def tidy_up(file: Path) -> None:
    """End the jobs of a record, remove its certificates, and the record itself.

    Raises
    ------
    SilentError
        If the batch system does not answer; the record stays.
    """
    record = _read(file)
    if record is None:
        return
    queue = QUEUES[record["kind"]](record["name"])
    queue.cancel_all(record["jobs"])
    certificates = Path(record["certificates"])
    if certificates.name == f"tls-{record['name']}":  # and nothing else, whatever the record says
        shutil.rmtree(certificates, ignore_errors=True)
    file.unlink(missing_ok=True)


def cancel_earlier(workdir: Workdir, say: Callable[[str], None]) -> None:
    """End what earlier runs in this workdir left; the caller holds its lock."""
    for file in sorted((workdir.root / "cluster").glob(f"*{_SUFFIX}")):
        record = _read(file)
        if record is None:
            continue
        say(f"An earlier run was killed: its jobs {record['name']} are ended.")
        with suppress(SilentError):
            tidy_up(file)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        record = parse_json(read_document(file))
    except (OSError, DocumentError):
        return None
    wanted = {"kind", "name", "jobs", "certificates"}
    known = isinstance(record, dict) and wanted <= set(record) and record["kind"] in QUEUES
    return record if known else None


def main(file: Path) -> None:
    """Wait for the end of the process that started this one, then tidy up after it."""
    sys.stdin.buffer.read()
    record = _read(file)
    tidy_up(file)
    if record is not None:  # a submission that was under way when the driver died ends later
        time.sleep(STRAGGLER_SECONDS)
        QUEUES[record["kind"]](record["name"]).cancel_all(record["jobs"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
