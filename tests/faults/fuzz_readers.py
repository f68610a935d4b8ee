"""Fuzz the ECSV reader: real-looking tables, mutated, must end in rows, rejects or words.

    python tests/faults/fuzz_readers.py --cases 100000 --seed 1
    python tests/faults/fuzz_readers.py --seed 1 --only 4711       # one case again

The seeds are tables of a simulated archive and, where ``../shared`` lies beside the repository, of
the real one, cut to a few rows. Each case mutates one (bytes, tokens, lines, the header, the
gzip stream) and reads it. Allowed are `InputError` and its child `DamagedFileError`; every other
exception, be it one that the guard kept to its file (`UnforeseenDamageError`), a warning, a crash
or a hang is a failure. What is read must add up: rows looked at are good rows plus rejects,
numbered without gaps, and where the text was read to its end they are as many as its lines. Of a
mutated gzip stream no more may be read than zlib finds in the members whose CRC is right, and in
one that ends early. A case depends on nothing but the seed and its number.
"""

import argparse
import faulthandler
import gzip
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import UnforeseenDamageError, read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "real-dr3"

#: Rows kept of each seed table. Long rows are few: time goes with bytes.
ROWS = {
    "gaia_source": 8,
    "xp_sampled_mean_spectrum": 3,
    "rvs_mean_spectrum": 2,
    "xp_continuous_mean_spectrum": 2,
}
#: How often each table is chosen.
SHARES = {
    "gaia_source": 0.55,
    "xp_sampled_mean_spectrum": 0.30,
    "rvs_mean_spectrum": 0.10,
    "xp_continuous_mean_spectrum": 0.05,
}
#: A case takes milliseconds; one that takes this long has hung.
HANG_SECONDS = 60

TOKENS = [
    *(b"", b"null", b"NaN", b"nan", b"inf", b"-inf", b"Infinity", b"None", b"--", b"\\N", b"abc"),
    *(b"0", b"-0", b"-1", b"1e999", b"1e-999", b"1e+", b"e5", b".", b"-", b"+", b"1.2.3", b"0x1F"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"1_000", b"1,5"),
    *(
        b"9" * 400,
        b"0." + b"0" * 400 + b"1",
        b"1" + b"0" * 400,
        b"4.9e-324",
        b"1.7976931348623159e308",
    ),
    *(
        b'"',
        b'""',
        b'"""',
        b"'",
        b"[",
        b"]",
        b"[]",
        b"[[",
        b"(",
        b")",
        b"[,]",
        b"[1,",
        b",",
        b",,,",
    ),
    *(
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\t",
        b" ",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xc3\x28",
    ),
    *(b"#", b"# ", b"# %ECSV 1.0\n", b"True", b"false", b"T", b"yes", b"1;2", b"\x1a", b"\x7f"),
]


@dataclass(frozen=True)
class Seed:
    """A table as text, before it is mutated."""

    table: str
    text: bytes


def make_seeds(archives):
    """Return the first tables of each kind in some archives, cut to a few rows."""
    release = load_release("dr3")
    seeds = []
    for archive in archives:
        for table, rows in ROWS.items():
            files = sorted((archive / release.tables[table].folders[0]).glob("*.csv.gz"))[:2]
            for file in files:
                lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
                begin = next(n for n, line in enumerate(lines) if not line.startswith(b"#"))
                seeds.append(Seed(table, b"".join(lines[: begin + 1 + rows])))
    return seeds


class Fuzzer:
    """Makes and judges cases."""

    def __init__(self, seeds, seed, folder):
        self.seeds, self.seed, self.folder = seeds, seed, Path(folder)
        self.release = load_release("dr3")
        self.outcomes = Counter()

    def run(self, number):
        """Run one case; raise AssertionError, or whatever the reader should not have raised."""
        rng = np.random.default_rng([self.seed, number])
        table = rng.choice(list(SHARES), p=list(SHARES.values()))
        seed = _pick(rng, [s for s in self.seeds if s.table == table] or self.seeds)
        text = _mutate_text(rng, seed.text) if rng.random() < 0.9 else seed.text
        packed = rng.random() < 0.3
        content = zlib_gzip(text) if packed else text
        whole = True
        if packed and rng.random() < 0.5:
            content, whole = _mutate_bytes(rng, content), False
        file = self.folder / f"case.csv{'.gz' if packed else ''}"
        file.write_bytes(content)
        ref = FileRef(str(file), len(content))
        block_rows = int(rng.choice([1, 2, 5, 1024]))
        columns = None if rng.random() < 0.8 else ["source_id"]
        read = 0
        try:
            for block in read_blocks(
                ref, seed.table, self.release, block_rows=block_rows, columns=columns
            ):
                read = _check_block(block, read, self.release.tables[seed.table], block_rows)
        except UnforeseenDamageError:
            raise
        except InputError as error:
            _check_error(error, file)
            if not whole:
                assert read <= _believable_rows(content), "rows of a member with a wrong CRC"
            self.outcomes[type(error).__name__] += 1
            return
        self.outcomes["read"] += 1
        if whole:
            assert read == _count_rows(text), f"{read} rows read of {_count_rows(text)}"


def _check_error(error, file):
    assert str(file) in error.problem, f"the file is not named: {error.problem!r}"


def _check_block(block, before, table, block_rows):
    """Assert that a block adds up; return the number of rows looked at so far."""
    assert block.first_row == before, "a gap between blocks"
    assert block.n_read == block.n_rows + len(block.rejects), "rows lost or doubled"
    assert block.n_rows <= block_rows
    numbers = np.concatenate([block.row_numbers, [reject.row for reject in block.rejects]])
    assert np.array_equal(np.sort(numbers), before + np.arange(block.n_read)), "row numbers"
    assert (block.columns["source_id"] > 0).all()
    for name, values in block.columns.items():
        spec = table.columns[name]
        shape = (block.n_rows,) if spec.length is None else (block.n_rows, spec.length)
        assert values.shape == shape, f"{name} has shape {values.shape}"
        assert values.dtype == spec.numpy_dtype, f"{name} is {values.dtype}"
    for reject in block.rejects:
        assert reject.detail
        assert reject.source_id is None or reject.source_id > 0
    assert all(0 < count <= block.n_rows for count in block.cell_nulls.values())
    return before + block.n_read


def _count_rows(text):
    """Count the rows of a table independently: lines after the names that are not empty."""
    lines = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    # The reader takes a byte order mark before any line of the header for none.
    heads = [line.removeprefix(b"\xef\xbb\xbf") for line in lines]
    names = next(n for n, line in enumerate(heads) if line.strip() and not line.startswith(b"#"))
    return sum(1 for line in lines[names + 1 :] if line)


def _believable_rows(content):
    """Count the lines that a gzip stream vouches for, independently of the reader."""
    text = b""
    while content.strip(b"\0"):
        member = zlib.decompressobj(wbits=31)
        try:
            text += member.decompress(content.lstrip(b"\0"))
        except zlib.error:
            break
        content = member.unused_data
    return text.count(b"\n") + 1


def zlib_gzip(text):
    """Compress fast: most of a case's time would go here."""
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(text) + packer.flush()


def _pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def _mutate_text(rng, text):
    """Apply one to four mutations."""
    for _ in range(int(rng.integers(1, 5))):
        text = _pick(rng, _TEXT_MUTATIONS)(rng, text)
        if not text:
            break
    return text


def _mutate_bytes(rng, content):
    return _pick(rng, (_flip, _truncate, _cut, _repeat, _append))(rng, content)


def _place(rng, text):
    return int(rng.integers(len(text) + 1))


def _span(rng, text):
    begin = _place(rng, text)
    return begin, min(len(text), begin + int(2 ** rng.uniform(0, 12)))


def _flip(rng, text):
    changed = bytearray(text)
    for _ in range(int(rng.integers(1, 6))):
        changed[int(rng.integers(len(text)))] = int(rng.integers(256))
    return bytes(changed)


def _truncate(rng, text):
    return text[: _place(rng, text)]


def _cut(rng, text):
    begin, end = _span(rng, text)
    return text[:begin] + text[end:]


def _repeat(rng, text):
    begin, end = _span(rng, text)
    return text[:end] + text[begin:end] * int(rng.integers(1, 4)) + text[end:]


def _append(rng, text):
    return text + bytes(rng.integers(0, 256, int(rng.integers(1, 64)), dtype=np.uint8))


def _insert_token(rng, text):
    place = _place(rng, text)
    return text[:place] + _pick(rng, TOKENS) + text[place:]


def _replace_cell(rng, text):
    """Replace what stands between two separators."""
    begin = _place(rng, text)
    begin = text.rfind(b",", 0, begin) + 1
    ends = [end for end in (text.find(b",", begin), text.find(b"\n", begin)) if end >= 0]
    end = min(ends, default=len(text))
    return text[:begin] + _pick(rng, TOKENS) + text[end:]


def _lines(mutate):
    def mutation(rng, text):
        lines = text.splitlines(keepends=True)
        mutate(rng, lines)
        return b"".join(lines)

    return mutation


def _drop_line(rng, lines):
    del lines[int(rng.integers(len(lines)))]


def _double_line(rng, lines):
    place = int(rng.integers(len(lines)))
    lines.insert(place, lines[place])


def _swap_lines(rng, lines):
    one, other = rng.integers(len(lines), size=2)
    lines[one], lines[other] = lines[other], lines[one]


def _in_header(rng, text):
    """Mutate the header only: the larger part of a file is rows."""
    end = text.find(b"\n", text.rfind(b"\n#") + 1) + 1
    end = text.find(b"\n", end) + 1
    head = text[:end]
    if not head:
        return text
    return _pick(rng, (_flip, _cut, _insert_token, _replace_cell))(rng, head) + text[end:]


_TEXT_MUTATIONS = (
    _flip,
    _truncate,
    _cut,
    _repeat,
    _insert_token,
    _replace_cell,
    _replace_cell,
    _in_header,
    _lines(_drop_line),
    _lines(_double_line),
    _lines(_swap_lines),
)


def fuzz(fuzzer, numbers, report=lambda text: None):
    """Run cases; return those that failed, with their tracebacks."""
    failures = {}
    begin = time.monotonic()
    for count, number in enumerate(numbers, 1):
        if count % 100 == 1:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fuzzer.run(number)
        except Exception:  # noqa: BLE001 - finding any of them is the purpose
            failures[number] = traceback.format_exc()
            report(f"case {number} failed:\n{failures[number]}")
        if count % 10_000 == 0:
            report(f"{count} cases, {len(failures)} failed, {time.monotonic() - begin:.0f} s")
    faulthandler.cancel_dump_traceback_later()
    return failures


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this case alone, and show what it raises")
    options = parser.parse_args()
    faulthandler.enable()
    numbers = range(options.cases) if options.only is None else [options.only]
    with tempfile.TemporaryDirectory() as folder:
        from catalog_builder.simulate.sky import simulate

        simulate("dr3", 120, 0, Path(folder) / "sky")
        archives = [Path(folder) / "sky", *([REAL] if REAL.is_dir() else [])]
        fuzzer = Fuzzer(make_seeds(archives), options.seed, folder)
        failures = fuzz(fuzzer, numbers, lambda text: print(text, flush=True))
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in fuzzer.outcomes.most_common())
    print(f"{len(numbers)} cases: {outcomes}; {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
