"""A catalogue that lacks too many of its sources is not published."""

from pathlib import Path

import pytest

from catalog_builder.ground.errors import ClusterError, ModelError
from catalog_builder.inference.limits import refuse_lost_predictions


def books(**rejected):
    return {"requested": 100, "published": 100 - sum(rejected.values()), "rejected": rejected}


@pytest.mark.parametrize(
    "rejected",
    [
        {},
        {"bad_number": 50},  # ingest has looked at it
        {"prediction_failed": 10},
        {"bad_number": 4, "prediction_failed": 3, "partition_not_predicted": 3},
    ],
)
def test_so_few_that_it_goes_on(rejected):
    refuse_lost_predictions(books(**rejected), Path("model"), 0.1)


@pytest.mark.parametrize(
    ("rejected", "error", "words"),
    [
        ({"prediction_failed": 11}, ModelError, "11 of 100 .* To 11 the model m gives no finite"),
        ({"bad_number": 10, "prediction_failed": 1}, ModelError, "with the 10 rejected before"),
        ({"partition_not_predicted": 11}, ClusterError, "11 of 100"),
        ({"partition_not_predicted": 6, "prediction_failed": 5}, ClusterError, "11 of 100"),
    ],
)
def test_so_many_that_it_stops(rejected, error, words):
    with pytest.raises(error, match=words) as refusal:
        refuse_lost_predictions(books(**rejected), Path("m"), 0.1)
    assert refusal.value.way_out
