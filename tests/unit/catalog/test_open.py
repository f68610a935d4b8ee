"""Opening a catalogue: damage is an error where it is read; what is flagged can be null."""

import pickle
import shutil

import dask
import numpy as np
import pytest

from catalog_builder import open_catalog
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.comparing.schemas import compare_schemas
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.labels.agreed import default_contract, default_schema

LABELS = default_contract().labels.names

HARMS = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "three bytes": (lambda path: path.write_bytes(b"abc"), "is cut short"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
    "another chunk": (
        lambda path: path.write_bytes(path.with_name("0").read_bytes()[::-1]),
        "is damaged",
    ),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is missing"),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["teff", "source_id", "has_rvs"])
def test_a_damaged_chunk_is_an_error_where_it_is_read(sealed, harm, name):
    cause, words = HARMS[harm]
    chunk = sealed / "catalog.zarr" / name / "c" / "1"
    cause(chunk)
    dataset = open_catalog(sealed)
    pieces = (dataset[name], dataset[name].isel(source=[12]), dataset.isel(source=slice(9, 11)))
    for piece in pieces:
        with pytest.raises(CatalogueError, match=words) as caught:
            piece.compute(scheduler="synchronous")
        assert str(chunk) in str(caught.value)
    # What does not lie in that chunk can still be read.
    assert dataset[name][:10].load().size == 10
    assert dataset["logg"].values.size == 23


def test_it_is_an_error_on_another_worker_too(sealed):
    (sealed / "catalog.zarr" / "teff" / "c" / "1").unlink()
    dataset = pickle.loads(pickle.dumps(open_catalog(sealed)))
    with dask.config.set(scheduler="threads"), pytest.raises(CatalogueError, match="is missing"):
        dataset.teff.mean().compute()


def test_without_metadata_it_does_not_open(sealed):
    (sealed / "catalog.zarr" / "zarr.json").unlink()
    with pytest.raises(CatalogueError, match="cannot be opened"):
        open_catalog(sealed)


@pytest.fixture(scope="module")
def flagged(full_schema, publish_rows, tmp_path_factory):
    """Return a catalogue whose star n has the bit n, and the bits."""
    bits = [0, *(bit.mask for bit in full_schema.flags.active if "available" not in bit.name)]
    bits = [mask for mask in bits if mask != full_schema.flags["not_predicted"].mask]
    flags = np.array(bits, dtype=np.int64)
    target = tmp_path_factory.mktemp("flagged") / "dr3" / "v1"
    changed = {"m_h": np.linspace(-1, 0, flags.size), "flags": flags}
    changed |= {n: np.full(flags.size, 0.1) for n in ("e_m_h", "e_m_h_epistemic")}
    return publish_rows(target, full_schema, flags.size, **changed), flags


BOMB = '{"a":' * 100_000


@pytest.mark.parametrize("name", ["catalog.zarr/zarr.json", "catalog.zarr/teff/zarr.json"])
def test_metadata_that_would_end_a_parser_is_named(sealed, name):
    (sealed / name).write_text(BOMB)
    named = [finding.problem for finding in validate_catalog(sealed)]
    assert any(f"{name} is not taken: it is nested" in problem for problem in named)


def test_a_store_with_such_metadata_does_not_open(sealed):
    (sealed / "catalog.zarr" / "zarr.json").write_text(BOMB)
    with pytest.raises(CatalogueError, match=r"zarr\.json is not taken: it is nested"):
        open_catalog(sealed)


@pytest.mark.parametrize("name", ["RELEASE.json", "schema.json"])
def test_documents_that_would_end_a_parser_are_found(sealed, name):
    (sealed / name).write_text(BOMB)
    assert any("levels deep" in str(finding) for finding in validate_catalog(sealed))


def test_clean_nulls_what_is_flagged_and_nothing_else(flagged, full_schema):
    target, flags = flagged
    plain, clean = open_catalog(target), open_catalog(target, clean=True)
    assert list(clean) == list(plain)
    doubted = {
        label: np.isin(
            flags,
            [full_schema.flags[f"{label}_outside_range"].mask]
            # Written out, for this is the promise: bits 18 to 23 concern every label.
            + [1 << bit for bit in range(18, 24)],
        )
        for label in LABELS
    }
    for name in plain:
        concerned = np.zeros(flags.size, bool)
        for label in LABELS:
            if label in full_schema.labels_of(name):
                concerned |= doubted[label]
        before, after = plain[name].values, clean[name].values
        assert after.dtype == before.dtype
        assert clean[name].attrs == plain[name].attrs
        np.testing.assert_array_equal(after[~concerned], before[~concerned], err_msg=name)
        assert np.isnan(after[concerned]).all() if concerned.any() else True, name
    assert np.isfinite(plain.teff.values).all()
    assert np.isnan(clean.teff.values).sum() == 7


def test_clean_reads_nothing_before_it_is_used(sealed):
    shutil.rmtree(sealed / "catalog.zarr" / "teff" / "c")
    dataset = open_catalog(sealed, clean=True)
    assert dataset.logg.load().size == 23
    with pytest.raises(CatalogueError, match="missing"):
        dataset.teff.load()


def test_the_columns_of_a_label_are_known(full_schema):
    labels_of = full_schema.labels_of
    assert labels_of("e95_m_h") == labels_of("e_m_h_aleatoric") == ("m_h",)
    assert labels_of("corr_m_h_fe_h") == ("m_h", "fe_h")
    for name in ("flags", "rvs_distance", "parallax", "ra", "bp_rp"):
        assert labels_of(name) == ()
    names = {name for name in full_schema.names if labels_of(name)}
    assert len(names) == 5 * 5 + 10


def test_a_tier_above_the_last_has_no_flag_that_casts_doubt():
    flags = default_schema().flags
    doubtful = {bit.name for bit in flags.bits if bit.doubts}
    assert len(doubtful) == 11
    for tier in flags.tiers[:-1]:
        assert set(tier.without) == doubtful


def without_doubts(schema):
    """Return the schema as it was before bits declared which labels they cast doubt on."""
    bits = tuple(bit.model_copy(update={"doubts": ()}) for bit in schema.flags.bits)
    flags = schema.flags.model_copy(update={"bits": bits})
    return schema.model_copy(update={"flags": flags, "said_contract": None})


def test_a_catalogue_from_before_keeps_its_digests_and_can_be_cleaned(
    tmp_path, full_schema, publish_as_0_1
):
    old = without_doubts(full_schema).or_else(default_contract())
    content = old.model_dump(mode="json", by_alias=True)
    assert "contract" not in content
    assert all("doubts" not in bit for bit in content["flags"]["bits"])
    target = tmp_path / "dr3" / "v1"
    outside = full_schema.flags["teff_outside_range"].mask
    changed = {name: np.full(23, 0.5) for name in ("m_h", "e_m_h", "e_m_h_epistemic")}
    publish_as_0_1(target, old, flags=np.full(23, outside), **changed)
    assert validate_catalog(target) == []
    assert compare_schemas(old, full_schema).compatible
    assert not compare_schemas(full_schema, old).compatible
    clean = open_catalog(target, clean=True)
    assert np.isnan(clean.teff.values).all()
    assert np.isfinite(clean.logg.values).all()
