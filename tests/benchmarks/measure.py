"""Measuring: every figure is a ratio to a reference that was timed in the same run.

``make bench`` runs it and writes ``docs/benchmarks.md`` and ``docs/benchmarks.json``;
``make bench ONLY=rvs`` runs those whose name holds ``rvs`` and prints their figures. In the
ordinary test run the benchmarks are skipped. A benchmark is a test that takes `bench`::

    def test_parsing(bench, sky):
        bench.compare(
            "parse-rvs",
            "Parsing of RVS spectra",
            Run("read_blocks", lambda: parse(sky), work=2500),
            [Run("isal", lambda: inflate(sky), work=2500, at_least=0.5)],
            unit="stars/s",
        )

It fails when a ratio misses its target, after all of its figures are noted.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

#: Packages whose versions decide how fast the program is.
PACKAGES = ("numpy", "numba", "isal", "zarr", "numcodecs", "torch", "onnxruntime", "distributed")


@dataclass(frozen=True)
class Run:
    """Something to be timed.

    Parameters
    ----------
    name : str
        How the page calls it.
    call : callable
        Does the work once. It may return the seconds that count (processor time of other processes,
        say); otherwise the processor time of this process counts, all its threads together, which
        makes the rate one *per core*.
    work : float
        How much it does (stars, tasks), in the same unit as what it is compared with.
    at_least : float, optional
        Of a reference: the ratio that the program must reach beside it.
    """

    name: str
    call: Callable[[], Any]
    work: float = 1.0
    at_least: float | None = None


@dataclass(frozen=True)
class Figure:
    """One line of the page: `ratio` is figure / reference, or whatever `reference` says."""

    name: str
    title: str
    figure: float
    unit: str
    reference: str
    reference_figure: float
    ratio: float
    spread: tuple[float, float]
    rounds: int
    target: float | None = None
    #: Whether a smaller ratio is the better one.
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


@dataclass
class Bench:
    """Collects the figures of one session."""

    figures: list[Figure] = field(default_factory=list)

    def compare(
        self,
        name: str,
        title: str,
        ours: Run,
        references: Sequence[Run],
        *,
        unit: str,
        rounds: int = 7,
        warm_up: bool = True,
        note: str = "",
    ) -> dict[str, Figure]:
        """Time the program and its references in turns, and note the ratio of their rates.

        The rounds are interleaved, so that whatever else the machine does meets all equally; the
        ratio is the median over the rounds, its spread the lowest and the highest of them.

        Returns
        -------
        dict of str to Figure
            By the name of the reference.
        """
        contenders = [ours, *references]
        rates: dict[str, list[float]] = {run.name: [] for run in contenders}
        for number in range(-1 if warm_up else 0, rounds):
            for run in contenders:
                seconds = timed(run.call)
                if number >= 0:
                    rates[run.name].append(run.work / seconds)
        made = {}
        for run in references:
            ratios = [a / b for a, b in zip(rates[ours.name], rates[run.name], strict=True)]
            made[run.name] = self.record(
                Figure(
                    name=name,
                    title=title,
                    figure=statistics.median(rates[ours.name]),
                    unit=unit,
                    reference=run.name,
                    reference_figure=statistics.median(rates[run.name]),
                    ratio=statistics.median(ratios),
                    spread=(min(ratios), max(ratios)),
                    rounds=rounds,
                    target=run.at_least,
                    note=note,
                )
            )
        return made

    def record(self, figure: Figure) -> Figure:
        """Note a figure that was measured in another way."""
        self.figures.append(figure)
        print(line_of(figure))
        return figure


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds of a call: what it returns, if that is a float, else processor time."""
    begin = time.process_time()
    result = call()
    return result if isinstance(result, float) else time.process_time() - begin


def machine() -> dict[str, str]:
    """Describe the machine, without its name."""
    model = platform.processor() or "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        facts = dict(
            (part.strip() for part in line.split(":", 1))
            for line in cpuinfo.read_text().splitlines()
            if ":" in line
        )
        model = facts.get("model name", model)
        wide = [name for name in ("avx2", "avx512f", "avx512_bf16") if name in facts["flags"]]
        model += f" ({', '.join(wide)})" if wide else ""
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


#: Tables of the page: title, and how the names of its figures begin.
THEMES = {
    "Ingest": ("parse-", "ingest-"),
    "Prediction": ("predict-",),
    "Training": ("train-",),
    "Two workers": ("scaling-",),
    "Partitions by the thousand": ("scheduling-", "resume-", "status-"),
    "End to end": ("end-to-end",),
}


def write_page(
    folder: Path, figures: Sequence[Figure], seconds: float, broken: Sequence[str] = ()
) -> None:
    """Write ``benchmarks.md`` and ``benchmarks.json``, whatever was missed or broke.

    Parameters
    ----------
    folder : Path
        Where to.
    figures : sequence of Figure
        All that was measured.
    seconds : float
        How long that took.
    broken : sequence of str
        Benchmarks that ended in an error, and whose figures are therefore missing.
    """
    facts = machine()
    content = {
        "command": "make bench",
        "machine": facts,
        "seconds": round(seconds),
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
        "broken": list(broken),
    }
    (folder / "benchmarks.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    software = ", ".join(f"{name} {facts[name]}" for name in ("python", *PACKAGES))
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; a single one is run by name, `make bench ONLY=rvs`. Every ratio"
        " compares the",
        "program with a reference timed in the same run, in turns: the median of the rounds, with"
        " the lowest and",
        "the highest in brackets. Rates are per core: per second of processor time of all threads,"
        " unless a title says",
        "otherwise. The data are simulated; [scale.md](scale.md) says what follows for whole"
        " releases.",
        "",
        f"- Machine: {facts['processor']}, {facts['cores']} cores, {facts['memory']},"
        f" {facts['system']}",
        f"- Software: {software}",
        f"- Time: {seconds / 60:.0f} minutes",
        f"- {_verdict(figures, broken)}",
    ]
    for title, begins in THEMES.items():
        lines += _table(title, [each for each in figures if each.name.startswith(begins)])
    known = tuple(begin for begins in THEMES.values() for begin in begins)
    lines += _table("Others", [each for each in figures if not each.name.startswith(known)])
    (folder / "benchmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _verdict(figures: Sequence[Figure], broken: Sequence[str]) -> str:
    aimed = [figure for figure in figures if figure.met is not None]
    missed = [f"`{figure.name}` beside {figure.reference}" for figure in aimed if not figure.met]
    text = f"Targets: {len(aimed) - len(missed)} of {len(aimed)} met"
    text += f"; **missed**: {', '.join(missed)}" if missed else ""
    return text + (f"; **not measured**, for they broke: {', '.join(broken)}" if broken else "")


def _table(title: str, figures: Sequence[Figure]) -> list[str]:
    if not figures:
        return []
    notes = {figure.name: figure.note for figure in figures if figure.note}
    return [
        "",
        f"## {title}",
        "",
        "| benchmark | what | rate | beside | its rate | ratio | target | met |",
        "|---|---|---:|---|---:|---:|---:|---|",
        *map(_row, figures),
        *(line for name, note in notes.items() for line in ("", f"`{name}`: {note}")),
    ]


def _row(figure: Figure) -> str:
    low, high = map(_number, figure.spread)
    spread = f" ({low} to {high})" if figure.rounds > 1 else ""
    return (
        f"| `{figure.name}` | {figure.title} | {_number(figure.figure)} {figure.unit}"
        f" | {figure.reference} | {_number(figure.reference_figure)}"
        f" | {_number(figure.ratio)}{spread}"
        f" | {_target(figure)} | {_MET[figure.met]} |"
    )


_MET = {None: "", True: "yes", False: "**no**"}


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'at most' if figure.at_most else 'at least'} {_number(figure.target)}"


def line_of(figure: Figure) -> str:
    low, high = figure.spread
    target = f", {_target(figure)}" if figure.target is not None else ""
    return (
        f"{figure.name}: {_number(figure.figure)} {figure.unit}, {_number(figure.ratio)} x"
        f" {figure.reference} ({_number(low)} to {_number(high)}{target})"
    )


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
