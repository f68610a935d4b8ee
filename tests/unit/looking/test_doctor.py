"""The doctor ends with a verdict, and counts workers as a run does."""

import pytest

from catalog_builder.ground import extras
from catalog_builder.looking.doctor import examine
from catalog_builder.runtime.clusters.local import available_cores
from catalog_builder.runtime.clusters.settings import ClusterSettings


@pytest.mark.parametrize("asked", [None, 7])
def test_a_healthy_machine_is_called_so(asked, tmp_path):
    report = examine(tmp_path / "work", ClusterSettings(workers=asked))
    assert report.error is None
    lines = report.text.splitlines()
    assert report.verdict == "verdict    a run works here"
    assert f"a run takes {asked or available_cores()} (--workers)" in lines[-1]
    assert not (tmp_path / "work").exists()


def test_what_will_not_work_and_what_is_missing_is_said_at_the_end(tmp_path, monkeypatch):
    elsewhere = ClusterSettings(kind="kubernetes")
    report = examine(tmp_path / "work", elsewhere)
    assert report.error is not None
    assert report.verdict == "verdict    a run will not work yet: see above"
    monkeypatch.setattr(extras, "RUN", ("no_such_package",))
    report = examine(tmp_path / "work", ClusterSettings(workers=1))
    assert report.verdict.endswith("read here, not made: no_such_package not installed")
