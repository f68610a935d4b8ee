"""The tier: the first declared one whose conditions a star meets."""

import numpy as np
import pytest

from catalog_builder.contract.flags import FlagSchema
from catalog_builder.flags.tiers import quality_tier
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.agreed import default_contract, default_schema

LABELS = default_contract().labels.names

SCHEMA = default_schema().flags
GOLD, SILVER = SCHEMA.tiers[:2]
SPECTRA = SCHEMA["rvs_used"].mask | SCHEMA["xp_used"].mask
SMALL = {label: GOLD.largest_sigma[label] for label in LABELS}


def tier(flags=SPECTRA, **sigma):
    sigmas = {label: np.array([value]) for label, value in (SMALL | sigma).items()}
    (value,) = quality_tier({"flags": np.array([flags], dtype=np.int64)}, sigmas, SCHEMA)
    return value


def test_the_tiers_are_those_that_the_column_speaks_of():
    assert [(one.tier, one.name) for one in SCHEMA.tiers] == [
        (1, "gold"),
        (2, "silver"),
        (3, "use_with_care"),
    ]


def test_two_ordinary_spectra_and_small_errors_are_gold():
    assert tier() == 1
    assert tier(SCHEMA["xp_used"].mask) == 2


@pytest.mark.parametrize("label", LABELS)
def test_the_errors_decide(label):
    just_above = 1.01
    assert tier(**{label: GOLD.largest_sigma[label] * just_above}) == 2
    assert tier(**{label: SILVER.largest_sigma[label] * just_above}) == 3
    assert tier(**{label: np.nan}) == 1


@pytest.mark.parametrize("name", GOLD.without)
def test_every_warning_costs_gold_and_silver(name):
    assert name in SILVER.without
    assert tier(SPECTRA | SCHEMA[name].mask) == 3


def test_a_star_without_labels_has_no_tier():
    assert tier(SPECTRA | SCHEMA["not_predicted"].mask) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('      - {for: spectrum, name: "{spectrum.name}_used"}', "unknown bits: no_such_bit"),
        ("  - tier: 2", "numbered from 1"),
    ],
)
def test_wrong_declarations_are_refused(change, said, tmp_path):
    from catalog_builder.ground.resources import schemas_dir

    text = (schemas_dir() / "flags.yaml").read_text()
    wrong = {"      - {for": "      - no_such_bit", "  - tier:": "  - tier: 5"}
    replacement = next(value for start, value in wrong.items() if change.startswith(start))
    path = tmp_path / "flags.yaml"
    path.write_text(text.replace(change, replacement))
    with pytest.raises(ConfigError, match=said):
        FlagSchema.of(default_contract(), path)
