"""What was planted in two tables of the same stars comes out of their comparison."""

import numpy as np
import pytest

from catalog_builder.comparing import verdict
from catalog_builder.comparing.changes import GAINED, LOST
from catalog_builder.comparing.engine import compare
from catalog_builder.comparing.matching import CrosswalkIds, Match
from catalog_builder.comparing.pairs import ABSENT
from tests.unit.comparing.conftest import SIGMA, STARS, Sky


@pytest.fixture
def observed(sky, compared_schema):
    return sky.observe(compared_schema), sky.observe(compared_schema, scale=0.7)


def test_independent_errors_agree(observed, side):
    found = compare(*map(side, observed))
    assert found.stars == STARS
    assert [judged.state for judged in verdict.judgements(found)] == ["agrees"] * len(SIGMA)
    for name, tally in found.tallies.items():
        numbers = tally.numbers()
        assert abs(numbers.shares["independent"].within_1 - 0.683) < 0.025
        assert abs(numbers.shares["independent"].beyond_3 - 0.0027) < 0.003
        assert numbers.scatter == pytest.approx(SIGMA[name] * 1.22, rel=0.06)
        needed, error = tally.needed_correlation()
        assert abs(needed) < 4 * error < 0.3
    assert verdict.in_words(found) == "No drift in 5 labels."
    assert not found.changes.lost.stars
    assert not found.changes.gained.stars


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_clean_skies_do_not_drift(seed, side, compared_schema):
    sky = Sky(seed=seed)
    found = compare(side(sky.observe(compared_schema)), side(sky.observe(compared_schema)))
    assert not any(judged.state == "drifts" for judged in verdict.judgements(found))


def test_the_same_table_twice_is_no_drift(observed, side):
    found = compare(side(observed[0]), side(observed[0]))
    for tally in found.tallies.values():
        numbers = tally.numbers()
        assert (numbers.median, numbers.median_error, numbers.scatter) == (
            0,
            pytest.approx(0, abs=1e-2),
            0,
        )
        assert numbers.unchanged == STARS
    assert "to the last digit" in verdict.in_words(found)
    assert not any(each.state == "drifts" for each in verdict.regime_judgements(found))


def test_a_planted_offset_is_found_within_its_error(observed, side):
    old, new = observed
    new["teff"] += np.float32(20)
    found = compare(side(old), side(new))
    numbers = found.tallies["teff"].numbers()
    assert abs(numbers.median - 20) < 3.5 * numbers.median_error
    assert numbers.median_error == pytest.approx(1.2533 * numbers.scatter / STARS**0.5, rel=0.4)
    states = {judged.label: judged.state for judged in verdict.judgements(found)}
    assert [name for name, state in states.items() if state == "drifts"] == ["teff"]
    assert verdict.in_words(found).startswith("Drift in 1 of 5 labels. teff: median difference +")


def test_an_offset_of_some_stars_is_found_in_their_regime_alone(observed, side):
    old, new = observed
    faint = old["phot_g_mean_mag"] > 15
    new["logg"][faint] += np.float32(0.05)
    found = compare(side(old), side(new))
    assert verdict.judge(found.tallies["logg"]).state == "agrees"
    drifting = [each for each in verdict.regime_judgements(found) if each.state == "drifts"]
    assert [(each.label, each.division, each.regime) for each in drifting] == [
        ("logg", "G", "15 to 16")
    ]


def test_scatter_beyond_what_is_stated_drifts(sky, compared_schema, side):
    old = sky.observe(compared_schema)
    new = sky.observe(compared_schema, scale=1.0, stated=0.6)
    found = compare(side(old), side(new))
    for judged in verdict.judgements(found):
        assert judged.state == "drifts"
        assert "of independent errors" in judged.reasons[-1]


def test_shared_errors_lie_between_the_bounds_and_agree_with_their_correlation(
    sky, compared_schema, side
):
    both = [side(sky.observe(compared_schema, scale=s, rho=0.5)) for s in (1.0, 0.6)]
    found = compare(*both)
    assert {judged.state for judged in verdict.judgements(found)} == {"within bounds"}
    for tally in found.tallies.values():
        needed, error = tally.needed_correlation()
        assert abs(needed - 0.5) < 4 * error
    told = compare(*both, correlation=0.5)
    assert {judged.state for judged in verdict.judgements(told)} == {"agrees"}
    by_label = compare(*both, correlation={"teff": 0.5})
    assert [t.correlation for t in by_label.tallies.values()] == [0.5, 0, 0, 0, 0]


def test_answers_that_agree_better_than_any_sigma_allows_are_no_drift(sky, compared_schema, side):
    old = sky.observe(compared_schema)
    new = {name: values.copy() for name, values in old.items()}
    for name in SIGMA:
        new[name] += (0.05 * SIGMA[name] * sky.rng.normal(size=STARS)).astype("f4")
        new[f"e_{name}"] *= np.float32(3)
    found = compare(side(old), side(new))
    assert {judged.state for judged in verdict.judgements(found)} == {"too small"}
    assert verdict.in_words(found).startswith("No drift in 5 labels. Differences of teff, logg")
    assert verdict.in_words(found).endswith("sigma is too large.")


def test_nested_data_are_the_other_bound(sky, compared_schema, side):
    """The old answer is the new one with noise of its own on top."""
    new = sky.observe(compared_schema, scale=0.6)
    old = {name: values.copy() for name, values in new.items()}
    for name in SIGMA:
        more = 0.8 * new[f"e_{name}"] / 0.6
        old[name] += (more * sky.rng.normal(size=STARS)).astype("f4")
        old[f"e_{name}"] = np.hypot(new[f"e_{name}"], more).astype("f4")
    found = compare(side(old), side(new))
    for tally in found.tallies.values():
        assert abs(tally.numbers().shares["nested"].within_1 - 0.683) < 0.03
        assert tally.numbers().shares["independent"].within_1 > 0.72
    assert {judged.state for judged in verdict.judgements(found)} == {"within bounds"}


def test_a_division_by_temperature_plants_no_shift(sky, compared_schema, side):
    """By the old temperature alone, its noise would look like a shift at both ends."""
    both = (sky.observe(compared_schema, scale=4.0), sky.observe(compared_schema, scale=3.0))
    found = compare(*map(side, both))
    judged = [e for e in verdict.regime_judgements(found) if e.label == "teff"]
    ends = [e for e in judged if e.division == "Effective temperature" and e.numbers.stars > 200]
    assert len(ends) > 4
    assert all(abs(e.numbers.median) < 4 * e.numbers.median_error for e in ends)


def test_changes_of_flags_tiers_and_nulls_are_counted(observed, side, compared_schema):
    old, new = observed
    mask = compared_schema.flags["teff_outside_range"].mask
    old["flags"][:30] |= mask
    new["flags"][20:60] |= mask
    new["quality_tier"][:] = old["quality_tier"]
    new["quality_tier"][old["quality_tier"] == 2] = 1
    for name in ("m_h", "e_m_h"):
        old[name][:5] = np.nan
        new[name][3:10] = np.nan
    found = compare(side(old), side(new))
    change = found.changes.bits["teff_outside_range"]
    assert (change.both, change.set, change.unset) == (10, 30, 20)
    assert found.changes.tiers[2, 1] == np.count_nonzero(old["quality_tier"] == 2)
    assert found.changes.tiers.sum() == np.trace(found.changes.tiers) + found.changes.tiers[2, 1]
    nulls = found.tallies["m_h"].nulls
    assert (nulls.lost, nulls.gained, nulls.neither) == (5, 3, 2)
    assert nulls.both == STARS - 10


def test_lost_and_gained_stars_are_counted_where_they_are(observed, side):
    old, new = observed
    bright = old["phot_g_mean_mag"] < 9
    there = np.arange(STARS) % 10 != 3
    found = compare(
        side({name: values[there] for name, values in old.items()}),
        side({name: values[~bright] for name, values in new.items()}),
    )
    lost, gained = found.changes.lost, found.changes.gained
    assert found.stars == np.count_nonzero(there & ~bright)
    assert lost.reasons == {LOST[ABSENT]: np.count_nonzero(there & bright)}
    assert gained.reasons == {GAINED[ABSENT]: np.count_nonzero(~there & ~bright)}
    assert lost.regimes["magnitude"].tolist()[:2] == [0, lost.stars]
    assert gained.regimes["tier"].sum() == gained.stars


def test_renumbered_stars_are_compared_through_a_crosswalk(observed, side):
    old, new = observed
    rng = np.random.default_rng(5)
    renamed = rng.permutation(STARS) + 10**12
    new["source_id"] = renamed
    ids = old["source_id"]
    # 0 has no match, 1 was split, 2 and 3 were merged.
    pairs_old = np.concatenate([ids[1:], ids[1:2]])
    pairs_new = np.concatenate([renamed[1:], [renamed[1] + 10**9]])
    pairs_new[2] = pairs_new[1]
    order = rng.permutation(len(pairs_old))
    found = compare(
        side(old), side(new), CrosswalkIds(pairs_old[order], pairs_new[order], title="a table")
    )
    assert found.stars == STARS - 4
    assert found.changes.lost.reasons == {
        LOST[Match.NONE]: 1,
        LOST[Match.SEVERAL]: 1,
        LOST[Match.SHARED]: 2,
    }
    assert found.changes.gained.reasons == {
        GAINED[Match.NONE]: 2,
        GAINED[Match.SEVERAL]: 1,
        GAINED[Match.SHARED]: 1,
    }
    assert {judged.state for judged in verdict.judgements(found)} == {"agrees"}


def test_labels_that_one_has_alone_are_named(observed, side, compared_schema):
    old, new = observed
    kept = tuple(c for c in compared_schema.all_columns if not c.name.endswith("fe_h"))
    before = compared_schema.model_copy(update={"all_columns": kept})
    found = compare(side(old, schema=before), side(new))
    assert list(found.tallies) == ["teff", "logg", "m_h", "alpha_m"]
    assert (found.only_old, found.only_new) == ((), ("fe_h",))


def test_tables_without_tiers_or_magnitudes_are_compared_all_the_same(
    observed, side, compared_schema
):
    without = {"quality_tier", "phot_g_mean_mag", "rvs_spec_sig_to_noise", "teff", "e_teff"}
    kept = tuple(c for c in compared_schema.all_columns if c.name not in without)
    plain = compared_schema.model_copy(update={"all_columns": kept})
    found = compare(*(side(columns, schema=plain) for columns in observed))
    assert found.divisions == ()
    assert found.changes.tiers is None
    assert verdict.judge(found.tallies["logg"]).state == "agrees"


def test_few_stars_are_not_judged(observed, side):
    old, new = ({name: values[:12] for name, values in columns.items()} for columns in observed)
    found = compare(side(old), side(new))
    assert {judged.state for judged in verdict.judgements(found)} == {"too few stars"}
    assert verdict.in_words(found) == "Not judged: no label has 20 stars in both."


def test_no_star_in_common_is_told(observed, side):
    old, new = observed
    new["source_id"] = new["source_id"] + 1
    found = compare(side(old), side(new))
    assert found.stars == 0
    assert verdict.in_words(found).startswith("Nothing to compare")
