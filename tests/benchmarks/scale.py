"""Scale: a run over an archive of any size, its memory by process and its processor time.

    python tests/benchmarks/scale.py --archive SKY --model MODEL --stars 100000 --out scale.json

The archive is made of another one (`catalog-builder simulate`): its partitions are repeated under
new source ids, in ranges of their own, until there are as many stars as asked for. Then the run is
started as a user would, and the proportional set size (PSS) of the driver and of every worker is
read ten times a second, with the kernel's own peak of the time in between. Without --model only the
ingest runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from isal import igzip

from catalog_builder.archive.layout import Partition, list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.simulate.writing.layout import file_name, range_name, table_folder

TABLES = ("xp_sampled_mean_spectrum", "gaia_source")


def repeat_archive(
    source: Path,
    out: Path,
    stars: int,
    tables: tuple[str, ...],
    per_partition: int,
    sources: int | None = None,
) -> tuple[int, int]:
    """Write an archive of so many stars, and return how many it has, and in how many partitions.

    With `sources`, a partition's `gaia_source` has so many rows; those beyond the stars have no
    spectra, as most of them in a real one.
    """
    release = load_release("dr3")
    partitions = [
        part for part in list_partitions(str(source), release) if set(tables) <= set(part.files)
    ]
    rows = {
        (number, table): _read(Path(file.url))
        for number, part in enumerate(partitions)
        for table in tables
        for file in part.files[table][:1]  # a sky of ours has one for each range
    }
    per_copy = len(rows[0, tables[0]].body)
    wanted = max(1, round(stars / per_partition))
    with_spectra = max(1, round(per_partition / per_copy))
    rows_of_sources = len(rows[0, "gaia_source"].body) if "gaia_source" in tables else 1
    copies = max(with_spectra, round((sources or 0) / rows_of_sources))
    width = release.partition.n_pixels // wanted
    for place in range(wanted):
        for table in tables:
            folder = table_folder(release, table, out)
            folder.mkdir(parents=True, exist_ok=True)
            name = range_name(release, place * width, (place + 1) * width - 1)
            path = folder / file_name(release.tables[table], name)
            with igzip.open(path, "wb", compresslevel=1) as file:
                file.write(rows[0, table].header)
                for copy in range(copies if table == "gaia_source" else with_spectra):
                    number = (place * copies + copy) % len(partitions)
                    text = rows[number, table]
                    if copy >= with_spectra:
                        text = _without_spectra(text)
                    inside = range(width * copy // copies, width * (copy + 1) // copies)
                    part = partitions[number]
                    lines = _renamed(text, part, release, place * width, inside)
                    file.write(b"\n".join(lines) + b"\n")
    return wanted * with_spectra * per_copy, wanted


class Text(NamedTuple):
    """A table's file: header with the line of names, rows, names."""

    header: bytes
    body: list[bytes]
    names: list[bytes]


def _read(file: Path) -> Text:
    text = igzip.decompress(file.read_bytes())
    names = text.index(b"\n", text.rindex(b"\n#") + 1) + 1
    end = text.index(b"\n", names) + 1
    return Text(text[:end], text[end:].splitlines(), text[names : end - 1].split(b","))


def _without_spectra(text: Text) -> Text:
    """Return rows of `gaia_source` that announce no spectra."""
    columns = [k for k, name in enumerate(text.names) if name.startswith(b"has_")]
    body = []
    for row in text.body:
        fields = row.split(b",")
        for column in columns:
            fields[column] = b'"False"'
        body.append(b",".join(fields))
    return text._replace(body=body)


def _renamed(
    text: Text, part: Partition, release: ReleaseSpec, first: int, inside: range
) -> list[bytes]:
    """Return rows with ids in another range of pixels; what follows the pixel in an id stays."""
    shift, column = release.partition.source_id_shift, text.names.index(b"source_id")
    fields = [row.split(b",", column + 1) for row in text.body]
    ids = np.array([int(each[column]) for each in fields])
    share = ((ids >> shift) - part.start) / (part.stop - part.start + 1)
    pixels = first + inside.start + (share * len(inside)).astype(np.int64)
    renamed = (pixels << shift) | (ids & ((1 << shift) - 1))
    for each, source_id in zip(fields, renamed.tolist(), strict=True):
        each[column] = str(source_id).encode()
    return [b",".join(each) for each in fields]


class MemoryWatch(threading.Thread):
    """Reads the PSS of a process and its descendants while they live; keeps the peaks by stage.

    Which stage is at work tells the newest plan in the workdir.
    """

    def __init__(self, pid: int, plans: Path) -> None:
        super().__init__(daemon=True)
        self.root, self.plans = psutil.Process(pid), plans
        self.peaks: dict[tuple[str, str, int], int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            stage = self.stage()
            for process in self.processes():
                try:
                    pss = _peak_pss(process)
                    role = "driver" if process == self.root else _role(process)
                except (psutil.Error, OSError):
                    continue
                place = stage, role, process.pid
                self.peaks[place] = max(self.peaks.get(place, 0), pss)

    def processes(self) -> list[psutil.Process]:
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stage(self) -> str:
        plans = [(file.stat().st_mtime, file.stem) for file in self.plans.glob("[!.]*.json")]
        return max(plans)[1] if plans else "start"

    def by_stage(self) -> dict[str, dict[str, list[float]]]:
        """Return peaks in MiB by stage and role, the largest first; also those of all stages."""
        found: dict[str, dict[str, list[float]]] = {}
        whole: dict[tuple[str, int], int] = {}
        for (stage, role, pid), peak in sorted(self.peaks.items(), key=lambda item: -item[1]):
            found.setdefault(stage, {}).setdefault(role, []).append(_mib(peak))
            whole.setdefault((role, pid), peak)
        for (role, _), peak in whole.items():
            found.setdefault("all", {}).setdefault(role, []).append(_mib(peak))
        return found


def _peak_pss(process: psutil.Process) -> int:
    """Return a process's highest PSS since it was last asked for, in bytes.

    The kernel keeps the highest resident size; what of it others share is as it is now.
    """
    folder = Path(f"/proc/{process.pid}")
    # Both sizes from one file, read at one time: taken apart, they differ by what happens between.
    now = _sizes(folder / "smaps_rollup")
    highest = _sizes(folder / "status").get("VmHWM")
    if highest is None:
        raise psutil.ZombieProcess(process.pid)
    (folder / "clear_refs").write_text("5")
    return max(now["Pss"], highest - (now["Rss"] - now["Pss"]))


def _sizes(file: Path) -> dict[str, int]:
    """Return the sizes that a file of the kernel names, in bytes."""
    lines = [line.split() for line in file.read_text().splitlines() if line.endswith(" kB")]
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines}


def _mib(size: int) -> float:
    return round(size / 2**20, 1)


def _role(process: psutil.Process) -> str:
    # Workers are started with multiprocessing, whose tracker of resources is no worker.
    return "helper" if "resource_tracker" in " ".join(process.cmdline()) else "worker"


def measure(archive: Path, workdir: Path, model: str | None, workers: int) -> dict[str, object]:
    """Run over an archive and return peaks of memory, processor time and wall time."""
    step = ["run", "--model", model] if model else ["ingest"]
    command = [sys.executable, "-m", "catalog_builder.cli", *step, "--release", "dr3"]
    command += ["--archive", str(archive), "--workdir", str(workdir), "--workers", str(workers)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watch = MemoryWatch(process.pid, workdir / "plans")
        watch.start()
        code = process.wait()
        if not watch.is_alive():
            raise RuntimeError("the memory was not watched to the end")
        watch.done.set()
        watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "exit": code,
        "seconds": round(time.monotonic() - begin, 1),
        "cpu_seconds": round(cpu, 2),
        "peak_pss_mib": watch.by_stage(),
    }


def main() -> int:
    """Make the archive, run, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True, help="a simulated archive to repeat")
    parser.add_argument("--model", help="model directory; without it only the ingest runs")
    parser.add_argument("--stars", type=int, default=10_000)
    parser.add_argument("--per-partition", type=int, default=5_000)
    parser.add_argument("--sources", type=int, help="rows of gaia_source in each partition")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="where archive and workdir are made")
    parser.add_argument("--out", type=Path, help="JSON file")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="scale-", dir=given.scratch))
    try:
        tables = tuple(given.tables.split(","))
        stars, partitions = repeat_archive(
            given.archive,
            place / "archive",
            given.stars,
            tables,
            given.per_partition,
            given.sources,
        )
        seen = measure(place / "archive", place / "work", given.model, given.workers)
    finally:
        shutil.rmtree(place)
    content = {"stars": stars, "partitions": partitions, "tables": tables, **seen}
    text = json.dumps(content, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(seen["exit"]))


if __name__ == "__main__":
    sys.exit(main())
