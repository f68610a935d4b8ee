"""What is measured of a model of another release, and when it is too little."""

import numpy as np
import pytest

from catalog_builder.ground.errors import InputError
from catalog_builder.inference.measure import HELD_BACK, TAUGHT, measured, plan_measure
from catalog_builder.labels.agreed import default_contract
from catalog_builder.run.crossing import not_covered, refuse_other_labels

LABELS = default_contract().labels


def stars(split, sigma=1.0):
    rng = np.random.default_rng(0)
    shape = (len(split), len(LABELS))
    truth = rng.normal(size=shape)
    return {
        "split": np.array(split, np.uint8),
        "mean": truth + rng.normal(size=shape),
        "sigma": np.full(shape, sigma),
        "interval95": np.full(shape, 1.96 * sigma),
        "labels": truth.astype(np.float32),
        "label_error": np.zeros(shape, np.float32),
    }


def test_those_that_taught_count_by_themselves():
    found = measured(stars([0] * 400 + [4] * 100 + [1, 2, 3] * 100), LABELS)
    assert (found["stars"], found["taught"]) == (500, 300)
    assert set(found["metrics"]) == {HELD_BACK, TAUGHT}
    teff = found["metrics"][HELD_BACK]["all"]["teff"]
    assert teff["stars"] == 500
    assert teff["coverage_68"] == pytest.approx(0.683, abs=0.06)
    assert not not_covered(found["metrics"][HELD_BACK]["all"])


def test_a_sigma_that_does_not_hold_is_told_with_the_way_out():
    found = measured(stars([0] * 500, sigma=0.5), LABELS)
    remarks = not_covered(found["metrics"][HELD_BACK]["all"])
    assert len(remarks) == len(LABELS)
    assert "not 68: `catalog-builder recalibrate` fits it anew" in remarks[0]


@pytest.mark.parametrize("split", [[0] * 99, [1] * 500])
def test_too_few_stars_measure_nothing(split):
    with pytest.raises(InputError, match="too few to measure it") as refusal:
        measured(stars(split), LABELS)
    assert "--unverified-model" in refusal.value.way_out


def test_without_any_star_there_is_no_plan():
    with pytest.raises(InputError, match="cannot be measured"):
        plan_measure([], "apogee-dr17")


def test_a_survey_without_a_label_of_the_model_is_refused():
    refuse_other_labels(("teff",), ("logg", "teff"))
    with pytest.raises(Exception, match="predicts fe_h, of which the label survey has none"):
        refuse_other_labels(("teff", "fe_h"), ("logg", "teff"))
