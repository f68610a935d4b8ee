"""A run with a model given, step by step, beside the limit of each step; what Dask says of it.

The limits: inflating the archive's files with isal, the networks alone, copying the catalogue. One
worker, so that the seconds of its tasks are those of one core.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features.store import FeatureStore
from catalog_builder.model.estimator import Estimator
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.receipts import Receipt, read_receipt
from tests.benchmarks.measure import Bench, Figure
from tests.benchmarks.scale import repeat_archive
from tests.benchmarks.test_ingest import inflate

TABLES = ("rvs_mean_spectrum", "xp_continuous_mean_spectrum", "gaia_source")
#: So many that what a worker does once (importing, compiling) is not most of it.
STARS, PARTITIONS = 12_000, 8

#: Stages of each step.
STEPS = {"ingest": ("ingest",), "predict": ("predict",), "publish": ("publish-chunks", "publish")}


def test_end_to_end(
    bench: Bench, sky_of_many_partitions: Path, workdir: Path, tmp_path: Path
) -> None:
    archive, work = tmp_path / "archive", tmp_path / "work"
    repeat_archive(sky_of_many_partitions, archive, STARS, TABLES, STARS // PARTITIONS)
    (model,) = (workdir / "models").glob("model-*")
    command = [sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3"]
    command += ["--archive", str(archive), "--workdir", str(work), "--model", str(model)]
    begin = time.perf_counter()
    subprocess.run([*command, "--workers", "1"], check=True, capture_output=True)
    whole = time.perf_counter() - begin
    receipts = {
        step: [each for stage in stages for each in receipts_of(work, stage)]
        for step, stages in STEPS.items()
    }
    stores = [FeatureStore(work / receipt.output) for receipt in receipts["ingest"]]
    stars = sum(map(len, stores))
    (sealed,) = receipts_of(work, "publish")
    estimator, batch = Estimator.load(model), RunConfig().predict.batch_size
    blocks = [store.read(slice(0, len(store))) for store in stores]
    partitions = list_partitions(str(archive), load_release("dr3"))
    urls = [file.url for part in partitions for files in part.files.values() for file in files]

    def copy() -> None:
        shutil.copytree(work / sealed.output, tmp_path / "copy")
        shutil.rmtree(tmp_path / "copy")

    spent = {step: sum(each.seconds for each in receipts[step]) for step in STEPS}
    limits = {
        "ingest": quickest(lambda: inflate(*urls)),
        "predict": quickest(lambda: [estimator.predict(block, batch) for block in blocks]),
        "publish": quickest(copy),
    }
    beside = {"ingest": "isal", "predict": "Estimator.predict", "publish": "copying the catalogue"}
    for step in STEPS:
        note(bench, f"end-to-end-{step}", f"{step}, all tasks", stars, spent[step],
             beside[step], limits[step])  # fmt: skip
    (report,) = (work / "logs").glob("performance-*.html")
    text = (
        f"the run took {whole:.1f} s, its tasks {sum(spent.values()):.1f} s. The Dask performance"
        f" report: {', '.join(said_by_dask(report))}; what is not named there is none. The rest is"
        " the start of Python, of Dask and of the worker, the scheduler, and waiting."
    )
    note(bench, "end-to-end", "all steps", stars, sum(spent.values()),
         "the limits together", sum(limits.values()), text)  # fmt: skip


def receipts_of(workdir: Path, stage: str) -> list[Receipt]:
    found = map(read_receipt, sorted((workdir / "receipts" / stage).glob("[!.]*.json")))
    return [receipt for receipt in found if receipt is not None]


def quickest(call: Callable[[], object]) -> float:
    """Return the wall time of the quickest of three calls."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def said_by_dask(report: Path) -> list[str]:
    """Return how long the report says that it covers, and what tasks did in that time."""
    text = html.unescape(report.read_text(encoding="utf-8"))
    return re.findall(r"Duration: [\d.]+ \w+|[a-z-]+ time: [\d.]+ \w+", text)


def note(
    bench: Bench, name: str, title: str, stars: int, seconds: float, beside: str, limit: float,
    text: str = "",
) -> None:  # fmt: skip
    share = limit / seconds
    bench.record(
        Figure(
            name=name,
            title=f"{title}, wall time of one worker",
            figure=stars / seconds,
            unit="stars/s",
            reference=beside,
            reference_figure=stars / limit,
            ratio=share,
            spread=(share, share),
            rounds=1,
            note=text,
        )
    )
