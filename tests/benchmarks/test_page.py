"""The page of the benchmarks: one table for each theme, and what was missed or broke is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks.measure import Figure, write_page


def figure(name: str, ratio: float) -> Figure:
    return Figure(name, "what", ratio, "stars/s", "isal", 1.0, ratio, (ratio, ratio), 1, 0.5)


def test_a_page_tells_what_was_missed_and_what_broke(tmp_path: Path) -> None:
    figures = [figure("ingest-rvs", 0.6), figure("predict-stage", 0.4), figure("unheard-of", 1.0)]
    write_page(tmp_path, figures, 61.0, ["test_training"])
    page = (tmp_path / "benchmarks.md").read_text()
    assert "2 of 3 met; **missed**: `predict-stage` beside isal" in page
    assert "**not measured**, for they broke: test_training" in page
    assert page.index("## Ingest") < page.index("## Prediction") < page.index("## Others")
    assert "## Training" not in page
    content = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [each["met"] for each in content["figures"]] == [True, False, True]
    assert content["broken"] == ["test_training"]
