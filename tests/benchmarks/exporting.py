"""Exports on request: processor time a row, bytes a row, peak memory; each format in its process.

    python tests/benchmarks/exporting.py CATALOGUE [--formats votable,cds] [--where CONDITION]

Prints a line of JSON for each. `tests/benchmarks/publishing.py` makes catalogues of any size: it
leaves one in STORES/catalogs/dr3. Run it on two sizes to see that memory does not grow with rows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from catalog_builder.exporting.export import FORMATS, export


def measure(catalogue: Path, name: str, where: str | None) -> None:
    """Export once, and say what it took; importing what it needs is not counted."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        export(catalogue, name, Path(folder) / "warm", where="source_id < 0")
        begin = time.process_time()
        path, rows = export(catalogue, name, Path(folder) / "out", where=where)
        used = time.process_time() - begin
        files = [file for file in (path, *path.glob("*")) if file.is_file()]
        size = sum(file.stat().st_size for file in files)
    found = {
        "format": name,
        "rows": rows,
        "us_a_row": round(1e6 * used / max(rows, 1), 2),
        "bytes_a_row": round(size / max(rows, 1)),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }
    print(json.dumps(found), flush=True)


def main() -> None:
    """Measure the formats that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--where")
    chosen = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for name in chosen.formats.split(","):
        process = context.Process(target=measure, args=(chosen.catalogue, name, chosen.where))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
