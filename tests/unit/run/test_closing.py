"""The closing lines of a run say how a survey's rows became the stars that teach."""

from catalog_builder.catalog.incident_record import LabelBooks
from catalog_builder.run.runs import labels_in_words

BOOKS = LabelBooks(
    survey="apogee-dr17",
    rows=836,
    rejected={"star_bad": 54, "duplicate": 25},
    nulls={},
    without_spectrum=12,
    crosswalk={"one": 735, "none": 22},
)


def test_every_loss_of_label_rows_is_a_sum():
    split = {"fit": 448, "validation": 61, "calibration": 140, "test": 74}
    assert labels_in_words(BOOKS, split) == [
        "Labels: 836 rows of apogee-dr17 = 757 stars + 79 left out (54 star_bad, 25 duplicate).",
        "Labels of an older release: 757 stars = 735 found in this one + 22 left out (22 none).",
        "Training set: 723 of their spectra = 448 fit + 61 validation + 140 calibration + 74 test.",
        "Without a usable spectrum in these partitions: 12 of the stars.",
    ]


def test_what_was_not_looked_at_is_not_told():
    assert labels_in_words(None, {}) == []
    plain = BOOKS.model_copy(update={"crosswalk": None, "rejected": {}, "without_spectrum": 0})
    assert labels_in_words(plain, {}) == [
        "Labels: 836 rows of apogee-dr17 = 836 stars + 0 left out."
    ]
