"""Words for identifiers and several spectra of a star, from description to features."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.io import fits

from catalog_builder.archive import pieces
from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features import several
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.names import unpacked
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.ground.resources import schemas_dir
from tests.rave import table, text, write

STARS = 12


def described(tmp_path, change=lambda content: None, name="rave-dr6"):
    content = yaml.safe_load((schemas_dir() / f"releases/{name}.yaml").read_text())
    change(content)
    file = tmp_path / "described.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_release(file)


def combined(content):
    content["several_spectra"] = "combined"


def ingested(root, release, out, block_rows=3):
    stores = []
    for number, partition in enumerate(list_partitions(str(root), release)):
        place = out / str(number)
        settings = IngestSettings(block_rows=block_rows)
        result = ingest_partition(partition, release, settings, place)
        assert result.rows_in == result.rows_out + sum(result.rejected.values())
        stores.append((result, FeatureStore(place)))
    return stores


@pytest.fixture
def sky(tmp_path):
    return write(tmp_path / "sky", STARS)


def test_each_spectrum_is_a_row_that_knows_its_star(sky, tmp_path):
    ((result, store),) = ingested(tmp_path / "sky", described(tmp_path), tmp_path / "out")
    assert result.rows_out == len(sky.obsid) == STARS + STARS // 3
    order = np.argsort(keys_of(sky.obsid))
    np.testing.assert_array_equal(store.column("source_id"), keys_of(sky.obsid)[order])
    np.testing.assert_array_equal(store.stars(), keys_of(sky.raveid)[order])
    columns = {name: store.column(name) for name in store.names}
    np.testing.assert_array_equal(unpacked("source_id", columns), sky.obsid[order])
    np.testing.assert_array_equal(unpacked("star_id", columns), sky.raveid[order])
    assert store.column("has_rave").all()
    assert store.column("has_infrared").all()


def test_the_spectra_of_a_star_are_combined_by_inverse_variance(sky, tmp_path):
    release = described(tmp_path, combined)
    ((_, each),) = ingested(tmp_path / "sky", described(tmp_path), tmp_path / "each")
    ((result, store),) = ingested(tmp_path / "sky", release, tmp_path / "out")
    assert result.rows_out == STARS
    assert result.notes["row_rejects"] == {}
    np.testing.assert_array_equal(store.column("source_id"), np.unique(keys_of(sky.raveid)))
    assert "star_id" not in store.names
    one, all_of_it = each.read(slice(None)), store.read(slice(None))
    for star in range(STARS):
        rows = np.flatnonzero(each.stars() == keys_of(sky.raveid)[star])
        (row,) = np.flatnonzero(store.column("source_id") == keys_of(sky.raveid)[star])
        assert len(rows) == (2 if star % 3 == 0 else 1)
        weight = one["rave_flux_error"][rows].astype(float) ** -2
        mean = (weight * one["rave_flux"][rows]).sum(axis=0) / weight.sum(axis=0)
        np.testing.assert_allclose(all_of_it["rave_flux"][row], mean, rtol=1e-5)
        error = weight.sum(axis=0) ** -0.5
        np.testing.assert_allclose(all_of_it["rave_flux_error"][row], error, rtol=1e-5)
        noise = np.sqrt((one["rave_sig_to_noise"][rows].astype(float) ** 2).sum())
        np.testing.assert_allclose(all_of_it["rave_sig_to_noise"][row], noise, rtol=1e-5)


def test_a_spectrum_that_is_there_twice_counts_once(sky, tmp_path):
    release = described(tmp_path, combined)
    ((before, one),) = ingested(tmp_path / "sky", release, tmp_path / "before")
    files = sorted((tmp_path / "sky" / "rave_dr6" / "spectra").rglob("*.fits"))
    shutil.copy(files[0], files[0].with_name("Spectra_again.fits"))
    with fits.open(files[0]) as hdus:
        copies = len(hdus[1].data)
    ((after, two),) = ingested(tmp_path / "sky", release, tmp_path / "after", block_rows=5)
    assert after.rows_out == before.rows_out
    assert after.notes["row_rejects"] == {"spectra": {"duplicate_source_id": copies}}
    old, new = one.read(slice(None)), two.read(slice(None))
    for name in ("rave_flux", "rave_flux_error", "rave_sig_to_noise"):
        np.testing.assert_allclose(new[name], old[name], rtol=1e-5)


@pytest.mark.parametrize("change", [lambda content: None, combined])
def test_it_does_not_matter_how_a_run_is_cut(sky, tmp_path, change, monkeypatch):
    release = described(tmp_path, change)
    ((whole, one),) = ingested(tmp_path / "sky", release, tmp_path / "one", block_rows=1000)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 20_000)
    several = ingested(tmp_path / "sky", release, tmp_path / "several")
    assert len(several) > 2
    assert sum(result.rows_out for result, _ in several) == whole.rows_out
    blocks = [store.read(slice(None)) for _, store in several]
    for name, values in one.read(slice(None)).items():
        np.testing.assert_array_equal(np.concatenate([block[name] for block in blocks]), values)


def test_words_in_parquet_are_as_words_in_fits(sky, tmp_path):
    root, release = tmp_path / "sky", described(tmp_path)
    ((_, before),) = ingested(root, release, tmp_path / "before")
    for file in sorted((root / "rave_dr6").rglob("*.fits")):
        with fits.open(file) as hdus:
            data = hdus[1].data
            columns = {name: data[name].astype(data[name].dtype.newbyteorder("="))
                       for name in data.names}  # fmt: skip
        arrays = {name: pa.array(list(values) if values.ndim > 1 else values.tolist())
                  for name, values in columns.items()}  # fmt: skip
        pq.write_table(pa.table(arrays), file.with_suffix(".parquet"), row_group_size=3)
        file.unlink()
    ((_, after),) = ingested(root, release, tmp_path / "after")
    for name in ("source_id", "star_id", "source_id_letters_0", "j_mag"):
        np.testing.assert_array_equal(after.column(name), before.column(name))


def test_two_words_with_one_key_are_refused(sky, tmp_path, monkeypatch):
    monkeypatch.setattr("catalog_builder.archive.identifiers.MOST", 5)
    with pytest.raises(InputError, match="have the same 64-bit key"):
        ingested(tmp_path / "sky", described(tmp_path), tmp_path / "out")


def test_a_word_that_is_too_long_is_a_row_without_a_name(sky, tmp_path):
    def shorter(content):
        for spec in content["tables"].values():
            spec["columns"]["source_id"]["characters"] = 14

    ((result, store),) = ingested(
        tmp_path / "sky", described(tmp_path, shorter), tmp_path / "out"
    )  # fmt: skip
    assert {len(name.rstrip(b"\0")) for name in sky.obsid} == {16}
    assert (result.rows_out, len(store)) == (0, 0)
    assert result.rejected == {"bad_source_id": len(sky.obsid)}
    (example, *_) = result.notes["examples"]["spectra"]["bad_source_id"]
    assert example["detail"] == "source_id: no identifier of at most 14 characters"


def text_of(table, column="source_id"):
    return lambda content: content["tables"][table]["columns"][column]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["tables"]["spectra"]["columns"].pop("star_id"), "needs the column star_id"),
        (lambda c: text_of("spectra")(c).update(characters=8), "not of the same dtype"),
        (lambda c: text_of("spectra")(c).pop("characters"), "text needs `characters`"),
        (lambda c: c["partition"].update(layout="ranges"), "layout: anywhere"),
        (
            lambda c: c["tables"]["parameters"]["columns"].update(
                field={"dtype": "text", "characters": 8}
            ),
            "only source_id and star_id",
        ),
        (
            lambda c: (combined(c), c["spectra"]["rave"].update(sig_to_noise="j_mag")),
            "is of one spectrum",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        described(tmp_path, change)


def as_csv(file, packed=False):
    """Write a FITS table as CSV, arrays as lists."""
    with fits.open(file) as hdus:
        data = hdus[1].data
        names = data.names
        rows = [
            ",".join(
                '"[' + ",".join(f"{value:.9g}" for value in cell) + ']"'
                if isinstance(cell, np.ndarray)
                else (f'"{cell}"' if packed and isinstance(cell, str) else str(cell))
                for cell in (data[name][row] for name in names)
            )
            for row in range(len(data))
        ]
    file.with_suffix(".csv").write_text("\n".join([",".join(names), *rows]) + "\n")
    file.unlink()


@pytest.mark.parametrize("packed", [False, True])
def test_words_in_text_are_as_words_in_fits(sky, tmp_path, packed):
    root = tmp_path / "sky"

    def csv(content):
        content["tables"]["spectra"]["formats"].append("csv")

    ((_, before),) = ingested(root, described(tmp_path), tmp_path / "before")
    for file in sorted((root / "rave_dr6").rglob("*.fits")):
        as_csv(file, packed)
    ((_, after),) = ingested(root, described(tmp_path, csv), tmp_path / "after")
    for name in ("source_id", "star_id", "source_id_letters_0", "star_id_letters_2", "j_mag"):
        np.testing.assert_array_equal(after.column(name), before.column(name))
    fluxes = (store.read(slice(None))["rave_flux"] for store in (before, after))
    np.testing.assert_allclose(*fluxes, rtol=1e-6)


def test_cells_of_text_without_a_word(sky, tmp_path):
    file = tmp_path / "sky" / "rave_dr6" / "parameters" / "Parameters.fits"
    as_csv(file)
    first, *rows = file.with_suffix(".csv").read_text().splitlines()
    rows[0] = ",".join(["null", *rows[0].split(",")[1:]])
    rows[1] = ",".join(["x" * 33, *rows[1].split(",")[1:]])
    named, _, *rest = rows[2].split(",")
    rows[2] = ",".join([f"  {named} ", "", *rest])
    file.with_suffix(".csv").write_text("\r\n".join([first, *rows]))

    def optional(content):
        text_of("parameters", "star_id")(content)["required"] = False

    ((result, store),) = ingested(
        tmp_path / "sky", described(tmp_path, optional), tmp_path / "out"
    )  # fmt: skip
    assert result.rejected == {"no_gaia_source_row": 2}
    assert result.notes["row_rejects"]["parameters"]["bad_source_id"] == 2
    (example, *_) = result.notes["examples"]["parameters"]["bad_source_id"]
    assert example["detail"] == "obsid: no identifier of at most 32 characters"
    row = np.flatnonzero(store.column("source_id") == keys_of([named])[0])
    assert row.size == 1
    assert store.stars()[row] == [0]
    assert "parameters.star_id" not in result.notes["cell_nulls"]


def test_a_setting_may_combine_what_the_description_does_not():
    release = load_release("rave-dr6", "combined")
    assert release.several_spectra == "combined"
    assert release.tables["spectra"].native_names("source_id") == ("raveid", "objectid")
    assert not release.inputs.several_rows
    assert load_release("rave-dr6").inputs.several_rows
    with pytest.raises(ConfigError, match="has one spectrum of each source"):
        load_release("dr3", "combined")


def test_an_arm_may_be_absent(tmp_path):
    rng = np.random.default_rng(3)
    names = text(f"o{number}" for number in range(5))
    stars = text(["s0", "s0", "s1", "s2", "s3"])
    single = np.float32
    table(
        tmp_path / "sky/parameters/Parameters.fits",
        obsid=names, object_id=stars, ra=rng.uniform(0, 360, 5), dec=rng.uniform(-60, 0, 5),
        parallax=np.ones(5), parallax_error=np.ones(5, single),
        **{f"phot_{band}_mean_mag": np.full(5, 14, single) for band in ("g", "bp", "rp")},
    )  # fmt: skip
    has = {"blue": [0, 1, 2], "green": [0, 3], "red": [0, 1, 2, 3]}
    for arm, rows in has.items():
        flux = rng.uniform(0.9, 1.0, (len(rows), 6144)).astype(single)
        if arm == "red":
            flux[2] = np.nan
        table(
            tmp_path / f"sky/{arm}/night/{arm.title()}_7.fits",
            obsid=names[rows], object_id=stars[rows], flux=flux,
            sig_to_noise=np.full(flux.shape, 30, single), snr=np.full(len(rows), 30, single),
        )  # fmt: skip
    release = load_release("4most-lrs")
    ((result, store),) = ingested(tmp_path / "sky", release, tmp_path / "out")
    assert (result.rows_in, result.rows_out) == (3, 3)  # of s3 there is no spectrum
    place = {name: keys_of([name])[0] for name in ("s0", "s1", "s2")}
    ids = store.column("source_id").tolist()
    found = {
        name: "".join(arm[0] for arm in has if store.column(f"has_{arm}")[ids.index(key)])
        for name, key in place.items()
    }
    assert found == {"s0": "bgr", "s1": "b", "s2": "gr"}
    noise = store.column("blue_sig_to_noise")
    np.testing.assert_allclose(noise[ids.index(place["s0"])], 30 * 2**0.5, rtol=1e-6)
    assert np.isnan(noise[ids.index(place["s2"])])
    assert result.notes["row_rejects"] == {"red_arm": {"all_nan_spectrum": 1}}


def test_a_sig_to_noise_below_zero_adds_nothing():
    values = np.array([30.0, -40.0, np.nan, -5.0], np.float32)
    one = several._one("rave_sig_to_noise", values, np.array([0, 3]))
    np.testing.assert_array_equal(one, [30.0, 0.0])
