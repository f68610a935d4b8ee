"""The books of a catalogue: what was asked for is a row, or rejected for a reason."""

import pytest

from catalog_builder.catalog.stage import accounting
from catalog_builder.runtime.receipts import Receipt


def receipt(stage, rows_in, **rejected):
    return Receipt(
        stage=stage,
        task="0",
        stage_version=1,
        key="k",
        rows_in=rows_in,
        rows_out=rows_in - sum(rejected.values()),
        rejected=rejected,
        output="o",
        pattern="*",
        output_digest="d",
        inventory="",
        seconds=0.0,
    )


@pytest.mark.parametrize(
    ("features", "census", "predictions", "expected"),
    [
        ([(5, {})], [], [(5, {})], (5, 5, {})),
        (
            [(7, {"bad_number": 2}), (4, {"bad_number": 1, "malformed_row": 1})],
            [(9, {"quarantined_partition": 9})],
            [(5, {}), (2, {})],
            (20, 7, {"bad_number": 3, "malformed_row": 1, "quarantined_partition": 9}),
        ),
        # Stars without a finite answer, and a partition that was not predicted at all.
        (
            [(10, {}), (6, {"bad_number": 1})],
            [],
            [(10, {"prediction_failed": 3})],
            (16, 7, {"bad_number": 1, "prediction_failed": 3, "partition_not_predicted": 5}),
        ),
        ([(10, {})], [], [], (10, 0, {"partition_not_predicted": 10})),
    ],
)
def test_every_requested_source_is_counted_once(features, census, predictions, expected):
    stages = zip(("ingest", "census", "predict"), (features, census, predictions), strict=True)
    receipts = [[receipt(stage, n, **why) for n, why in some] for stage, some in stages]
    books = accounting(*receipts)
    assert (books["requested"], books["published"], books["rejected"]) == expected
    assert books["requested"] == books["published"] + sum(books["rejected"].values())
    assert list(books["rejected"]) == sorted(books["rejected"])
