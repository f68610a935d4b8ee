"""Whole runs with a model that knows its training archive, or does not."""

import gzip
import json
import shutil

import pytest

from catalog_builder.ground.errors import AlarmError
from catalog_builder.inference.alarms import NO_REFERENCE
from catalog_builder.looking.status import read_status
from catalog_builder.looking.status_text import in_words
from catalog_builder.model.document import ModelDocument, read_document
from tests.integration.conftest import model_of, sealed


def record_of(workdir):
    (catalogue,) = sealed(workdir)
    return json.loads((catalogue / "RELEASE.json").read_text())


@pytest.fixture(scope="module")
def spoilt(archive, tmp_path_factory):
    """Return an archive whose S/N is called otherwise."""
    out = tmp_path_factory.mktemp("spoilt") / "archive"
    shutil.copytree(archive, out)
    for file in (out / "gdr3/gaia_source").glob("GaiaSource_*"):
        content = gzip.decompress(file.read_bytes())
        renamed = content.replace(b"rvs_spec_sig_to_noise", b"signal_over_noise")
        file.write_bytes(gzip.compress(renamed, 1))
    for sums in out.rglob("_MD5SUM.txt"):
        sums.unlink()
    return out


def test_a_model_holds_counts_of_its_archive_and_its_own_run_is_like_it(finished):
    population = read_document(model_of(finished)).population
    assert population.archive == population.inputs.stars == population.answers.stars
    found = record_of(finished)["alarms"]
    assert found["not_compared"] is None
    assert found["alarms"] == []
    assert found["tests"] > 30
    assert found["stars"] == found["reference"] == population.archive


def test_a_strict_run_seals_and_ends_with_ten(site, finished, spoilt, tmp_path):
    settings = ("ingest.gate=false", "alarms.strict=true")
    options = {"archive": str(spoilt), "model_path": str(model_of(finished))}
    for _ in range(2):  # the second finds everything complete, and says the same
        with pytest.raises(AlarmError, match="is sealed and stays as it is") as ended:
            site.run(tmp_path / "work", *settings, **options)
    assert ended.value.exit_code == 10
    assert "0 % of the stars with RVS have an S/N" in ended.value.problem
    names = {alarm["about"] for alarm in record_of(tmp_path / "work")["alarms"]["alarms"]}
    assert "rvs_spec_sig_to_noise_known" in names
    told = in_words(read_status(tmp_path / "work"))
    assert "  ALARM: 0 % of the stars with RVS have an S/N" in told


def test_an_ingest_for_a_model_is_compared_at_once(site, finished, spoilt, tmp_path):
    options = {"archive": str(spoilt), "model_path": str(model_of(finished))}
    settings = ("ingest.gate=false", "alarms.strict=true")
    with pytest.raises(AlarmError, match="have an S/N"):
        site.run(tmp_path / "work", *settings, steps=("ingest",), **options)


def test_a_model_without_a_reference_is_not_compared(site, finished, tmp_path):
    old = shutil.copytree(model_of(finished), tmp_path / "model")
    content = read_document(old).model_copy(update={"population": None})
    document = ModelDocument.model_validate(content.model_dump())
    sealed_again = document.model_copy(update={"digest": document.content_digest()})
    (old / "model.json").write_bytes(sealed_again.to_bytes())
    site.run(tmp_path / "work", "alarms.strict=true", model_path=str(old))
    found = record_of(tmp_path / "work")["alarms"]
    assert found["not_compared"] == NO_REFERENCE
