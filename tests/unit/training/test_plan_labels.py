"""A survey is read again when anything changes that its columns depend on."""

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import load_release
from catalog_builder.labels.survey import load_survey
from catalog_builder.training.stage import _id_range, plan_labels

FILE = FileRef("labels.fits", 10)


def key_of(survey):
    (task,) = plan_labels(FILE, survey)
    return task.key


def test_the_order_of_labels_is_that_of_the_columns():
    survey = load_survey("apogee-dr17")
    other = survey.model_copy(update={"labels": dict(reversed(survey.labels.items()))})
    assert other.declared.names == survey.declared.names[::-1]
    assert key_of(other) != key_of(survey)
    assert key_of(load_survey("apogee-dr17")) == key_of(survey)


def test_ids_of_spectra_do_not_say_where_the_labels_of_stars_are():
    release, part = load_release("dr3"), Partition("3000-3010", 3000, 3010, {})
    assert _id_range(part, release)["last_id"] == (3011 << 43) - 1
    several = release.model_copy(update={"several_spectra": "one_row_each"})
    assert _id_range(part, several) == {"first_id": 1, "last_id": 2**63 - 1, "elsewhere": True}
