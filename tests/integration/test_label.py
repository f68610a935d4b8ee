"""`label` and `predict`: a catalogue's stars get its answers, whatever way they come in."""

import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from catalog_builder import cli, open_table, predict
from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.errors import ConfigError, InputError, StoreError
from catalog_builder.labelling.ids import pieces_of_archive, pieces_of_workdir
from catalog_builder.runtime.workdir import Workdir
from tests.integration.conftest import model_of, sealed

LABELS = ("teff", "logg", "m_h", "alpha_m", "fe_h")


@pytest.fixture(scope="module")
def catalogue(finished):
    return open_table(sealed(finished)[0])


@pytest.fixture(scope="module")
def some(catalogue):
    """Rows of stars that taught, and of others, in no order."""
    taught = np.asarray(catalogue["in_training_sample"])
    rows = np.concatenate([np.flatnonzero(taught)[:12], np.flatnonzero(~taught)[::40]])
    return np.random.default_rng(0).permutation(rows)


def plain(column):
    return np.asarray(getattr(column, "value", column))


def same_answers(table, wanted, share_of_sigma):
    assert plain(table["source_id"]).tolist() == plain(wanted["source_id"]).tolist()
    for name in wanted.colnames:
        found, said = plain(table[name]), plain(wanted[name])
        if found.dtype.kind != "f" or share_of_sigma == 0:
            np.testing.assert_array_equal(found, said, err_msg=name)
    for label in LABELS:
        off = np.abs(plain(table[label]) - plain(wanted[label])) / plain(wanted[f"e_{label}"])
        assert np.nanmax(off) <= share_of_sigma, label


def test_stars_of_a_workdir_get_the_bits_of_the_catalogue(finished, catalogue, some):
    ids = plain(catalogue["source_id"])[some]
    said = []
    table = predict(ids, model_of(finished), workdir=finished, tell=said.append)
    untaught = ~plain(catalogue["in_training_sample"])[some]
    same_answers(table[untaught], catalogue[some][untaught], 0)
    same_answers(table, catalogue[some], 1e-3)
    assert table.meta["refused"] == []
    assert said == ["the model was trained on simulated stars"]
    assert str(table["teff"].unit) == "K"
    assert (table["logg"] > 0).sum() > 10  # in dex, as in open_table


def test_stars_of_an_archive(finished, archive, catalogue, some):
    ids = plain(catalogue["source_id"])[some]
    path = Table({"source_id": [*ids.tolist(), 123]})
    said = []
    table = predict(path, model_of(finished), archive=archive, tell=said.append)
    same_answers(table, catalogue[some], 1e-3)
    assert table.meta["refused"] == [f"123: the archive {archive} has no spectrum of it."]
    assert table.meta["refused"][0] in said


def test_simulated_stars_are_marked_by_their_archive_or_run(finished, archive, catalogue):
    """Whatever the model was trained on."""
    release, ids = load_release("dr3"), np.sort(plain(catalogue["source_id"])[:3])
    pieces = [
        *pieces_of_archive(ids, str(archive), release, IngestSettings()),
        *pieces_of_workdir(ids, Workdir(finished), release, 37),
    ]
    assert [piece.simulated for piece in pieces] == [True, True]
    assert [np.isin(ids, piece.ids).all() for piece in pieces] == [True, True]


def test_the_archives_own_rows_as_somebodys_spectra(finished, archive, catalogue, some):
    """As DataLink gives them, with the columns of gaia_source beside."""
    release = load_release("dr3")
    ids = plain(catalogue["source_id"])
    wanted = ids[np.sort(some)]
    tables = []
    for name in ("rvs_mean_spectrum", "xp_continuous_mean_spectrum", "gaia_source"):
        folder = archive / release.tables[name].folders[0]
        for file in sorted(folder.glob("*.gz")):
            for block in read_blocks(FileRef(str(file), file.stat().st_size), name, release):
                own = np.isin(block.columns["source_id"], wanted)
                if own.any():
                    columns = {key: values[own] for key, values in block.columns.items()}
                    tables.append(Table(columns))
    table = predict(tables, model_of(finished), tell=lambda _: None)
    table.sort("source_id")
    known = catalogue[np.isin(ids, plain(table["source_id"]))]
    assert len(table) > 0.9 * len(some)
    # What has XP samples only is not among them.
    both = np.array([plain(known["has_xp"]), plain(known["has_rvs"])]).any(axis=0)
    same_answers(table[both], known[both], 1e-3)


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot", "parquet"])
def test_the_command_writes_what_astropy_reads(
    finished, catalogue, tmp_path, monkeypatch, capsys, ending
):
    ids, out = tmp_path / "ids.txt", tmp_path / f"labels.{ending}"
    ids.write_text("\n".join(map(str, plain(catalogue["source_id"])[[7, 3]])))
    arguments = [str(ids), "--model", str(model_of(finished)), "--workdir", str(finished)]
    monkeypatch.setattr(sys, "argv", ["catalog-builder", "label", *arguments, "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert end.value.code == 0, said.err
    assert said.out.splitlines()[0].startswith("name")
    assert "Labelled: 2 of 2, by model" in said.out
    kinds = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "vot": "votable"}
    table = Table.read(out, format=kinds.get(ending, ending))
    assert table.colnames[1:] == catalogue.colnames
    for name in ("source_id", "teff", "quality_tier", "flags"):
        np.testing.assert_array_equal(table[name], plain(catalogue[name])[[7, 3]], err_msg=name)
    if ending != "csv":
        assert str(table["teff"].unit) == "K"


def test_what_cannot_be_asked(finished, archive, tmp_path, catalogue):
    model, ids = model_of(finished), plain(catalogue["source_id"])[:2]
    silent = {"tell": lambda _: None}
    with pytest.raises(ConfigError, match="by source ids alone"):
        predict(ids, model, **silent)
    with pytest.raises(ConfigError, match="from --archive or from --workdir"):
        predict(ids, model, archive=archive, workdir=finished, **silent)
    with pytest.raises(InputError, match="has no spectrum of it"):
        predict(124, model, archive=archive, **silent)
    with pytest.raises(InputError, match=r"no source id of Gaia Data Release 3"):
        predict([2**63 - 1], model, archive=archive, **silent)
    with pytest.raises(StoreError, match="not a workdir"):
        predict(ids, model, workdir=tmp_path / "nothing", **silent)
    with pytest.raises(ConfigError, match="medium is 'water'"):
        predict(ids, model, archive=archive, medium="water", **silent)


REAL = Path(__file__).parents[3] / "shared" / "data" / "fixtures"


@pytest.mark.skipif(not REAL.is_dir(), reason="real spectra are not here")
def test_real_spectra_from_datalink(finished):
    """By a model of simulated stars, so answers matter little: that there are some does."""
    files = sorted((REAL / "rvs-raw").glob("*.csv"))
    table = predict(files, model_of(finished), tell=lambda _: None)
    assert len(table) == len(files) == 3
    assert np.isfinite(plain(table["teff"])).all()
    assert plain(table["rvs_spec_sig_to_noise"]).round().tolist() == [91, 460, 157]
    answers = [
        plain(predict(file, model_of(finished), tell=lambda _: None)["teff"])[0]
        for file in sorted((REAL / "datalink-astroquery").glob("dl_*.zip"))
    ]
    assert len(answers) == 4
    assert np.ptp(answers) < 0.01
