"""A run against the population of its model: what raises an alarm, and what rightly does not."""

import numpy as np
import pytest

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import InputCollector, InputCounts
from catalog_builder.inference.alarms import NO_REFERENCE, compare, difference
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.population import AnswerCounts, Answers, Population

CONTRACT = default_contract()
INPUTS, SCHEMA = CONTRACT.inputs, CatalogSchema.of(CONTRACT)
SETTINGS = AlarmSettings()


def stars(count, seed, *, median_snr=60.0, median_g=13.0, **changed):
    """Return sources of a sky: a third with RVS, all with XP, some flags by chance and by S/N."""
    rng = np.random.default_rng(seed)
    g = rng.normal(median_g, 1.0, count)
    snr = median_snr * np.exp(rng.normal(0, 0.5, count))
    rvs = g < median_g - 0.4
    colour = rng.normal(1.0, 0.3, count)
    block = {
        "source_id": np.arange(count),
        "has_rvs": rvs,
        "has_xp": np.ones(count, bool),
        "has_photometry": np.ones(count, bool),
        "has_parallax": rng.random(count) < 0.99,
        "rvs_spec_sig_to_noise": np.where(rvs, snr, np.nan),
        "phot_g_mean_mag": g,
        "phot_bp_mean_mag": g + 0.4 * colour,
        "phot_rp_mean_mag": g - 0.6 * colour,
        "parallax": np.ones(count),
        "parallax_corrected": 1.0 + rng.normal(0.035, 0.01, count),
        "rvs_median": rng.normal(0.97, 0.02, count),
    }
    return {**block, **{name: make(block, rng) for name, make in changed.items()}}


def seen(block):
    collector = InputCollector(INPUTS)
    collector.add_sources(block)
    rvs = block["rvs_median"][block["has_rvs"]][:, None] * np.ones(64)
    error = rvs / block["rvs_spec_sig_to_noise"][block["has_rvs"]][:, None]
    collector.add_spectra(
        "rvs", {"rvs_flux": rvs, "rvs_flux_error": error, "rvs_mask": np.ones(rvs.shape, bool)}
    )
    return collector.counts()


def said(block, rate=0.3, seed=9):
    """Return what is said of stars: a flag that fainter spectra have more often."""
    rng, flags = np.random.default_rng(seed), SCHEMA.flags
    chance = np.clip(rate * 30 / np.nan_to_num(block["rvs_spec_sig_to_noise"], nan=60.0), 0, 1)
    odd = rng.random(len(chance)) < chance
    masks = {name: np.zeros(len(odd), np.int64) for name in flags.columns}
    for name, where in (
        ("rvs_used", block["has_rvs"]),
        ("xp_used", block["has_xp"]),
        ("xp_out_of_distribution", odd),
    ):
        masks[flags[name].column][where] |= flags[name].mask
    answers = Answers(SCHEMA)
    answers.add({**block, **masks, "quality_tier": np.where(odd, 3, 1).astype(np.uint8)})
    return answers.counts()


def population(count=4000, **changed):
    block = stars(count, 1, **changed)
    answers = said(block)
    return Population(archive=10 * count, inputs=seen(block), answers=answers, own=answers)


def alarms(block, reference=None, rate=0.3):
    reference = reference or population()
    found = compare(reference, INPUTS, seen(block), said(block, rate), SCHEMA, SETTINGS)
    assert found.not_compared is None
    return {alarm.about: alarm.words for alarm in found.alarms}, found


@pytest.mark.parametrize("seed", range(20))
def test_another_sample_of_the_same_sky_raises_none(seed):
    assert alarms(stars(1500, 100 + seed))[0] == {}


def test_a_deeper_sky_is_compared_with_stars_like_its_own():
    """Its flags are twice as many and rightly so; that S/N is elsewhere is told, as no alarm."""
    deeper = stars(3000, 5, median_snr=35.0, median_g=13.8)
    share = np.mean(said(deeper).share("xp_out_of_distribution").popitem()[1])
    assert share > 0
    told, found = alarms(deeper)
    assert told == {}
    assert any("S/N of RVS" in remark for remark in found.remarks)


def test_one_deeper_than_all_of_the_archive_has_nothing_to_be_compared_with():
    told, _ = alarms(stars(3000, 5, median_snr=4.0))
    assert "an S/N of RVS (rvs_spec_sig_to_noise) below" in told["rvs_spec_sig_to_noise"]
    assert "none like them" in told["rvs_flux_over_error"]


@pytest.mark.parametrize(
    ("changed", "about", "words"),
    [
        (
            {"parallax_corrected": lambda block, rng: block["parallax"] - 0.035},
            "parallax_zero_point",
            "+0.03",
        ),
        (
            {"parallax_corrected": lambda block, rng: np.full(len(block["parallax"]), np.nan)},
            "parallax_corrected_known",
            "0 % of the stars with a parallax have a zero point",
        ),
        (
            {"rvs_spec_sig_to_noise": lambda block, rng: block["has_rvs"] * np.nan},
            "rvs_spec_sig_to_noise_known",
            "0 % of the stars with RVS have an S/N",
        ),
        (
            {"has_rvs": lambda block, rng: np.zeros(len(block["has_rvs"]), bool)},
            "has_rvs",
            "0 % of the stars have RVS",
        ),
        (
            {"rvs_median": lambda block, rng: np.ones(len(block["has_rvs"]))},
            "rvs_median",
            "median flux of the RVS spectra",
        ),
        (
            {
                "phot_g_mean_mag": lambda block, rng: np.full(len(block["has_rvs"]), np.nan),
                "has_photometry": lambda block, rng: np.zeros(len(block["has_rvs"]), bool),
            },
            "has_photometry",
            "0 % of the stars have photometry",
        ),
    ],
    ids=["sign", "no bias", "no S/N", "no RVS", "normalisation", "no photometry"],
)
def test_what_is_spoilt_in_silence_is_named(changed, about, words):
    told, _ = alarms(stars(1500, 7, **changed))
    assert words in told[about]


def test_flags_beyond_what_their_regimes_explain_are_named():
    told, found = alarms(stars(1500, 7), rate=0.8)
    assert "have the flag xp_out_of_distribution" in told["xp_out_of_distribution"]
    assert "are of the tier gold" in told["gold"]
    assert found.lines()[0].endswith("alarms.")
    assert found.lines()[1].startswith("ALARM: ")


def test_an_input_that_the_release_does_not_have_is_one_that_no_star_has():
    here = seen(stars(1500, 7))
    lacking = here.model_copy(
        update={"shares": {n: s for n, s in here.shares.items() if n != "has_rvs"}}
    )
    found = compare(population(), INPUTS, lacking, None, SCHEMA, SETTINGS)
    assert [alarm.about for alarm in found.alarms] == ["has_rvs"]


def test_what_cannot_be_compared_is_said_and_no_alarm():
    here = seen(stars(1500, 7))
    found = compare(None, INPUTS, here, None, SCHEMA, SETTINGS)
    assert found.not_compared == NO_REFERENCE
    assert found.lines() == [f"Not compared with the model's training archive: {NO_REFERENCE}."]
    few = compare(population(), INPUTS, seen(stars(150, 7)), None, SCHEMA, SETTINGS)
    assert few.not_compared.startswith("150 stars")
    old = compare(population(), INPUTS, InputCounts(), None, SCHEMA, SETTINGS)
    assert "earlier version" in old.not_compared


def test_what_is_asked_of_a_few_stars_is_not_compared():
    """Three stars have a spectrum, say, in either of the two."""
    few = {"has_rvs": lambda block, rng: block["source_id"] < 3}
    told, found = alarms(stars(1500, 7, **few), population(**few))
    assert told == {}
    assert alarms(stars(1500, 7, **few))[0].keys() == {"has_rvs"}
    assert alarms(stars(1500, 7), population(**few))[0] == {}
    assert found.tests > 20


def test_counts_of_partitions_add_up():
    block = stars(1000, 3)
    halves = [{name: values[part] for name, values in block.items()}
              for part in (slice(0, 300), slice(300, None))]  # fmt: skip
    assert InputCounts.total(map(seen, halves)) == InputCounts.total([seen(block)])
    parts = [said(half, rate=0.0) for half in halves]
    assert AnswerCounts.total(parts) == said(block, rate=0.0)


def test_chance_is_beyond_as_often_as_it_says():
    """Of shares that are the same in both: beyond 1.96 errors in 5 of 100 comparisons."""
    rng = np.random.default_rng(0)
    chances = {"a": 0.02, "b": 0.3, "c": 0.9}
    sizes = {"a": (300, 4000), "b": (900, 200), "c": (40, 30)}
    beyond = 0
    for _ in range(2000):
        here, there = (
            {name: (sizes[name][side], rng.binomial(sizes[name][side], chance))
             for name, chance in chances.items()}
            for side in (0, 1)
        )  # fmt: skip
        found = difference(here, there)
        beyond += abs(found.here - found.there) > 1.96 * found.error
    assert 0.035 < beyond / 2000 < 0.065


def test_a_run_in_which_as_many_taught_is_compared_with_answers_by_their_folds():
    """Without their folds' models there would be more gold stars than such a run has."""
    reference = population()
    taught = {name: {**counts, "in_training_sample": counts["stars"] // 3}
              for name, counts in reference.answers.strata.items()}  # fmt: skip
    reference = reference.model_copy(update={"own": AnswerCounts(strata=taught)})
    assert reference.answers_like(AnswerCounts(strata=taught)) is reference.own
    assert reference.answers_like(said(stars(1500, 7))) is reference.answers


def test_regimes_are_spectra_and_their_noise_or_the_magnitude():
    block = stars(1, 3)
    flags, nothing = SCHEMA.flags, np.zeros(4, np.int64)
    rvs, xp = flags["rvs_used"].mask, flags["xp_used"].mask
    columns = dict.fromkeys(flags.columns, nothing) | {
        "flags": np.array([rvs | xp, rvs, xp, 0]),
        "quality_tier": np.zeros(4, np.uint8),
        "rvs_spec_sig_to_noise": np.array([37.0, np.nan, np.nan, 5.0]),
        "phot_g_mean_mag": np.array([12.9, 12.9, 14.2, np.nan]),
    }
    assert set(block) >= columns.keys() - {"flags", "quality_tier"}
    assert Answers(SCHEMA).regimes(columns).tolist() == ["rvs+xp 32", "rvs ?", "xp m14", " m?"]
