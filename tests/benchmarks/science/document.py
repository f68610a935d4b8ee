"""docs/science.md, made from the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.science import sections
from tests.benchmarks.science.summary import summary

_TAUGHT = """## Stars that taught

All of the above is of stars that the model never saw. In a catalogue, those that it learnt from are
answered by networks and tests that did not see them, and their sigma is set by other stars. With
37 366 labelled stars of a simulated sky, 12 epochs, one network for a fold and two for all others,
scatter about the truth is

| split | Teff [K] | log g | [M/H] | [alpha/M] | [Fe/H] |
| --- | --- | --- | --- | --- | --- |
| fit | 25.7 | 0.0349 | 0.0368 | 0.0204 | 0.0353 |
| test | 25.2 | 0.0335 | 0.0356 | 0.0203 | 0.0350 |

with 67.7 to 70.5 % within one sigma, and 94.7 to 95.7 % within the 95 % interval. Against labels of
the real archive, after 20 epochs and with four networks for all others, fit and test stars have 66
and 61 K, 0.164 and 0.149 (log g), 0.032 and 0.031 ([alpha/M]), 0.099 and 0.093 ([Fe/H]). More in
[Stars that taught](taught.md)."""


def write(results: Path, docs: Path) -> None:
    """Write ``science.md`` into `docs` from the JSON files in `results`."""
    found = {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("*.json"))}
    text = ["# How good the labels are", summary(found)]
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for part, section in sections.SECTIONS.items():
        if part in found:
            text.append(section(found[part]["result"], figures))
    text += [_TAUGHT, _measured(found)]
    (docs / "science.md").write_text("\n\n".join(text) + "\n")


def _measured(found: dict[str, Any]) -> str:
    about = next(iter(found.values()))["about"]
    labelled = ", ".join(f"{n} {name}" for name, n in about["labelled"].items())
    times = [f"{seconds / 60:.0f}" for seconds in about["training_seconds"][: about["members"]]]
    sky = about["test_sky"]
    return f"""## How this was measured

On a simulated sky of known truth ([Simulated skies](simulate.md)), seed {sky["seed"]},
{sky["stars"]:,} stars. *Like the training stars* means: chosen by the label survey's rule
(G < 14.3, giants preferred, inside its limits), without an anomaly.

Model `{about["model"][:12]}`: {about["members"]} members, at most {about["epochs"]} epochs.
Labelled stars: {labelled}. Training took {", ".join(times)} minutes for the members, a worker each.

```sh
python -m tests.benchmarks.science --workdir W --test-archive A --out DIR --docs docs
```

makes this page: `W` is the workdir of a run, `A` a sky of another seed, predicted once for each
model (`DIR/test-openings.jsonl` says when). `--parts` names sections; those on real stars take
`--real`, a folder of data, and `--real-workdir`."""
