"""docs/science.md, made from the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.science import sections

_TAUGHT = """## Stars that taught

All of the above is of stars that the model never saw. In a catalogue those that it learnt from are
answered by networks, calibration and tests that did not see them either:
[Stars that taught](taught.md) has the rule and what was measured."""

_EDGES = """## The edges

What limits hot stars and cool giants, what was tried and what it gave: [The edges](edges.md)."""


def write(results: Path, docs: Path) -> None:
    """Write ``science.md`` into `docs` from the JSON files in `results`."""
    found = {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("*.json"))}
    text = [_head(found)]
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for part, section in sections.SECTIONS.items():
        if part in found:
            text.append(section(found[part]["result"], figures))
    text += [_TAUGHT, _EDGES]
    (docs / "science.md").write_text("\n\n".join(text) + "\n")


def _head(found: dict[str, Any]) -> str:
    about = next(iter(found.values()))["about"]
    labelled = ", ".join(f"{n} {name}" for name, n in about["labelled"].items())
    times = [f"{seconds / 60:.0f}" for seconds in about["training_seconds"][: about["members"]]]
    training = f"{', '.join(times)} minutes of wall time for the members, a worker each"
    sky = about["test_sky"]
    return f"""# How good the labels are

Measured by

```sh
python -m tests.benchmarks.science --workdir W --test-archive A --out DIR --docs docs
```

on a simulated sky with known truth ([simulate.md](simulate.md)). `W` is the workdir of a run, `A` a
sky of another seed. The test sky is predicted once for each model, and `DIR/test-openings.jsonl`
says when; every part leaves its numbers in `DIR/results`, and this page is made from them.
`--parts` names some of them; those on real stars take `--real`, the folder of real data, and
`--real-workdir`, a run on the real archive.

Model `{about["model"][:12]}`: {about["members"]} members, at most {about["epochs"]} epochs.
Labelled stars: {labelled}. Training took {training}.
Test sky: seed {sky["seed"]}, {sky["stars"]:,} stars. *Like the training stars* means: chosen by
the label survey's rule (G < 14.3, giants preferred, inside its limits), without an anomaly."""
