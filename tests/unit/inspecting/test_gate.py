"""The gate refuses archives that are not as described, and no other ones."""

import re
from pathlib import Path

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.sky import simulate
from tests.unit.inspecting.conftest import (
    BIAS,
    FALLBACK,
    described,
    gate,
    mas,
    rewrite,
    with_bias,
)

REAL = Path(__file__).parents[4] / "shared/data/real-dr3"
GAIA, RVS = "gaia_source", "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"


def columns(content, table):
    return content["tables"][table]["columns"]


def rule(**keys):
    return lambda content: content["spectra"]["rvs"]["normalisation"].update(keys)


def grid(**keys):
    return lambda content: content["spectra"]["rvs"]["grid"].update(keys)


def swap_bands(content):
    for name, spec in columns(content, XP).items():
        if name.startswith(("bp_", "rp_")):
            spec["names"] = [("rp_" if name.startswith("bp_") else "bp_") + name[3:]]


def shift(by, level):
    def change(content):
        content["partition"].update(
            source_id_shift=by, healpix_level=level, position_shift=by, position_level=level
        )

    return change


#: What is wrong with a description, and what the refusal says of it.
TRAPS = {
    "0.2 nm": (grid(start=846.2), ["spectra.rvs.grid:", "to the red", "start is 846.00"]),
    "half a sample of 0.025 nm": (
        grid(start=845.9875),
        ["spectra.rvs.grid:", "to the blue", "start is 846.00"],
    ),
    "air for vacuum": (
        lambda content: content["spectra"]["rvs"].update(medium="air"),
        ["spectra.rvs.grid:", "medium: vacuum"],
    ),
    "all of them constant": (
        lambda content: content["spectra"]["rvs"].update(normalisation={"fixed": "constant"}),
        ["spectra.rvs.normalisation:", "look like pseudo_continuum", "normalisation.fixed"],
    ),
    "all of them pseudo-continuum": (
        rule(threshold=20.0),
        ["spectra.rvs.normalisation:", "look like constant", "normalisation.threshold"],
    ),
    "threshold the other way": (
        rule(below="constant", otherwise="pseudo_continuum"),
        ["spectra.rvs.normalisation:", "normalisation.threshold"],
    ),
    "swapped bands": (swap_bands, ["spectra.xp.products:", "they are swapped", "Swap the names"]),
    "a shift of another release": (
        shift(35, 8),
        ["partition.source_id_shift:", "do not lie in the range", "A shift of 43"],
    ),
    "a column with another name": (
        lambda content: columns(content, GAIA)["grvs_mag"].update(names=["g_rvs_mag"]),
        [
            "spectra.rvs.normalisation.column:",
            "has no column g_rvs_mag",
            "tables.gaia_source.columns.grvs_mag",
        ],
    ),
    "S/N elsewhere": (
        lambda content: columns(content, GAIA)["rvs_spec_sig_to_noise"].update(names=["snr"]),
        ["spectra.rvs.sig_to_noise:"],
    ),
    "the zero point's column": (
        lambda content: columns(content, GAIA)["ecl_lat"].update(names=["beta"]),
        ["parallax_zero_point.inputs.ecl_lat:", "ecl_lat"],
    ),
    "booleans spelt otherwise": (
        lambda content: content["text"].update(true_tokens=["ja"], false_tokens=["nein"]),
        ["tables.gaia_source.columns.has_rvs.dtype:", "are no bool (", "text.true_tokens"],
    ),
    "true for false": (
        lambda content: content["text"].update(true_tokens=["false"], false_tokens=["true"]),
        ["announced_by:", "announces 0%"],
    ),
    "another unit": (
        lambda content: columns(content, GAIA)["radial_velocity"].update(unit="m s-1"),
        ["tables.gaia_source:", "'km.s**-1'", "'m s-1'"],
    ),
    "an array of another length": (
        lambda content: (
            content["spectra"]["rvs"]["grid"].update(count=961, step=0.025),
            columns(content, RVS)["flux"].update(length=961),
            columns(content, RVS)["flux_error"].update(length=961),
        ),
        ["tables.rvs_mean_spectrum.columns.flux.length:", "has 2401 elements, not 961"],
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_contradicts_is_refused_with_line_and_cure(trap, sky, tmp_path):
    change, said = TRAPS[trap]
    with pytest.raises(InputError) as refused:
        gate(sky, described(tmp_path, change)).refuse()
    for words in (*said, "ingest.gate=false"):
        assert words in str(refused.value)


def test_what_is_right_passes(sky):
    report = gate(sky, load_release("dr3"))
    assert report.findings == []
    assert report.in_words().endswith("nothing against it.")
    assert report.facts["spectra.rvs.grid"].startswith("triplet")
    report.refuse()


@pytest.mark.skipif(not REAL.is_dir(), reason="no real data here")
def test_the_real_archive_passes():
    assert gate(REAL, load_release("dr3")).findings == []


def rename(content):
    return content.replace(b"grvs_mag", b"g_rvs_mag")


def test_one_odd_file_is_left_to_the_ingest(archive):
    first = min((archive / "gdr3/gaia_source").glob("GaiaSource_*"))
    rewrite(first, rename)
    assert gate(archive, load_release("dr3")).findings == []


def test_one_file_of_another_grid_is_left_to_the_ingest(tmp_path):
    """It is whole and has as many samples: only where the lines lie tells it from the others."""
    simulate("dr3", 3000, 6, tmp_path / "archive")
    files = gate(tmp_path / "archive", load_release("dr3")).files
    (name,) = (file for file in files if file.startswith("Rvs"))
    (first,) = (tmp_path / "archive").rglob(name)

    def move(content):
        """Put twenty samples of each flux to its end."""
        lines = content.split(b"\n")
        return b"\n".join(
            re.sub(rb'"\[((?:[^,]*,){20})([^]]*)\]"', rb'"[\2,\1]"', line, count=1).replace(
                b",]", b"]"
            )
            for line in lines
        )

    rewrite(first, move)
    report = gate(tmp_path / "archive", load_release("dr3"))
    assert "triplet -0.2" in report.facts["spectra.rvs.grid"]
    assert report.findings == []


def test_files_that_all_differ_are_refused(archive):
    for path in (archive / "gdr3/gaia_source").glob("GaiaSource_*"):
        rewrite(path, rename)
    (found,) = gate(archive, load_release("dr3")).findings
    assert found.line == "spectra.rvs.normalisation.column"
    assert "has g_rvs_mag, which is like grvs_mag (" in found.way_out


def test_damage_is_left_to_the_ingest(archive):
    first = min((archive / "gdr3/Spectroscopy/rvs_mean_spectrum").glob("Rvs*"))
    first.write_bytes(b"<!DOCTYPE html><html></html>")
    report = gate(archive, load_release("dr3"))
    assert report.findings == []
    assert any("HTML" in name for name in report.files)


def test_ids_of_another_release(archive):
    """The spectra's ids lie in their range, and no star of the source table has one of them."""

    def renumber(content):
        lines = (line.partition(b",") for line in content.split(b"\n"))
        return b"\n".join(
            b"%d,%s" % (int(first) + 1, rest) if first.isdigit() else first + comma + rest
            for first, comma, rest in lines
        )

    for path in (archive / "gdr3/Spectroscopy/rvs_mean_spectrum").glob("Rvs*"):
        rewrite(path, renumber)
    lines = {found.line for found in gate(archive, load_release("dr3")).findings}
    assert "tables.rvs_mean_spectrum.columns.source_id" in lines


@pytest.mark.parametrize(
    ("value", "rule", "line", "words"),
    [
        (0.03, {}, "parallax_zero_point.sign", "is +0.030 +- 0.00"),
        (0.03, {"fallback": FALLBACK}, "parallax_zero_point.sign", "mas (-0.03"),
        (-30.0, {}, f"tables.gaia_source.columns.{BIAS}.unit", "no zero point is as large"),
    ],
)
def test_a_bias_that_runs_the_other_way_is_refused(archive, tmp_path, value, rule, line, words):
    release = with_bias(archive, tmp_path, mas(value), **rule)
    (found,) = gate(archive, release).findings
    assert found.line == line
    assert words in found.problem


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (-0.03, {"fallback": FALLBACK}),
        (0.004, {}),
        (0.03, {"sign": "add"}),
        (0.03, {"sign": "subtract"}),
        (-0.03, {"sign": "subtract"}),
    ],
)
def test_a_bias_of_the_right_or_the_stated_sign_passes(archive, tmp_path, value, rule):
    report = gate(archive, with_bias(archive, tmp_path, mas(value), **rule))
    assert report.findings == []
    assert "median of tentative_parallax_bias" in report.facts["parallax_zero_point.sign"]


def test_columns_of_the_fallback_must_be_there(archive, tmp_path):
    with_bias(archive, tmp_path, mas(-0.03))

    def change(content):
        columns(content, GAIA)[BIAS] = {"dtype": "float64", "unit": "mas"}
        columns(content, GAIA)["ecl_lat"]["names"] = ["beta"]
        content["parallax_zero_point"] = {
            "rule": "column", "inputs": {"bias": BIAS}, "fallback": FALLBACK,
        }  # fmt: skip

    (found,) = gate(archive, described(tmp_path, change)).findings
    assert found.line == "parallax_zero_point.fallback.inputs.ecl_lat"
    assert "has no column beta" in found.problem


def test_the_draft_of_dr4_loads_and_its_guesses_are_named(sky):
    release = load_release("dr4")
    assert release.spectra["rvs"].grid.count == 961
    with pytest.raises(InputError, match="holds no gaia_source of Gaia Data Release 4"):
        gate(sky / "truth", release)
