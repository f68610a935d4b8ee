"""A catalogue beside another table: pairs on disk, gone through three times.

First where the differences of each label are; then all counts, for which that must be known (what
is taken for the other table's errors where it gives none, what is left out of a straight line); at
last the outliers, for which the widths of the pulls must be known.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import make_file
from catalog_builder.archive.marks import is_marked
from catalog_builder.comparing.engine import names_of_labels
from catalog_builder.comparing.matching import Matching, SameIds
from catalog_builder.comparing.outside.axes import Array, AxisOf, axes_of, errors_of
from catalog_builder.comparing.outside.mapping import OtherTable, refuse_other_units
from catalog_builder.comparing.outside.outliers import Outliers, flags_of, masks_of
from catalog_builder.comparing.outside.pairing import THEIR_ERROR, THEIRS, Pairing
from catalog_builder.comparing.outside.places import files_with_stars, occupied_pixels
from catalog_builder.comparing.outside.stars import OtherStars, Read
from catalog_builder.comparing.outside.tally import FirstTally, Slope, Tally
from catalog_builder.comparing.sides import TIER, Block, Side
from catalog_builder.report.histogram import Counts
from catalog_builder.report.quantities import Quantities

#: Files in which the mark of a simulation is looked for: an archive has thousands.
_LOOKED_AT: Final = 8


@dataclass(frozen=True)
class Beside:
    """What came out.

    Attributes
    ----------
    side : Side
        The catalogue.
    mapping : OtherTable
    calibration : str or None
        That was applied to the other table.
    files : tuple of Path
        That were read.
    passed_over : int
        Files in whose range of pixels the catalogue has no star.
    matched_by : str
    axes : tuple of AxisOf
    tallies : dict of str to Tally
        By label, of those that both have.
    outliers : dict of str to Outliers
    only_ours, only_theirs : tuple of str
        Labels that the other one lacks.
    read : Read
    left_out : Counter of str
        Stars of the other table that are in no pair, by why.
    stars : int
        Pairs.
    taught : bool
        Whether stars that taught the model are among them.
    simulated : bool
        Whether a file of the other table says that it is simulated.
    """

    side: Side
    mapping: OtherTable
    calibration: str | None
    files: tuple[Path, ...]
    passed_over: int
    matched_by: str
    axes: tuple[AxisOf, ...]
    tallies: dict[str, Tally]
    outliers: dict[str, Outliers]
    only_ours: tuple[str, ...]
    only_theirs: tuple[str, ...]
    read: Read
    left_out: Counter[str]
    stars: int
    taught: bool
    simulated: bool

    def first_cell(self, axis: AxisOf) -> int:
        """Return the cell of an axis's first regime in each tally; that of all stars is 0."""
        before = self.axes[: self.axes.index(axis)]
        return 1 + sum(len(each.regimes) for each in before)

    def slope(self, name: str, axis: AxisOf) -> Slope:
        """Return the slope of a label's differences along an axis."""
        return self.tallies[name].slope([a for a in self.axes if a.has_slope].index(axis))


def compare_with(
    side: Side,
    files: Sequence[Path],
    mapping: OtherTable,
    *,
    matching: Matching | None = None,
    calibration: str | None = None,
    taught: bool = False,
    scratch: Path | None = None,
) -> Beside:
    """Compare a catalogue with another table.

    Parameters
    ----------
    side : Side
        The catalogue.
    files : sequence of Path
        All parts of the other table.
    mapping : OtherTable
        Which of its columns is what.
    matching : Matching, optional
        Its ids to ours; the same if not given.
    calibration : str, optional
        One of the mapping's.
    taught : bool
        Whether stars that taught the model are compared too.
    scratch : Path, optional
        Folder for temporary files: 8 bytes and 8 for each label, of each of its stars that the
        catalogue has, then those of the pairs.

    Raises
    ------
    NothingInCommonError
        If the other table has none of our labels, or no ids.
    InputError
        If it is damaged, or not as the mapping says.
    ConfigError
        If the mapping's units are not ours, or it has no such calibration.
    """
    ours = names_of_labels(side)
    refuse_other_units(mapping, [label for label in side.schema.labels if label.name in ours])
    used = _with_stars(side, files, mapping, matching)
    other = OtherStars(used, mapping, ours, mapping.calibration(calibration))
    matching = matching or SameIds()
    quantities = Quantities(side.schema.contract)
    first = {name: FirstTally(quantities[name]) for name in other.labels}
    probe = axes_of(side, other.labels, {}, extinction=other.has_extinction)
    names = [column for name in ours for column in (name, f"e_{name}")]
    names += [c for axis in probe for c in axis.columns] + masks_of(side)
    names += [TIER] if TIER in side.columns else []
    with tempfile.TemporaryDirectory(prefix="compare-", dir=scratch) as folder:
        pairing = Pairing(side, names, Path(folder), taught=taught)
        pairing.fill(other, matching)
        for block in pairing.blocks():
            for name, values in _labels(block, first):
                first[name].add(values.ours - values.theirs, values.sigma)
        spread = {name: tally.spread for name, tally in first.items()}
        axes = axes_of(side, other.labels, spread, extinction=other.has_extinction)
        cells = 1 + sum(len(axis.regimes) for axis in axes)
        lines = sum(axis.has_slope for axis in axes)
        tallies = {n: Tally(quantities[n], cells, lines, tally) for n, tally in first.items()}
        for block in pairing.blocks():
            _count(block, tallies, axes)
        outliers = _outliers(side, pairing, tallies, spread)
    theirs = other.labels if mapping.survey else tuple(mapping.labels)
    return Beside(
        side,
        mapping,
        calibration,
        tuple(used),
        len(files) - len(used),
        matching.title,
        axes,
        tallies,
        outliers,
        tuple(name for name in ours if name not in tallies),
        tuple(name for name in theirs if name not in tallies),
        other.read,
        pairing.left_out,
        pairing.stars,
        taught,
        any(is_marked(make_file(str(path), {})) for path in used[:_LOOKED_AT]),
    )


def _with_stars(
    side: Side, files: Sequence[Path], mapping: OtherTable, matching: Matching | None
) -> list[Path]:
    """Return the files that may have a star of the catalogue; the first at least."""
    level = mapping.pixels_in_names
    if level is None or not isinstance(matching or SameIds(), SameIds):
        return list(files)
    return files_with_stars(files, occupied_pixels(side, level)) or list(files[:1])


@dataclass(frozen=True)
class _Values:
    """The pairs of a block that have a label."""

    used: NDArray[np.bool_]
    ours: Array
    sigma: Array
    theirs: Array
    error: Array


def _labels(block: Block, names: Mapping[str, object]) -> Iterator[tuple[str, _Values]]:
    for name in names:
        columns = (name, f"e_{name}", THEIRS.format(name), THEIR_ERROR.format(name))
        ours, sigma, theirs, error = (block[column].astype(np.float64) for column in columns)
        used = np.isfinite(ours) & np.isfinite(theirs) & np.isfinite(sigma) & (sigma > 0)
        yield name, _Values(used, ours[used], sigma[used], theirs[used], error[used])


def _count(block: Block, tallies: Mapping[str, Tally], axes: Sequence[AxisOf]) -> None:
    values = [axis.value(block) for axis in axes]
    cells: list[Counts] = [np.zeros(len(block["source_id"]), dtype=np.int64)]
    first = 1
    for axis, one in zip(axes, values, strict=True):
        cells.append(first + axis.cells(one))
        first += len(axis.regimes)
    along = [axis.position(one) for axis, one in zip(axes, values, strict=True) if axis.has_slope]
    for name, pair in _labels(block, tallies):
        tallies[name].add(
            pair.ours,
            pair.theirs,
            pair.sigma,
            pair.error,
            [places[pair.used] for places in cells],
            [x[pair.used] for x in along],
        )


def _outliers(
    side: Side, pairing: Pairing, tallies: Mapping[str, Tally], spread: Mapping[str, float]
) -> dict[str, Outliers]:
    """Find the outliers, in units of the errors that are given or taken for the other table's."""
    found = {name: Outliers() for name in tallies}
    for block in pairing.blocks():
        flags = flags_of(side, block)
        for name, pair in _labels(block, tallies):
            part = {key: values[pair.used] for key, values in block.items()}
            error = errors_of(part, name, spread[name])
            numbers = tallies[name].numbers()
            given = bool(numbers.with_error)
            middle = numbers.pull if given else 0.0
            off = 0.0 if given else numbers.median
            pull = (pair.ours - pair.theirs - off) / np.hypot(pair.sigma, error)
            # Where both errors were too large, one width of theirs is enough.
            width = max(numbers.pull_scatter, 1.0) if given else 1.0
            found[name].add(
                part,
                np.abs(pull - middle) / width,
                (pair.ours, pair.sigma, pair.theirs, pair.error),
                {flag: here[pair.used] for flag, here in flags.items()},
            )
    return found
