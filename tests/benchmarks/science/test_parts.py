"""The pieces that the parts are built of, where a small example shows that they are right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science import evidence, flaws
from tests.benchmarks.science.limit.part import alpha_boundary, groups
from tests.benchmarks.science.limit.population import alpha_mean
from tests.benchmarks.science.markdown import NAMES, misses, number, shares, signed, table
from tests.benchmarks.science.measures import judge
from tests.benchmarks.science.peers.design import Design
from tests.benchmarks.science.real import empty_block
from tests.benchmarks.science.sky import RunOfModel
from tests.benchmarks.science.summary import summary
from tests.benchmarks.science.views import hide

MODALITIES = default_contract().inputs.names
WAVELENGTHS = default_contract().inputs.spectra["rvs"].grid.nanometres()


def _block(stars: int):
    rng = np.random.default_rng(0)
    block = empty_block(np.arange(1, stars + 1))
    for name in ("rvs", "xp", "photometry", "parallax"):
        block[f"has_{name}"][:] = True
    block["rvs_mask"][:] = True
    block["rvs_flux"] = (1.0 + 0.1 * rng.normal(size=(stars, 800))).astype("f4")
    block["xp_flux"] = (1.0 + 0.1 * rng.normal(size=(stars, 343))).astype("f4")
    for k, band in enumerate(("g", "bp", "rp")):
        block[f"phot_{band}_mean_mag"] = (12.0 + k + rng.normal(size=stars)).astype("f4")
    block["parallax"] = block["parallax_corrected"] = rng.uniform(0.5, 2.0, stars)
    block["parallax_error"] = np.full(stars, 0.02, "f4")
    return block


def test_peers_see_nothing_of_an_input_that_is_absent():
    block = _block(200)
    design = Design.fit(block)
    hidden = hide(block, ("rvs", "parallax"))
    columns = design.columns(hidden)
    assert np.isnan(columns[:, :61]).all()
    assert np.isfinite(columns[:, 61 : 61 + 81]).all()
    filled = design.filled(hidden)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[0, -4:], [1.0, 0.0, 0.0, 1.0])
    other = {**hidden, "rvs_flux": hidden["rvs_flux"] * 0.5, "parallax": hidden["parallax"] * 3.0}
    np.testing.assert_array_equal(design.filled(other), filled)


def test_spectra_are_shuffled_among_neighbours_and_nobody_keeps_its_own():
    block = _block(300)
    partner = evidence._partners(block)
    assert sorted(partner) == list(range(300))
    assert np.all(partner != np.arange(300))
    colour = block["phot_bp_mean_mag"] - block["phot_rp_mean_mag"]
    assert np.median(np.abs(colour - colour[partner])) < 0.3 * np.std(colour)


def test_a_gradient_in_the_calcium_triplet_stands_out():
    wavelength = 846.05 + 0.12 * np.arange(200)
    gradient = np.ones((200, 5))
    near = np.abs(wavelength[:, None] - np.array([850.036, 854.444, 866.452])).min(axis=1) < 0.3
    gradient[near, 3] = 4.0
    rows = {row["region"]: row for row in evidence._regions(wavelength, gradient)}
    assert rows["Ca II triplet"]["alpha_m"] > 3.0
    assert rows["Ca II triplet"]["teff"] == pytest.approx(1.0)
    assert rows["Fe I"]["alpha_m"] == pytest.approx(1.0)


def test_the_boundary_of_the_sequences_lies_between_them():
    m_h = np.linspace(-0.7, 0.1, 9)
    low, high = (alpha_mean(np.full(9, kind), m_h) for kind in (0, 1))
    assert np.all((alpha_boundary(m_h) > low) & (alpha_boundary(m_h) < high))


def test_a_workdir_without_a_model_is_refused_with_a_way_out(tmp_path):
    with pytest.raises(InputError, match="no trained model"):
        RunOfModel.open(tmp_path)


def test_numbers_have_the_digits_of_their_label():
    assert number("teff", 61.7) == "62"
    assert signed("m_h", -0.0123) == "-0.012"
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_misses_are_bold_and_counted():
    row = {"n": 100, "cover_68": 0.6, "cover_68_low": 0.5, "cover_68_high": 0.69}
    row |= {"cover_95": 0.95, "cover_95_low": 0.9, "cover_95_high": 0.98}
    row |= judge(row)
    assert shares(row) == "**60.0 +- 9.5** / 95.0 +- 4.0"
    assert misses([row, {"n": 0}]).startswith("1 of 2 cells miss their aim (bold), 0 of them")


def test_an_input_that_no_star_has_gives_the_peers_no_components():
    block = _block(100)
    design = Design.fit({**block, "has_rvs": np.zeros(100, bool)})
    assert design.axes["rvs"].shape == (800, 0)
    assert np.isfinite(design.filled(block)).all()


def test_flaws_fill_the_cores_of_calcium_and_leave_what_is_masked():
    flux = np.ones((400, 800), np.float32)
    flux -= 0.5 * np.exp(-0.5 * ((WAVELENGTHS - 854.444) / 0.08) ** 2).astype("f4")
    spoilt = flaws.add_flaws(flux, np.random.default_rng(0))
    core = np.argmin(np.abs(WAVELENGTHS - 854.444))
    assert np.mean(spoilt[:, core] - flux[:, core]) == pytest.approx(0.04, abs=0.01)
    assert 0.003 < np.std(spoilt[:, 300] - flux[:, 300]) < 0.02
    block = _block(50)
    block["rvs_mask"][:, :20] = False
    hidden = flaws._flawed(block)
    assert not hidden["rvs_flux"][:, :20].any()
    untold = flaws._untold(block)["rvs_normalisation"]
    assert 0 < np.sum(untold == 3) < 50


def test_each_place_and_bin_of_the_halo_has_its_own_share_of_posteriors():
    rng = np.random.default_rng(0)
    n = 4000
    frame = pl.DataFrame(
        {
            "source_id": np.arange(1, n + 1),
            "rvs_spec_sig_to_noise": rng.uniform(15.0, 25.0, n),
            "true.like_training": np.ones(n, bool),
            "true.grvs_mag": np.full(n, 12.5),
            "true.m_h": np.where(np.arange(n) % 40 == 0, -2.2, -0.3),
            # One star in fifty is far out.
            "true.galactocentric_radius": np.where(np.arange(n) % 50 == 1, 10.0, 8.0),
            "true.height": np.full(n, 0.1),
            **{f"has_{name}": np.ones(n, bool) for name in MODALITIES},
        }
    )
    found = groups(frame, 100)
    assert len(found["15 to 25"]) == 100
    assert len(found[">= 50"]) == 0
    assert found["halo, 15 to 25"]["true.m_h"].to_list() == [-2.2] * 25
    disc = found["disc, 15 to 25"]["true.galactocentric_radius"].to_list()
    assert sorted(disc) == [8.0] * 100 + [10.0] * 80


def _page():
    return (Path(__file__).parents[3] / "docs" / "science.md").read_text(encoding="utf-8")


def test_the_page_tells_what_was_tried_as_its_source_does():
    """What is told by hand would be lost from the page when that is made anew."""
    section = _page().split("## Information limit\n")[1].split("\n## ")[0]
    tried = Path(__file__).parent / "limit" / "tried.md"
    assert section.strip().endswith(tried.read_text(encoding="utf-8").strip())


def test_the_page_says_first_what_its_tables_say():
    """The paragraphs on top of docs/science.md are those of its numbers, and nothing else."""
    page = _page()
    labels = default_contract().labels.names

    def line(start, section):
        part = page.split(f"\n## {section}\n")[1]
        return (
            next(row for row in part.splitlines() if row.startswith(start)).strip("| ").split(" | ")
        )

    def bins(name):
        after = page.split("Coverage 68 / 95:")[1]
        shares = next(row for row in after.splitlines() if row.startswith(f"| {name} |")).split(
            " | "
        )
        scatter = line(f"| {name} |", "Precision and coverage")
        for n, label in enumerate(labels, 2):
            cover = [float(share.split()[0].strip("* ")) / 100 for share in shares[n].split("/")]
            yield {
                "population": "like the training stars", "bin": name.removeprefix("S/N "),
                "label": label, "n": int(scatter[1].replace(",", "")),
                "scatter": float(scatter[n].split()[0]), "cover_68": cover[0], "cover_95": cover[1],
            }  # fmt: skip

    limit = page.split("## Information limit")[1].split("\n\nThe ranks")[0]
    ratios = re.findall(r"\| (\d\.\d\d) \(\d.*?\) \| \d\.\d\d \(", limit)
    within = line("| no XP | shuffled | [M/H]", "Spectra or habits")[5]
    flagged = line("| `outside_labels` | yes", "Strange stars")[-1]
    benchmark = page.split("Gaia FGK")[1]
    teff = next(row for row in benchmark.splitlines() if row.startswith("| Teff")).split("**")[1]
    real = []
    for label in labels:
        start = f"| {NAMES[label]} | network"
        if start in page:
            _, _, n, scatter, *_ = line(start, "Real stars: the run's test split")
            real.append({
                "range": "all", "method": "network", "label": label, "n": int(n),
                "scatter": float(scatter),
            })  # fmt: skip
    found = {
        "coverage": {"bins": [*bins("all"), *bins("S/N 15 to 25")]},
        "limit": {"groups": [{"ratio": float(ratio)} for ratio in ratios]},
        "evidence": {"shuffle": {"rows": [{
            "inputs": "no XP", "spectra": "shuffled", "label": "m_h",
            "within": [float(within.split()[0]) / 100],
        }]}},
        "anomalies": {"classes": [
            {"class": "outside_labels", "with_rvs": True, "flagged": float(flagged) / 100}
        ]},
        "real_stars": {"benchmark": {"compared": [
            {"label": "teff", "cover_68": float(teff.split()[0]) / 100}
        ]}},
        "real_split": {"rows": real},
    }  # fmt: skip
    top = page.split("# How good the labels are\n\n")[1].split("\n\n## ")[0]
    assert summary({part: {"result": result} for part, result in found.items()}) == top
