"""docs/science.md, made from the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.science import sections
from tests.benchmarks.science.summary import summary

# To be written anew with the page.
_WHICH = """## Which model made which table

Tables of the simulated sky, peers and flaws included, are of one model without folds: its
networks are of stage train 8, which trained an ensemble as today's does, its sigma of stage
model 23. Networks of the flaws of the synthesis are trained for that section. The real archive's
test stars are of a run at the default settings."""
_TAUGHT = """## Stars that taught

All of the above is of stars that the model never saw. In a catalogue, those that it learnt from are
answered by networks and tests that did not see them, and their sigma is set by other stars. On the
real archive, at the default settings, scatter against APOGEE's labels, and the share within sigma:

| split | answered by | Teff [K] | log g | [alpha/M] | [Fe/H] |
| --- | --- | --- | --- | --- | --- |
| fit | two networks without its fold | 59, 67.9 | 0.145, 67.7 | 0.028, 68.3 | 0.089, 67.5 |
| test | four networks | 57, 69.4 | 0.140, 68.1 | 0.029, 69.0 | 0.084, 67.5 |

On the same stars, two networks without a fold scatter 0.0 to 1.6 % more than the four (+- 1.1 to
1.4); the rest is that one split's stars are easier than another's. A simulated sky, and all that
was tried: [Stars that taught](taught.md)."""


def write(results: Path, docs: Path) -> None:
    """Write ``science.md`` into `docs` from the JSON files in `results`."""
    found = {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("*.json"))}
    text = ["# How good the labels are", summary(found), _WHICH]
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
