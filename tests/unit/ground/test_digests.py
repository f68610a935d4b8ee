import pytest

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import load_release
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features import stage as ingesting
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.digests import digest_json, in_order
from catalog_builder.labels.agreed import contract_of, default_contract
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.origin import description_digest
from catalog_builder.training import stage as teaching
from catalog_builder.training.shapes import learnt_from


def reversed_mapping(description, key):
    content = getattr(description, key)
    return description.model_copy(update={key: dict(reversed(content.items()))})


def test_pairs_have_an_order_where_mappings_have_none():
    one, other = {"a": [1, {"x": 1, "y": 2}], "b": 2}, {"b": 2, "a": [1, {"y": 2, "x": 1}]}
    assert digest_json(one) == digest_json(other)
    assert digest_json(in_order(one)) != digest_json(in_order(other))
    assert in_order(one) == [["a", [1, [["x", 1], ["y", 2]]]], ["b", 2]]


def test_another_order_of_labels_is_other_work():
    survey = load_survey("apogee-dr17")
    turned = reversed_mapping(survey, "labels")
    file = FileRef("allStar.fits", 1, 1.0)
    (one,), (other,) = teaching.plan_labels(file, survey), teaching.plan_labels(file, turned)
    assert one.key != other.key
    release = load_release("dr3")
    assert learnt_from(contract_of(release, survey)) != learnt_from(contract_of(release, turned))


@pytest.mark.parametrize("key", ["spectra", "tables"])
def test_another_order_in_a_release_is_other_work(key):
    release = load_release("dr3")
    turned = reversed_mapping(release, key)
    assert description_digest(turned) != description_digest(release)
    partition = Partition("000000-003111", 0, 3111, {})
    one, other = (
        ingesting.plan([partition], each, IngestSettings())[0].key for each in (release, turned)
    )
    assert one != other


def test_another_order_of_inputs_is_another_contract():
    today = default_contract()
    inputs = reversed_mapping(today.inputs, "spectra")
    turned = Contract(labels=today.labels, inputs=inputs)
    assert learnt_from(turned) != learnt_from(today)
    one, other = (
        CatalogSchema.of(today).model_copy(update={"said_contract": each})
        for each in (today, turned)
    )
    assert one.digest != other.digest
