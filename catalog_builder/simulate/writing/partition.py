"""One range of the sky, drawn, observed and written: what a worker does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.tables import TableName
from catalog_builder.labels.survey import LabelSurvey, load_survey
from catalog_builder.simulate.instruments.motion import measure
from catalog_builder.simulate.instruments.observed import Observed, observe
from catalog_builder.simulate.population.chemistry import made_labels
from catalog_builder.simulate.population.motion import set_moving
from catalog_builder.simulate.population.streams import streams
from catalog_builder.simulate.population.truth import (
    Stars,
    add_wart,
    make_hot,
    stars_drawn,
    stars_sampled,
    untie_alpha,
)
from catalog_builder.simulate.simulation import simulation_of
from catalog_builder.simulate.writing import apogee, label_file, layout, tables
from catalog_builder.simulate.writing.bare import Among, BareSources, truth_of_bare
from catalog_builder.simulate.writing.beside import observe_beside, table_contents
from catalog_builder.simulate.writing.label_file import id_column, pairs_path
from catalog_builder.simulate.writing.truth_file import truth_table
from catalog_builder.simulate.writing.words import (
    AGAIN,
    Words,
    has_words,
    observed_again,
    same_again,
)
from catalog_builder.simulate.writing.writers import PartitionReceipt, Writers

#: Stars held in memory at a time; results depend on it, so it is no setting.
BLOCK: Final = 400
#: Text in place of a value, as found in real files: an array cut short, a damaged number.
_CUT_ARRAY: Final = '"[0.98716646,0.9970158,0.99805'
_DAMAGED_NUMBER: Final = "5#"


@dataclass(frozen=True)
class PartitionPlan:
    """Descriptor of one partition: small, and all that a worker needs.

    Parameters
    ----------
    release, survey : str
        Descriptions, by name or path.
    seed, index : int
        All random numbers of the partition come from these two.
    first, last : int
        Inclusive range of HEALPix pixels.
    stars : int
        How many to draw.
    apogee_share : float
        Share of them that APOGEE has observed.
    out : str
        Root of the archive.
    without : tuple of str
        Tables whose file is left out here, although the source table says it exists.
    corrupt : tuple of str
        Tables that get one damaged cell here.
    clean : bool
        Whether nothing is wrong with the input: no wart but those that a measurement brings.
    bare : (int, float)
        How many sources without spectra are beside them, and their share of all.
    untied : bool
        Whether [alpha/M] has nothing to do with [M/H].
    """

    release: str
    survey: str
    seed: int
    index: int
    first: int
    last: int
    stars: int
    apogee_share: float
    out: str
    without: tuple[TableName, ...] = ()
    corrupt: tuple[TableName, ...] = ()
    clean: bool = False
    bare: tuple[int, float] = (0, 0.0)
    untied: bool = False


def truth_path(out: Path, range_: str) -> Path:
    """Truth of one range."""
    return out / "truth" / f"truth_{range_}.parquet"


def labels_path(label_file: Path, range_: str) -> Path:
    """Rows of the label file of one range, until they are joined."""
    return label_file.parent / ".parts" / f"{range_}.npy"


@dataclass(frozen=True)
class Looked:
    """A block as this release sees it, for one who looks at the same stars once more.

    Parameters
    ----------
    number : int
        Of the block.
    star : Stars
        Warts are those of stars and labels, without those of files.
    seen : Observed
        What is published of them.
    labelled : numpy.ndarray
        (n,) who has labels.
    made : dict of str to numpy.ndarray
        (n,) true values of labels that the spectra do not have.
    """

    number: int
    star: Stars
    seen: Observed
    labelled: NDArray[np.bool_]
    made: dict[str, NDArray[np.float64]]


class Follower(Protocol):
    """Who looks at the same stars once more."""

    def begin(self, star: Stars) -> None:
        """Take notice of all stars of the partition."""

    def look(self, looked: Looked) -> None:
        """Look at a block."""


def simulate_partition(plan: PartitionPlan, follower: Follower | None = None) -> PartitionReceipt:
    """Write all tables of one partition, its truth and its rows of the label file."""
    release, survey = load_release(plan.release), load_survey(plan.survey)
    out = Path(plan.out)
    # The order of sums in linear algebra depends on the number of threads, and so do last digits.
    with threadpool_limits(limits=1):
        return _write_partition(plan, release, survey, out, follower)


def _write_partition(
    plan: PartitionPlan,
    release: ReleaseSpec,
    survey: LabelSurvey,
    out: Path,
    follower: Follower | None,
) -> PartitionReceipt:
    range_ = layout.range_name(release, plan.first, plan.last)
    with ExitStack() as stack:
        sky = Writers(stack, release, out, range_, spell_nulls=not plan.clean)
        rng = np.random.default_rng([plan.seed, plan.index])
        star, magnitude = _drawn(rng, release, plan)
        bare = BareSources(release, [plan.seed, plan.index, plan.first, plan.last], plan.bare)
        chance = bare.chance(star, magnitude)
        if follower is not None:
            follower.begin(star)
        labels = [np.zeros(0, dtype=label_file.dtype_of(survey))]
        truth: pq.ParquetWriter | None = None
        for number, start in enumerate(range(0, len(star), BLOCK)):
            block = star.rows(slice(start, start + BLOCK))
            among = bare.before(star.source_id[start + BLOCK :])
            lost = sky.lost(plan.without, last=start + BLOCK >= len(star))
            now = replace(plan, without=lost)
            rows, table = _block(now, release, survey, block, sky, number, follower, among)
            table = bare.told(table, chance[start : start + BLOCK])
            labels.append(rows)
            if truth is None:
                path = truth_path(out, range_)
                truth = stack.enter_context(pq.ParquetWriter(path, marked(table.schema)))
            truth.write_table(table)
    bare.write_truth(truth_of_bare(out, range_))
    parts = labels_path(out / label_file.file_of(survey), range_)
    np.save(parts, np.concatenate(labels), allow_pickle=False)
    if survey.crossmatch is not None:
        np.save(pairs_path(parts), sky.pairs(), allow_pickle=False)
    return sky.finish(plan.index, plan.without)


def _drawn(
    rng: np.random.Generator, release: ReleaseSpec, plan: PartitionPlan
) -> tuple[Stars, NDArray[np.float64]]:
    """Draw the stars of a partition, and their rough absolute G."""
    like = simulation_of(release.name).population
    where = (plan.first, plan.last, plan.stars)
    drawn = (
        stars_drawn(rng, release, *where)
        if like is None
        else stars_sampled(rng, release, *where, like)
    )
    if plan.untied:
        untie_alpha(streams(plan.seed, plan.index, 0)("untied"), drawn[0])
    again = simulation_of(release.name).repeated
    if not again or not has_words(release):
        return drawn
    star = observed_again(streams(plan.seed, plan.index, 0)("repeated"), drawn[0], again)
    return star, drawn[1]


def marked(schema: pa.Schema) -> pa.Schema:
    """Add the mark of a simulation, and what astropy wants to know of columns of text."""
    lengths = {f"table::len::{f.name}": "96" for f in schema if f.type == pa.string()}
    return schema.with_metadata({KEYWORD: "true", "ORIGIN": SENTENCE, **lengths})


def _block(
    plan: PartitionPlan,
    release: ReleaseSpec,
    survey: LabelSurvey,
    star: Stars,
    sky: Writers,
    number: int,
    follower: Follower | None,
    among: Among,
) -> tuple[NDArray[np.void], pa.Table]:
    """Observe and write one block; return its label rows and its truth."""
    rng = np.random.default_rng([plan.seed, plan.index, number])
    make_hot(rng, star)
    draws = streams(plan.seed, plan.index, number)
    set_moving(draws("velocities"), star)
    made = made_labels(star, survey, draws)
    spare = np.random.default_rng([plan.seed, plan.index, number, 1]) if plan.clean else None
    seen = observe(rng, star, release, spare)
    seen.motion = measure(draws, star, seen.astrometry, seen.exact_grvs)
    gaia = tables.gaia_source(star, seen, release)
    if has_words(release):
        gaia = same_again(gaia)
    gaia["random_index"] = tables.random_index(draws("random index"), len(star))
    beside = observe_beside(release, star, seen, gaia, draws)
    rows, star.wart = apogee.observe(
        rng, star, seen, survey, plan.apogee_share, clean=plan.clean, made=made, draws=draws
    )
    # A star with labels has them for each spectrum.
    known = rows[id_column(survey)].astype(np.int64) | AGAIN
    labelled = np.isin(star.source_id | AGAIN, known)
    if follower is not None:
        follower.look(Looked(number, star, seen, labelled, made))
    contents = table_contents(release, star, seen, gaia, beside)
    contents["astrophysical_parameters"] = tables.astrophysical_parameters(rng, star, seen)
    damage = _damage(plan, release, contents, star) if number == 0 else {}
    for table in plan.without:
        missing = np.isin(star.source_id, contents[table]["source_id"])
        star.wart = add_wart(star.wart, missing, f"missing_file_{table}")
    among(contents)
    words = Words.of(star, plan.index, number) if has_words(release) else None
    if words is not None:
        contents = {table: words.spelt(block, release) for table, block in contents.items()}
        sky.go_to(words)
        sky.pair(words, labelled)
    # A file of one field that is missing is not written; that of a range goes at the end.
    unwritten = plan.without if layout.by_field(release) else ()
    for table, block in contents.items():
        if table in unwritten:
            continue
        sky.write(table, block, damage.get(table, {}))
    told = star if words is None else words.told(star, release)
    return rows, truth_table(told, seen, labelled, made, beside)


def _damage(
    plan: PartitionPlan,
    release: ReleaseSpec,
    contents: dict[TableName, tables.Block],
    star: Stars,
) -> dict[TableName, dict[str, dict[int, str]]]:
    """Damage one cell of each table in `plan.corrupt`, and say so in the truth."""
    cells: dict[TableName, tuple[str, str]] = {
        "rvs_mean_spectrum": ("flux", _CUT_ARRAY),
        "xp_continuous_mean_spectrum": ("bp_basis_function_id", _DAMAGED_NUMBER),
    }
    held, by_field = layout.contents_of(release), layout.by_field(release)
    result: dict[TableName, dict[str, dict[int, str]]] = {}
    for table in plan.corrupt:
        # In a file of bytes a damaged cell has no text; the writer makes it NaN.
        column, text = (_flux_of(release, table), "") if by_field else cells[held[table]]
        source_id = contents[table]["source_id"]
        row = len(source_id) // 2
        if row >= len(source_id):
            continue
        # The quote is closed, so that only this row is damaged.
        whole = text + ']"' if text.startswith('"') else text
        result[table] = {column: {row: whole}}
        hit = star.source_id == source_id[row]
        star.wart = add_wart(star.wart, hit, f"corrupt_{table}_{column}")
    return result


def _flux_of(release: ReleaseSpec, table: TableName) -> str:
    """Return the column of a table that has the samples of a spectrum."""
    products = (one for spectrum in release.spectra.values() for one in spectrum.products)
    return next(one.flux for one in products if one.table == table)
