"""What a dead driver leaves is tidied up by its record, and by nothing that only looks like one."""

import json

import pytest

from catalog_builder.runtime.clusters import leftovers
from catalog_builder.runtime.clusters.queues import SilentError
from catalog_builder.runtime.workdir import Workdir


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no batch system, whatever this machine has
    file = leftovers.record_file(Workdir(tmp_path), "cb-1")
    leftovers.write_record(file, "slurm", "cb-1", ["7"], str(tmp_path / "tls-cb-1"))
    return file


def commands(folder):
    """Put an scancel into the path that writes down what it is asked."""
    script = folder / "scancel"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    script.chmod(0o755)


def test_jobs_are_ended_by_name_and_keys_removed(record, tmp_path):
    commands(tmp_path)
    (tmp_path / "tls-cb-1").mkdir()
    leftovers.tidy_up(record)
    assert "--name=cb-1" in (tmp_path / "asked").read_text()
    assert not record.exists()
    assert not (tmp_path / "tls-cb-1").exists()


def test_without_an_answer_the_record_stays_for_the_next_run(record):
    with pytest.raises(SilentError):
        leftovers.tidy_up(record)
    assert record.exists()


def test_no_other_folder_is_removed_whatever_the_record_says(record, tmp_path):
    commands(tmp_path)
    precious = tmp_path / "precious"
    precious.mkdir()
    record.write_text(json.dumps(json.loads(record.read_text()) | {"certificates": str(precious)}))
    leftovers.tidy_up(record)
    assert precious.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "slurm"}', '{"kind": "oar", "name": 1}'])
def test_what_is_no_record_is_passed_over(record, tmp_path, text):
    record.write_text(text)
    said = []
    leftovers.cancel_earlier(Workdir(tmp_path), said.append)
    assert said == []


def test_a_run_that_ends_well_leaves_nothing_to_its_guard(record):
    with leftovers.guarded(record):
        assert record.exists()
    assert not record.exists()
