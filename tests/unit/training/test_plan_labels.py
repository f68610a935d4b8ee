"""A survey is read again when anything changes that its columns depend on."""

from catalog_builder.archive.files import FileRef
from catalog_builder.labels.survey import load_survey
from catalog_builder.training.stage import plan_labels

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
