"""Skies of known honesty: answers that are off by exactly what sigma says."""

import numpy as np
import pytest

from catalog_builder.features.population import InputCollector
from catalog_builder.labels.agreed import default_schema
from catalog_builder.model.calibrate.metrics import label_metrics, metrics_by_regime, regimes
from catalog_builder.model.population import Answers, Population
from tests.spoilt import EDGES, Sky

STARS = 4000
#: Typical sigma and error of the survey, by label.
TYPICAL = {
    "teff": (45.0, 30.0), "logg": (0.08, 0.04), "m_h": (0.06, 0.02), "alpha_m": (0.03, 0.015),
    "fe_h": (0.06, 0.02),
}  # fmt: skip


@pytest.fixture(scope="session")
def schema():
    return default_schema()


def _columns(schema, seed):
    """Return rows of honest answers, and the truth."""
    rng, flags = np.random.default_rng(seed), schema.flags
    columns = {c.name: np.zeros(STARS, dtype=c.numpy_dtype) for c in schema.columns}
    columns["source_id"] = np.arange(STARS) + 1
    # A piece of the sky, thinner to one side.
    columns["ra"] = 40 + 30 * rng.random(STARS) ** 0.7
    columns["dec"] = np.degrees(np.arcsin(rng.uniform(-0.25, 0.25, STARS)))
    magnitude = np.clip(rng.normal(12.5, 1.2, STARS), 6, 15.9)
    columns["phot_g_mean_mag"] = magnitude.astype("f4")
    columns["phot_bp_mean_mag"] = (magnitude + rng.normal(0.6, 0.3, STARS)).astype("f4")
    columns["phot_rp_mean_mag"] = (magnitude - rng.normal(0.5, 0.2, STARS)).astype("f4")
    has_rvs = magnitude < 14
    columns["has_rvs"], columns["has_xp"] = has_rvs, np.ones(STARS, dtype=bool)
    ratio = 10 ** (1.6 - 0.2 * (magnitude - 12) + rng.normal(0, 0.1, STARS))
    columns["rvs_spec_sig_to_noise"] = np.where(has_rvs, ratio, np.nan).astype("f4")
    dwarf = rng.random(STARS) < 0.5
    truth = {
        "teff": np.where(dwarf, rng.normal(5900, 500, STARS), rng.normal(4750, 250, STARS)),
        "logg": np.where(dwarf, rng.normal(4.2, 0.25, STARS), rng.normal(2.4, 0.5, STARS)),
        "m_h": rng.normal(-0.15, 0.3, STARS),
    }
    truth["alpha_m"] = 0.05 - 0.1 * truth["m_h"] + rng.normal(0, 0.05, STARS)
    truth["fe_h"] = truth["m_h"] + rng.normal(0, 0.02, STARS)
    for name, (typical, _) in TYPICAL.items():
        sigma = typical * (1 + 20 / ratio) / 1.5
        columns[f"e_{name}"], columns[f"e95_{name}"] = (
            sigma.astype("f4"),
            (1.96 * sigma).astype("f4"),
        )
        # Answers are means of what may be: the truth is spread about them, not they about it.
        columns[name] = truth[name].astype("f4")
        truth[name] = truth[name] + sigma * rng.standard_normal(STARS)
    columns |= {name: np.zeros(STARS, dtype=np.int64) for name in flags.columns}
    columns["flags"] += sum(flags[f"{n}_used"].mask for n in ("xp", "photometry", "parallax"))
    columns["flags"][has_rvs] |= flags["rvs_used"].mask
    columns["member_disagreement"] = np.exp(rng.normal(-1.6, 0.6, STARS)).astype("f4")
    columns["quality_tier"] = rng.choice([1, 2, 3], STARS, p=[0.6, 0.3, 0.1]).astype("u1")
    faint = ratio < 40
    strange = rng.random(STARS) < np.where(faint, 0.7, 0.02)
    columns["flags"][strange] |= flags["rvs_unlike_any_star"].mask
    columns["training_split"] = rng.choice(
        [0, 1, 2, 3, 4], STARS, p=[0.5, 0.3, 0.05, 0.1, 0.05]
    ).astype("u1")
    columns["in_training_sample"] = np.isin(columns["training_split"], (1, 2, 3))
    return columns, truth


def make_sky(schema, seed):
    """Return a sky under a model that another sky made."""
    columns, truth = _columns(schema, seed)
    rng = np.random.default_rng(seed + 1000)
    at = np.flatnonzero(columns["training_split"] > 0)
    names = schema.contract.labels.names
    errors = np.stack([np.full(len(at), TYPICAL[name][1]) for name in names], axis=1)
    labels = np.stack([truth[name][at] for name in names], axis=1)
    labels += errors * rng.standard_normal(labels.shape)
    population, metrics = _model(schema)
    books = {"requested": STARS + 3, "published": STARS, "rejected": {"damaged": 3}}
    record = {"accounting": books, "metrics": metrics}
    return Sky(schema, columns, at, labels, errors, record, _seen(schema, columns), population)


_MADE = {}


def _model(schema):
    """Return what a model of a sky of its own says of itself."""
    if not _MADE:
        columns, truth = _columns(schema, 77)
        answers = Answers(schema)
        answers.add(columns)
        counts = answers.counts()
        _MADE["population"] = Population(
            archive=STARS, inputs=_seen(schema, columns), answers=counts, own=counts
        )
        _MADE["metrics"] = {"as_observed": _metrics(schema, columns, truth)}
    return _MADE["population"], _MADE["metrics"]


def _metrics(schema, columns, truth):
    names, rng = schema.contract.labels.names, np.random.default_rng(78)
    test = slice(0, 600)
    mean, sigma, interval, label = (
        np.stack([values(name) for name in names], axis=1).astype(float)
        for values in (
            lambda name: columns[name][test],
            lambda name: columns[f"e_{name}"][test],
            lambda name: columns[f"e95_{name}"][test],
            lambda name: truth[name][test],
        )
    )
    errors = np.stack([np.full(600, TYPICAL[name][1]) for name in names], axis=1)
    label += errors * rng.standard_normal(label.shape)
    block = {name: values[test] for name, values in columns.items()}
    inputs = schema.inputs
    used = np.stack([schema.flags.test(block, f"{n}_used") for n in inputs.names], axis=1)
    regime = regimes(block, used, EDGES, inputs)
    measured = mean, sigma, interval, label, errors
    return {
        "all": label_metrics(*measured, declared=schema.contract.labels),
        "by_regime": metrics_by_regime(*measured, regime, settings=EDGES, contract=schema.contract),
    }


def _seen(schema, columns):
    rng = np.random.default_rng(int(columns["source_id"][-1]))
    more = {"has_photometry": np.ones(STARS, bool), "has_parallax": np.ones(STARS, bool)}
    parallax = rng.uniform(0.1, 5, STARS)
    more |= {"parallax": parallax, "parallax_corrected": parallax + 0.03}
    collector = InputCollector(schema.inputs)
    collector.add_sources({**columns, **more})
    return collector.counts()


@pytest.fixture(scope="session")
def honest(schema):
    """Return a sky in which nothing is wrong; copy it."""
    return make_sky(schema, 1)
