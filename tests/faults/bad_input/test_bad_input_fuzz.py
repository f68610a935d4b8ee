"""The short form of the fuzzer; ``python tests/faults/fuzz_readers.py`` is the long one."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def fuzz_readers():
    path = Path(__file__).parents[1] / "fuzz_readers.py"
    specification = importlib.util.spec_from_file_location("fuzz_readers", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def fuzzer(fuzz_readers, pristine, tmp_path):
    return fuzz_readers.Fuzzer(fuzz_readers.make_seeds([pristine.root]), 2, tmp_path)


def test_mutated_tables_end_in_rows_or_words(fuzz_readers, fuzzer):
    failures = fuzz_readers.fuzz(fuzzer, range(500))
    assert not failures, next(iter(failures.values()))
    assert fuzzer.outcomes["read"] > 100  # the mutations leave something to read
    assert fuzzer.outcomes["DamagedFileError"] > 50


def test_the_fuzzer_finds_a_reader_that_loses_rows(fuzz_readers, fuzzer, monkeypatch):
    def lossy(*arguments, **options):
        for number, block in enumerate(read_blocks(*arguments, **options)):
            if number == 0:
                yield block

    read_blocks = fuzz_readers.read_blocks
    monkeypatch.setattr(fuzz_readers, "read_blocks", lossy)
    assert fuzz_readers.fuzz(fuzzer, range(50))
