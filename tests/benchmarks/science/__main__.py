"""Science benchmarks: ``python -m tests.benchmarks.science --workdir W --test-archive A --out D``.

Each part writes ``D/results/<part>.json`` and is not repeated for the same model and test sky;
``--docs`` makes ``docs/science.md`` and its figures from what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog_builder.ground.digests import digest_json
from catalog_builder.runtime.workdir import write_json
from tests.benchmarks.science import anomalies, coverage, document, evidence, flaws, galaxy, real
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.limit import part as limit
from tests.benchmarks.science.peers import part as peers
from tests.benchmarks.science.peers.methods import PEERS

#: Part -> what measures it.
PARTS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "coverage": lambda context: coverage.measure(context.predictions),
    "limit": limit.measure,
    "peers": peers.measure,
    "evidence": evidence.measure,
    "galaxy": galaxy.measure,
    "anomalies": anomalies.measure,
    "real_stars": real.stars,
    "real_flaws": flaws.measure,
    "real_split": real.split,
}
#: Parts that need the posteriors of part `limit`, of so many stars.
_OF_POSTERIORS = ("limit", "peers", "galaxy")
#: Raised when what a part measures changes: what is kept of it is then measured anew.
_VERSIONS = {"coverage": 2, "evidence": 3, "galaxy": 2, "real_flaws": 3}
#: Parts that are done when nothing is said: all that a simulated sky is enough for.
_USUAL = [part for part in PARTS if not part.startswith("real")]


def main(arguments: list[str] | None = None) -> None:
    """Run the parts asked for, then make the document if asked to."""
    asked = _parse(arguments)
    context = Context(
        asked.workdir,
        asked.test_archive,
        asked.out,
        workers=asked.workers,
        stars=asked.stars,
        peers=tuple(asked.peers.split(",")),
        real=asked.real,
        real_workdir=asked.real_workdir,
    )
    for part in asked.parts.split(","):
        _run(part, context)
    if asked.docs is not None:
        document.write(asked.out / "results", asked.docs)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.science", description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True, help="run with a trained model")
    parser.add_argument("--test-archive", type=Path, required=True, help="simulated, other seed")
    parser.add_argument("--out", type=Path, required=True, help="predictions, results, log")
    parser.add_argument("--parts", default=",".join(_USUAL), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--stars", type=int, default=1000, help="per S/N bin of the limit")
    parser.add_argument("--peers", default=",".join(PEERS), help="to train, for peers")
    parser.add_argument("--workers", type=int, default=1, help="processes of the ingest")
    parser.add_argument("--real", type=Path, help="folder of real stars")
    parser.add_argument("--real-workdir", type=Path, help="run on real stars, for real_split")
    parser.add_argument("--docs", type=Path, help="folder in which science.md is made")
    asked = parser.parse_args(arguments)
    unknown = {*asked.parts.split(",")} - {*PARTS} | {*asked.peers.split(",")} - {*PEERS}
    if unknown:
        parser.error(f"no such part or peer: {', '.join(sorted(unknown))}")
    return asked


def _run(part: str, context: Context) -> None:
    file = context.out / "results" / f"{part}.json"
    stars = context.stars if part in _OF_POSTERIORS else None
    which = context.peers if part == "peers" else ()
    key = digest_json([part, _VERSIONS.get(part, 1), context.identity(), stars, which])
    if file.is_file() and json.loads(file.read_text())["key"] == key:
        print(f"{part}: done before")
        return
    print(f"{part} ...", flush=True)
    result = PARTS[part](context)
    write_json(file, {"key": key, "about": context.about(), "result": result})


if __name__ == "__main__":
    main()
