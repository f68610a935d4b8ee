"""How a model of another release is measured, and on whom."""

import numpy as np
import pytest

from catalog_builder.ground.errors import InputError
from catalog_builder.inference.measure import LEAST_HELD_BACK, measured
from catalog_builder.labels.agreed import default_contract

LABELS = default_contract().labels


def stars(taught, held_back):
    rng = np.random.default_rng(2)
    n = taught + held_back
    shape = (n, len(LABELS))
    truth = rng.normal(size=shape)
    return {
        "split": np.array([1] * taught + [0] * held_back, np.uint8),
        "mean": truth + rng.normal(size=shape),
        "sigma": np.ones(shape),
        "interval95": np.full(shape, 1.96),
        "labels": truth,
        "label_error": np.full(shape, 1e-3),
    }


def test_stars_that_taught_and_others_are_measured_apart():
    found = measured(stars(150, 60), LABELS)
    assert (found["stars"], found["taught"]) == (60, 150)
    assert len(found["metrics"]) == 2


@pytest.mark.parametrize(
    ("taught", "held_back"), [(500, LEAST_HELD_BACK - 1), (0, 99), (119, 1), (0, 0)]
)
def test_too_few_strangers_measure_nothing(taught, held_back):
    with pytest.raises(InputError, match=f"{held_back} of which did not teach") as refusal:
        measured(stars(taught, held_back), LABELS)
    assert "--unverified-model" in refusal.value.way_out
