"""What nobody foresaw of a file stays with that file, and our own defects can still be seen."""

import struct

import numpy as np
import pyarrow as pa
import pytest

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, UnforeseenDamageError, read_blocks
from catalog_builder.archive.readers.guard import guarded, unforeseen_as_damage
from catalog_builder.archive.readers.text import reader as text
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.ground.errors import InputError

UNFORESEEN = [
    ValueError("v"), OverflowError("o"), ZeroDivisionError("z"), KeyError("k"), IndexError("i"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), TypeError("t"), AttributeError("a"),
    struct.error("s"), pa.ArrowInvalid("p"), pa.ArrowNotImplementedError("n"), EOFError("e"),
    RecursionError("r"), AssertionError(), MemoryError("m"), OSError("x"),
]  # fmt: skip


def reader(error, closed=None):
    try:
        yield 1
        yield 2
        raise error
    finally:
        if closed is not None:
            closed.append(True)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_what_a_reader_raises_is_damage_of_its_file(error):
    taken = []
    with pytest.raises(UnforeseenDamageError) as caught:
        taken.extend(guarded("folder/x.parquet", reader(error)))
    assert caught.value.reason is RejectReason.UNREADABLE_FILE
    said = str(caught.value)
    assert said.startswith(f"folder/x.parquet cannot be read: {type(error).__name__} in ")
    assert "(guard.py:" in said  # the last place of the program that it came through
    assert caught.value.__cause__ is error
    assert error.__traceback__ is not None


def test_what_came_before_is_given():
    items = guarded("x", reader(ValueError()))
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(DamagedFileError):
        next(items)


@pytest.mark.parametrize("error", [InputError("a"), DamagedFileError("b"), KeyboardInterrupt()])
def test_what_is_meant_for_the_user_or_ends_the_program_passes(error):
    with pytest.raises(type(error)) as caught:
        list(guarded("x", reader(error)))
    assert caught.value is error


def test_errors_of_who_takes_the_items_are_their_own():
    closed = []

    def take():
        for item in guarded("x", reader(ValueError(), closed)):
            raise KeyError(item)

    with pytest.raises(KeyError):
        take()
    items = guarded("x", reader(ValueError(), closed))
    next(items)
    items.close()
    assert closed == [True, True]
    items = guarded("x", reader(ValueError(), closed))
    next(items)
    with pytest.raises(LookupError):
        items.throw(LookupError())
    assert closed == [True] * 3


def test_a_defect_of_a_reader_is_kept_to_the_file(tiny, tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("source_id,flux,flux_error\n" + '1,"[1,2,3,4]","[1,2,3,4]"\n' * 3)
    real = text.TextReader.blocks

    def broken(self):
        yield next(iter(real(self)))
        np.int8(1) + np.zeros(2)[5]

    monkeypatch.setattr(text.TextReader, "blocks", broken)
    blocks = read_blocks(FileRef(str(path), 0), "rvs_mean_spectrum", tiny, block_rows=1)
    assert next(blocks).n_rows == 1
    with pytest.raises(UnforeseenDamageError, match=r"x\.csv cannot be read: IndexError"):
        next(blocks)


def test_a_wrong_call_is_no_damage(tiny):
    with pytest.raises(ValueError, match="block_rows"):
        list(read_blocks(FileRef("x", 0), "rvs_mean_spectrum", tiny, block_rows=0))


def test_a_long_story_is_told_in_short():
    with pytest.raises(UnforeseenDamageError) as caught, unforeseen_as_damage("x"):
        raise ValueError("y" * 100_000)
    assert len(str(caught.value)) < 5_000
