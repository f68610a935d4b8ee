"""The plan of predictions: what makes a partition's rows anew."""

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.inference.settings import PredictSettings
from catalog_builder.inference.stage import plan
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.runtime.receipts import Receipt
from tests.contracts import SIX

INGESTED = Receipt(
    stage="ingest",
    task="0",
    stage_version=1,
    key="k",
    rows_in=1,
    rows_out=1,
    rejected={},
    output="o",
    pattern="*",
    output_digest="d",
    inventory="",
    seconds=0.0,
)


def key_of(contract):
    schema = CatalogSchema.of(contract)
    settings = PredictSettings()
    (task,) = plan([INGESTED], "model", schema, settings, release="dr3", trained=True)
    return task.key


def teff_with(**changes):
    contract = default_contract()
    content = contract.model_dump()
    content["labels"][0].update(changes)
    return Contract.model_validate(content)


def test_another_range_of_a_figure_makes_no_rows_anew():
    drawn = teff_with(range=(1000.0, 9000.0), html="T")
    assert CatalogSchema.of(drawn).digest != default_schema().digest
    assert key_of(drawn) == key_of(default_contract())


def test_another_label_or_limit_does():
    limit = teff_with(largest_sigma={"gold": 50.0})
    keys = [key_of(default_contract()), key_of(SIX), key_of(limit)]
    assert len(set(keys)) == len(keys)
