"""A run's performance report is saved beside its log, and never stands in its way."""

from pathlib import Path

import pytest

from catalog_builder.ground.errors import ClusterError, InputError
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.performance import saved_report
from catalog_builder.runtime.workdir import Workdir


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with make_cluster(ClusterSettings(workers=1), Workdir(tmp_path_factory.mktemp("w"))) as found:
        yield found.client


def test_the_report_is_saved_whole_and_without_the_home(client, tmp_path):
    file = tmp_path / "performance.html"
    with saved_report(client, file, pytest.fail):
        client.submit(sum, [1, 2]).result()
    text = file.read_text()
    assert "<html" in text
    assert f"{Path.home()}/" not in text
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_run_has_its_report_and_keeps_its_error(client, tmp_path):
    file = tmp_path / "performance.html"
    with pytest.raises(InputError), saved_report(client, file, pytest.fail):
        raise InputError("It is damaged.")
    assert file.exists()


@pytest.mark.parametrize("error", [ClusterError("It is lost."), KeyboardInterrupt()])
def test_an_interrupted_run_waits_for_no_report(client, tmp_path, error):
    with pytest.raises(type(error)), saved_report(client, tmp_path / "p.html", pytest.fail):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_is_a_warning(client, tmp_path):
    told = []
    (tmp_path / "a file").touch()
    with saved_report(client, tmp_path / "a file" / "p.html", told.append):
        pass
    assert len(told) == 1
    assert told[0].startswith("no performance report: ")
