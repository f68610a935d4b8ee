"""A label survey's file that is wrong: refused by name; what is ingested stays."""

import os

import numpy as np
import pytest
import yaml
from astropy.io import fits

from catalog_builder.ground.errors import InputError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import default_contract
from catalog_builder.labels.locate import find_survey
from catalog_builder.labels.survey import load_survey
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training import stage as teaching
from catalog_builder.training.settings import TrainingSettings


@pytest.fixture
def labels(bench):
    """Ingest, and return the path of the label file."""
    bench.ingest()
    return next((bench.archive.root / "apogee").glob("*.fits"))


def refuse(bench, *words, code=4, arguments=()):
    bench.refuse(code, *words, step="training-set", arguments=arguments)
    assert not list((bench.workdir / "receipts" / "training-set").glob("*.json"))
    bench.books()  # the features are what they were


def rewrite(path, change):
    """Change the table of a label file: `change` gets the data and the columns by name."""
    with fits.open(path) as hdus:
        columns = {column.name: column for column in hdus[1].columns}
        arrays = {name: hdus[1].data[name].copy() for name in columns}
        formats = {name: (column.format, column.unit) for name, column in columns.items()}
    change(arrays, formats)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name, format=formats[name][0], unit=formats[name][1], array=array)
            for name, array in arrays.items()
        ]
    )
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def test_ids_kept_as_floats(bench, labels):
    def change(arrays, formats):
        formats["GAIAEDR3_SOURCE_ID"] = ("D", None)

    rewrite(labels, change)
    refuse(bench, labels.name, "GAIAEDR3_SOURCE_ID holds floating-point", "64-bit integers")


def test_no_label_file(bench, labels):
    labels.unlink()
    refuse(bench, labels.name, "--labels")


def test_a_label_file_that_is_not_there(bench, labels, tmp_path):
    missing = tmp_path / "none.fits"
    refuse(bench, missing, "--labels", arguments=["--labels", missing])


def test_a_label_file_that_is_no_fits(bench, labels):
    labels.write_bytes(b"no FITS file at all" * 1000)
    refuse(bench, labels.name, "cannot be read as FITS")


def test_an_empty_label_file(bench, labels):
    labels.write_bytes(b"")
    refuse(bench, labels.name, "cannot be read as FITS")


def test_a_truncated_label_file(bench, labels):
    labels.write_bytes(labels.read_bytes()[: labels.stat().st_size // 2])
    refuse(bench, labels.name, "cut off at row")


def test_a_label_file_without_the_id_column(bench, labels):
    rewrite(labels, lambda arrays, formats: arrays.pop("GAIAEDR3_SOURCE_ID"))
    refuse(bench, labels.name, "GAIAEDR3_SOURCE_ID", "survey's description")


def test_a_label_file_with_a_foreign_extension(bench, labels):
    image = fits.ImageHDU(np.zeros((4, 4)))
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(labels, overwrite=True)
    refuse(bench, labels.name, "holds no binary table in extension 1")


def test_a_label_column_of_text(bench, labels):
    def to_text(arrays, formats):
        arrays["TEFF"] = np.array(["hot"] * len(arrays["TEFF"]))
        formats["TEFF"] = ("3A", None)

    rewrite(labels, to_text)
    refuse(bench, labels.name, "TEFF", "no single numbers")


def test_a_label_in_another_unit(bench, labels):
    def to_electronvolt(arrays, formats):
        formats["TEFF"] = (formats["TEFF"][0], "eV")

    rewrite(labels, to_electronvolt)
    refuse(bench, labels.name, "teff", "'eV'", "'K'")


def test_labels_of_other_stars(bench, labels):
    def shift(arrays, formats):
        arrays["GAIAEDR3_SOURCE_ID"][:] = np.arange(1, len(arrays["TEFF"]) + 1)

    rewrite(labels, shift)
    refuse(bench, "None of the", "has usable spectra", "--labels")


def test_a_label_file_that_changes_while_it_is_read(bench, labels):
    survey = load_survey("apogee-dr17")
    workdir = Workdir(bench.workdir)
    context = teaching.TrainingContext(
        workdir, default_contract(), survey, TrainingSettings(), seed=0
    )
    (task,) = teaching.plan_labels(find_survey(survey, str(labels), ""), survey)
    os.utime(labels, (0, 0))
    with pytest.raises(InputError, match="changed while it was read") as refusal:
        run_task(teaching.LABELS, context, workdir, task)
    assert labels.name in refusal.value.problem


def test_no_star_passes_the_cuts(bench, labels):
    def blind(arrays, formats):
        arrays["SNR"][:] = 0

    rewrite(labels, blind)
    refuse(bench, "None of the", "cuts")


def test_too_few_labelled_stars(bench, labels):
    refuse(bench, "labelled stars", "fit split", "--model")


def survey(tmp_path, change):
    content = yaml.safe_load((schemas_dir() / "labels" / "apogee-dr17.yaml").read_text())
    change(content)
    file = tmp_path / "survey.yaml"
    file.write_text(yaml.safe_dump(content))
    return f"training.survey={file}"


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda content: content.update(colour="red"), "colour: unknown key"),
        (lambda content: content["labels"]["teff"].update(unit="Kelvins"), "labels.teff.unit"),
        (lambda content: content.update(hdu=0), "hdu"),
        (lambda content: content["cuts"][0].update(bits=None, range=None), "exactly one test"),
    ],
)
def test_a_wrong_survey_description(bench, labels, tmp_path, change, seen):
    assignment = survey(tmp_path, change)
    refuse(bench, seen, code=3, arguments=["--set", assignment])


def test_an_unknown_survey(bench, labels):
    arguments = ["--set", "training.survey=galah-dr99"]
    refuse(bench, "'galah-dr99'", "apogee-dr17", code=3, arguments=arguments)
