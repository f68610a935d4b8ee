"""Distances by labels: an answer that is the training population's own is believed less."""

from types import SimpleNamespace

import numpy as np

from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC
from catalog_builder.galaxy.relation import Relation
from catalog_builder.inference.label_distances import label_distance_columns
from catalog_builder.labels.agreed import default_schema

SHARES = np.array([np.nan, 0.0, 0.2, 0.5, 0.8, 0.99])
RELATION = Relation(
    index={"phot_g_mean_mag": 1.0},
    labels=("logg",),
    learnt_as=("value",),
    centre=(3.0,),
    scale=(1.0,),
    lowest=(-3.0,),
    highest=(3.0,),
    terms=((0,), (1,)),
    magnitude=(2.0, 2.0),
    scatter=(-2.0, 0.0),
    carried=1.0,
    share=0.01,
    apart=1.0,
    stars=1000,
)


def distances(logg, parallax):
    """Return columns of stars of G = 15 that differ in the training population's share alone."""
    schema, stars = default_schema(), len(SHARES)
    shape = (stars, len(schema.labels))
    made = {
        **{name: np.zeros(stars, np.int64) for name in schema.flags.columns},
        **{"source_id": np.arange(stars), "ra": np.full(stars, 80.0), "dec": np.zeros(stars)},
        **{"phot_g_mean_mag": np.full(stars, 15.0)},
        **{"parallax_corrected": np.full(stars, parallax), "parallax_error": np.full(stars, 0.1)},
    }
    said = SimpleNamespace(
        spectral_mean=np.full(shape, logg),
        spectral_covariance=np.full((*shape, shape[1]), 0.2**2),
        spectral_share=SHARES,
        prior_share=np.zeros(stars),  # a parallax may have settled what spectra leave open
    )
    found = label_distance_columns(made, said, RELATION, schema)
    return [found[name] for name in SPECTROPHOTOMETRIC]


def test_the_more_of_an_answer_is_the_training_populations_the_less_it_says():
    # A dwarf at 1 kpc, taken for a subgiant, twice as far.
    median, lower, upper = distances(logg=3.75, parallax=1.0)
    assert median[0] == median[1]  # older models do not say it
    assert (np.diff(median[1:5]) < 0).all()
    assert median[1] > 1080 > median[4] > 1000
    assert lower[1] > 1000 > lower[4]
    assert median[5] == median[4]
    assert (upper > median).all()
