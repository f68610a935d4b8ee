"""Labels of a survey whose identifiers are its own, by a table of pairs."""

import numpy as np
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.identifiers import keys_of
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.labels.crossmatch import CrossMatched, read_crossmatch
from catalog_builder.labels.locate import find_crossmatch, find_survey
from catalog_builder.labels.survey import CrossMatch, LabelSurvey, load_survey
from catalog_builder.training.labels import collect_labels
from tests.rave import table, text

RULE = {"own": "apogee_id", "source_id": "RAVEID", "distance": "distance", "largest_distance": 2.0}


def survey(**changes):
    content = {
        "name": "own", "title": "Own", "credit": "", "source_id_release": "rave-dr6",
        "files": ["labels.fits"], "hdu": 1, "source_id": "APOGEE_ID", "text_ids": True,
        "crossmatch": {"files": ["tables/pairs.fits"], **RULE}, "sig_to_noise": "SNR",
        "labels": {"teff": {"column": "TEFF", "error": "TEFF_ERR", "unit": "K",
                            "error_floor": 1.0, "error_if_missing": 100.0}},
        "duplicates": "best_sig_to_noise",
    }  # fmt: skip
    return LabelSurvey.model_validate(content | changes)


@pytest.fixture
def archive(tmp_path):
    teff = np.arange(5000, 5006, dtype=np.float32)
    table(
        tmp_path / "labels.fits",
        APOGEE_ID=text(["2M0", "2M1", "2M2", "2M3", "2M4", ""]),
        SNR=np.full(6, 100, np.float32), TEFF=teff, TEFF_ERR=np.full(6, 30, np.float32),
    )  # fmt: skip
    table(
        tmp_path / "tables" / "pairs.fits",
        apogee_id=text(["2M3", "2M1", "2M1", "2M2", "2M0", "2M9", ""]),
        raveid=text(["J3", "Jfar", "J1", "J1", "J0", "J9", "J8"]),
        distance=np.array([0.1, 0.9, 0.2, 0.5, 2.5, 0.1, 0.1], np.float32),
    )  # fmt: skip
    return tmp_path


def collected(archive, one):
    file = find_survey(one, None, str(archive))
    return collect_labels(file, one, find_crossmatch(one, file, str(archive)))


def test_a_star_is_its_nearest_pair(archive):
    labels = collected(archive, survey())
    # 2M0's pair is too far, 2M2's star is nearer to 2M1, 2M4 has none; the last has no name.
    ids, teff = labels.columns["source_id"], labels.columns["labels"][:, 0]
    keys = keys_of(["J1", "J3"])
    assert dict(zip(ids.tolist(), teff.tolist(), strict=True)) == {
        int(keys[0]): 5001,
        int(keys[1]): 5003,
    }
    assert labels.rejected == {"no_source_id": 1, "no_crossmatch": 3}
    assert labels.rows_in == 6
    assert (np.diff(labels.columns["source_id"]) > 0).all()


def test_the_table_may_lie_beside_the_survey(archive, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (archive / "tables" / "pairs.fits").rename(other / "pairs.fits")
    (archive / "labels.fits").rename(other / "labels.fits")
    file = find_survey(survey(), str(other / "labels.fits"), str(archive))
    found = find_crossmatch(survey(), file, str(archive))
    assert found is not None
    assert found.url.endswith("elsewhere/pairs.fits")
    (other / "pairs.fits").unlink()
    with pytest.raises(InputError, match=r"identifiers of its own.*is not there"):
        find_crossmatch(survey(), file, str(archive))


def test_numbers_are_identifiers_as_they_are(archive):
    table(
        archive / "tables" / "pairs.fits",
        apogee_id=text(["2M3", "2M1"]), raveid=np.array([33, 11], np.int64),
        distance=np.zeros(2, np.float32),
    )  # fmt: skip
    labels = collected(archive, survey())
    np.testing.assert_array_equal(labels.columns["source_id"], [11, 33])


def test_pairs_that_know_none_of_the_stars_are_refused(archive):
    table(
        archive / "tables" / "pairs.fits",
        apogee_id=np.arange(1, 4), raveid=np.arange(1, 4), distance=np.zeros(3, np.float32),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"pairs.fits has none of the 5 stars of .*labels.fits"):
        collected(archive, survey())


def test_without_a_crossmatch_words_are_those_of_the_archive(archive):
    labels = collected(archive, survey(crossmatch=None))
    np.testing.assert_array_equal(
        labels.columns["source_id"], np.sort(keys_of(["2M0", "2M1", "2M2", "2M3", "2M4"]))
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"own": "NAME"}, "column NAME is missing"),
        ({"source_id": "distance"}, "floating-point numbers"),
        ({"distance": "raveid"}, "holds no single numbers"),
    ],
)
def test_a_table_that_is_not_as_described_is_refused(archive, change, message):
    rule = CrossMatch(files=("x",), **(RULE | change))
    with pytest.raises(InputError, match=message):
        read_crossmatch(FileRef(str(archive / "tables" / "pairs.fits"), 0), rule)


def test_a_survey_of_words_has_words(archive):
    with fits.open(archive / "labels.fits") as hdus:
        columns = [c for c in hdus[1].columns if c.name != "APOGEE_ID"]
        columns.append(fits.Column("APOGEE_ID", "K", array=np.arange(6)))
        fits.BinTableHDU.from_columns(columns).writeto(archive / "labels.fits", overwrite=True)
    with pytest.raises(InputError, match="holds no words"):
        collected(archive, survey())


def test_pairs_without_a_distance_come_last():
    pairs = CrossMatched(np.array([1, 1, 2]), np.array([10, 11, 20]), np.array([np.nan, 0.5, 1.0]))
    np.testing.assert_array_equal(pairs.translate(np.array([1, 2, 3])), [11, 20, 0])
    nobody = CrossMatched(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    np.testing.assert_array_equal(nobody.translate(np.array([1])), [0])


def test_a_limit_needs_a_distance():
    with pytest.raises(ValueError, match="needs `distance`"):
        CrossMatch(files=("x",), own="a", source_id="b", largest_distance=1.0)


@pytest.mark.parametrize("name", ["apogee-dr17-rave", "gaia-eso", "galah-dr4"])
def test_the_surveys_that_are_shipped_load(name):
    found = load_survey(name)
    assert {"teff", "logg", "fe_h"} <= set(found.labels)
    with pytest.raises(ConfigError):
        load_survey(name + "x")
