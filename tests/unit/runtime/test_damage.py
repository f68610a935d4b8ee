"""What rotted is found before it does harm, named, discarded, and made again once."""

import errno
import pickle
import random
import shutil

import numpy as np
import pytest

from catalog_builder.features.store import FeatureStore, FeatureWriter
from catalog_builder.ground.errors import InputError, ModelError, StoreError
from catalog_builder.inference.rows import RowWriter, read_rows
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.run.config import load_config
from catalog_builder.runtime import damage
from catalog_builder.runtime.damage import DamagedStoreError, Need, all_damage
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.receipts import TaskState
from catalog_builder.runtime.tasks import Failure, Outcome, Stage, Task, review, run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training.design import Scaling
from catalog_builder.training.match import LabelStore, write_arrays
from catalog_builder.training.shapes import widths_of
from catalog_builder.training.store import TrainingWriter, load_training, write_scaling

SCHEMA = default_schema()
INPUTS = default_contract().inputs
ROWS = 30
MADE = Task("make", "a", "k")


def write_features(out):
    rng = np.random.default_rng(1)
    writer = FeatureWriter(out, 8, INPUTS)
    flux = rng.random((ROWS, INPUTS.spectra["rvs"].samples), np.float32)
    writer.append(
        "rvs", {"rvs_flux": flux, "rvs_flux_error": flux, "rvs_mask": np.ones(flux.shape, bool)}
    )
    flux = rng.random((ROWS, INPUTS.spectra["xp"].samples), np.float32)
    writer.append("xp", {"xp_flux": flux, "xp_flux_error": flux})
    rows = np.arange(ROWS, dtype=np.int32)
    writer.finish(
        {"source_id": 10 + np.arange(ROWS), "rvs_row": rows, "xp_row": rows},
        {"source_id": np.arange(2)},
    )


def write_predictions(out):
    writer = RowWriter(out, SCHEMA, ROWS)
    rng = np.random.default_rng(2)
    writer.write(0, {c.name: rng.random(ROWS).astype(c.numpy_dtype) for c in SCHEMA.columns})
    writer.finish()


def write_labels(out):
    rng = np.random.default_rng(3)
    columns = {"source_id": 10 + np.arange(ROWS), "labels": rng.random((ROWS, 5), np.float32)}
    # A chunk of nothing but the fill value, which zarr would leave out.
    write_arrays(out, {**columns, "label_error": np.zeros((ROWS, 5), np.float32)})


def write_training(out):
    rng = np.random.default_rng(4)
    writer = TrainingWriter(out, ROWS, 10, default_contract())
    block = {name: rng.random((ROWS, 5), np.float32) for name in ("labels", "label_error")}
    block |= {"split": np.zeros(ROWS, np.uint8), "source_id": np.arange(ROWS)}
    writer.write(0, {**block, "parallax": rng.random(ROWS)})
    writer.finish({})
    widths = widths_of(default_contract())
    flat = {name: (np.zeros(width), np.ones(width)) for name, width in widths.items()}
    scaling = Scaling.from_statistics(flat, default_contract())
    write_scaling(out, scaling.to_json())


def training_of(path):
    arrays, scaling = load_training(path, default_contract())
    return {**arrays.block, "labels": arrays.labels, "scaling": str(scaling.to_json())}


#: Writer, reader, and what is checked first, as the stages have it.
KINDS = {
    "features": (write_features, lambda p: FeatureStore(p).read(slice(None)), "metadata"),
    "predictions": (write_predictions, lambda p: read_rows(p, 0, ROWS), "metadata"),
    "labels": (write_labels, lambda p: LabelStore(p).between(0, 99), "metadata"),
    "training": (write_training, training_of, "everything"),
}


class Site:
    """A workdir with one finished store, and a task that reads it."""

    def __init__(self, root, kind):
        self.workdir = Workdir(root)
        self.write, self.reader, checked = KINDS[kind]
        self.read = Task("read", "b", "k", needs=(Need("make", "a", checked),))

        def make(context, task):
            out = self.workdir.new_output(kind, task.name)
            self.write(out)
            return Outcome(1, 1, str(out.relative_to(root)), "digest")

        self.producer = Stage("make", 1, make)
        self.make()

    def make(self):
        self.output = self.workdir.root / run_task(self.producer, None, self.workdir, MADE).output

    def values(self):
        seen = []

        def work(context, task):
            seen.append(self.reader(self.output))
            out = self.workdir.new_output("read", task.name, suffix=".txt")
            out.touch()
            return Outcome(1, 1, str(out.relative_to(self.workdir.root)), "digest")

        self.workdir.receipt_file("read", "b").unlink(missing_ok=True)
        run_task(Stage("read", 1, work), None, self.workdir, self.read)
        return seen[0]

    def files(self):
        return sorted(path for path in self.output.rglob("*") if path.is_file())


@pytest.fixture(scope="module", params=KINDS)
def pristine(request, tmp_path_factory):
    return Site(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def site(pristine):
    """Return the site; what a test damages is restored from a copy."""
    copy = pristine.output.with_suffix(".copy")
    shutil.copytree(pristine.output, copy)
    yield pristine
    shutil.rmtree(pristine.output)
    copy.rename(pristine.output)


def same(left, right):
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f")
        if isinstance(left[name], np.ndarray)
        else left[name] == right[name]
        for name in left
    )


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_is_named_or_does_no_harm(site, seed):
    expected = site.values()
    rng = random.Random(seed)
    victim = rng.choice(site.files())
    flip(victim, rng.randrange(8 * victim.stat().st_size))
    found, damage = values_or_damage(site)
    if damage is None:
        assert victim.name != "zarr.json"
        assert same(found, expected)
    else:
        assert (damage.stage, damage.task) == ("make", "a")
        assert site.workdir.root / damage.file == victim
        assert damage.file in str(DamagedStoreError.of([damage]))


def values_or_damage(site):
    try:
        return site.values(), None
    except DamagedStoreError as error:
        (damage,) = error.damage
        return None, damage


def test_every_flipped_bit_of_metadata_is_found_before_the_task_begins(site):
    for victim in site.files():
        if victim.name != "zarr.json":
            continue
        content = victim.read_bytes()
        flip(victim, random.Random(victim.name).randrange(8 * len(content)))
        with pytest.raises(DamagedStoreError, match=r"zarr\.json has changed since"):
            site.values()
        victim.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes() + b"0"), "bytes instead of"),
    ],
    ids=["missing", "empty", "cut", "longer"],
)
def test_a_missing_or_cut_chunk_never_reads_as_nothing(site, harm, words):
    for victim in (site.files()[0], site.files()[-1]):
        content = victim.read_bytes()
        harm(victim)
        with pytest.raises(DamagedStoreError, match=words) as caught:
            site.values()
        assert site.workdir.root / caught.value.damage[0].file == victim
        victim.write_bytes(content)


def test_a_chunk_that_is_lost_while_the_task_reads_is_an_error(site):
    """Nothing checks beforehand here: the reader itself must not take it for the fill value."""
    chunks = [path for path in site.files() if path.name != "zarr.json"]
    if site.output.parent.name == "training":  # its coordinates are for people
        chunks = [path for path in chunks if "wavelength" not in path.as_posix()]
    if site.output.parent.name == "features":  # a source's rejects are read by status alone
        chunks = [path for path in chunks if "rejected" not in path.as_posix()]
    for chunk in chunks:
        content = chunk.read_bytes()
        chunk.unlink()
        with pytest.raises(StoreError, match="missing"):
            site.reader(site.output)
        chunk.write_bytes(content)


def failing(error):
    def work(context, task):
        raise error

    return Stage("read", 1, work)


def test_what_a_task_raised_without_a_name_has_its_inputs_looked_at(site):
    chunk = next(path for path in site.files() if path.name != "zarr.json")
    flip(chunk, 3)
    task = Task("read", "b", "k2", needs=(Need("make", "a", checked="nothing"),))
    named = f"{site.output} is not a store"
    errors = (OSError(errno.EIO, "Input/output error"), ValueError("checksum"), StoreError(named))
    for error in (*errors, ModelError(named)):
        with pytest.raises(DamagedStoreError) as caught:
            run_task(failing(error), None, site.workdir, task)
        assert caught.value.__cause__ is error


def full_disk_below_another():
    error = RuntimeError("cannot write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    "error",
    [
        InputError("no such file"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        full_disk_below_another(),
        MemoryError("1 TiB"),
        ModelError("The loss is not finite."),
        StoreError("another driver has taken over"),
    ],
    ids=repr,
)
def test_an_error_with_a_reason_of_its_own_has_no_input_read(site, error):
    """Not even a damaged one: that of a training set are all features there are."""
    flip(next(path for path in site.files() if path.name != "zarr.json"), 3)
    task = Task("read", "b", "k2", needs=(Need("make", "a", checked="nothing"),))
    with pytest.raises(type(error)) as caught:
        run_task(failing(error), None, site.workdir, task)
    assert caught.value is error


def test_so_much_is_read_for_an_error_that_names_nothing_and_sizes_behind_it(site, monkeypatch):
    task = Task("read", "b", "k2", needs=(Need("make", "a", checked="nothing"),))
    size = sum(path.stat().st_size for path in site.files())
    chunk = next(path for path in site.files() if path.name != "zarr.json")
    flip(chunk, 3)
    monkeypatch.setattr(damage, "UNNAMED_BYTES", size - 1)
    with pytest.raises(ZeroDivisionError):
        run_task(failing(ZeroDivisionError()), None, site.workdir, task)
    with pytest.raises(DamagedStoreError):
        run_task(failing(ValueError(str(chunk))), None, site.workdir, task)
    monkeypatch.setattr(damage, "UNNAMED_BYTES", size)
    with pytest.raises(DamagedStoreError):
        run_task(failing(ZeroDivisionError()), None, site.workdir, task)
    monkeypatch.setattr(damage, "UNNAMED_BYTES", 0)
    chunk.write_bytes(b"")
    with pytest.raises(DamagedStoreError, match="has 0 bytes"):
        run_task(failing(ZeroDivisionError()), None, site.workdir, task)


def test_an_error_of_a_task_with_whole_inputs_stays_its_own(site):
    with pytest.raises(ZeroDivisionError):
        run_task(failing(ZeroDivisionError()), None, site.workdir, site.read)


@pytest.fixture
def driver(site):
    with Driver(load_config(None, [], {}), site.workdir, Events(None, -1)) as driver:
        yield driver


def test_the_damaged_is_discarded_made_again_and_a_second_time_refused(site, driver):
    expected = site.values()
    victim = site.files()[-1]
    flip(victim, 5)
    site.workdir.receipt_file("read", "b").unlink()
    with pytest.raises(DamagedStoreError) as caught:
        run_task(failing(ValueError()), None, site.workdir, site.read)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.damage == caught.value.damage
    assert all_damage([Failure(site.read, error).error, KeyError()]).damage == error.damage
    driver.discard(error)
    assert driver.remakes([MADE])
    assert not driver.remakes([site.read])
    old = site.output
    assert review(site.workdir, [MADE]).todo == {"a": TaskState.DAMAGED_OUTPUT}
    site.make()
    assert not old.exists()
    assert same(site.values(), expected)
    with pytest.raises(StoreError, match=r"Damaged again after it was made anew.*The disk of"):
        driver.discard(error)
