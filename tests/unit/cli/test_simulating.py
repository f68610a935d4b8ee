"""`simulate` refuses what cannot be simulated before a cluster is opened or a folder made."""

from __future__ import annotations

import pytest

from catalog_builder.simulate.twin.traps import TRAPS

TWIN = ("--release", "dr4", "--twin-of", "dr3")


@pytest.mark.parametrize(
    ("options", "problem", "way_out"),
    [
        (("--layout", "ranges"), "--layout", "--twin-of"),
        (("--trap", "faint"), "--trap", "--twin-of"),
        (("--release", "dr4"), "matrices", "--release dr4 --twin-of dr3"),
        ((*TWIN, "--trap", "nonsense"), "nonsense", "bias-renamed"),
        ((*TWIN, "--normalisation", "none"), "--normalisation none", "brightness, median"),
        ((*TWIN, "--merged", "2"), "--merged", "0 to 1"),
        (("--release", "dr3", "--twin-of", "dr3"), "--release dr3", "--release dr4"),
    ],
)
def test_what_cannot_be_is_named_with_a_way_out(options, problem, way_out, command, tmp_path):
    answer = command("simulate", "--out", tmp_path / "skies", *options)
    assert answer.code == 3
    said = answer.err.partition("->")
    assert problem in said[0]
    assert way_out in said[2]
    assert not (tmp_path / "skies").exists()


def test_two_archives_are_written_and_named(command, tmp_path):
    traps = [part for trap in ("faint", "bias-flipped") for part in ("--trap", trap)]
    answer = command(
        "simulate", "--out", tmp_path / "skies", *TWIN, "--stars", "100", "--workers", "1", *traps
    )
    assert answer.code == 0
    for name in ("archive-dr3", "archive-dr4"):
        assert (tmp_path / "skies" / name / "SIMULATED.json").is_file()
        assert str(tmp_path / "skies" / name) in answer.out
    assert "dr4-simulated.yaml" in answer.out
    assert "Traps, which it does not say: faint, bias-flipped" in answer.out
    assert {"faint", "bias-flipped"} <= set(TRAPS)
