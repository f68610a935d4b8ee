"""What an archive can get wrong while its description does not say so.

A trap changes the tables that are about to be written, or how RVS spectra are made. Each is a pure
function. What is wrong with the archive is then to be found by a gate or an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from catalog_builder.simulate.twin.again import RvsMade
from catalog_builder.simulate.twin.sheets import Sheet
from catalog_builder.simulate.writing.ecsv import Column

Sheets = dict[str, Sheet]

_SPECTRA: Final = ("rvs_mean_spectrum", "xp_continuous_mean_spectrum")
_BANDS: Final = tuple(f"phot_{band}_mean_mag" for band in ("g", "bp", "rp"))
_NOISE: Final = ("rvs_spec_sig_to_noise", "grvs_mag")
#: S/N of the spectra of a faint release.
_FAINT: Final = 4.0
#: One partition in this many lacks its RVS files.
_ONE_IN: Final = 3


def _tables(sheets: Sheets, _index: int) -> Sheets:
    return sheets


def _making(made: RvsMade) -> RvsMade:
    return made


@dataclass(frozen=True)
class Trap:
    """One of them.

    Parameters
    ----------
    meaning : str
        What is wrong, in words.
    tables : callable
        From the tables of a block, and the number of its partition, to those that are written.
    making : callable
        From how RVS spectra are made to how they are made instead.
    """

    meaning: str
    tables: Callable[[Sheets, int], Sheets] = _tables
    making: Callable[[RvsMade], RvsMade] = _making


def _source(change: Callable[[Sheet], Sheet]) -> Callable[[Sheets, int], Sheets]:
    """Return the trap that changes the source table alone."""
    return lambda sheets, _index: sheets | {"gaia_source": change(sheets["gaia_source"])}


def _flipped(table: Sheet) -> Sheet:
    bias = "tentative_parallax_bias"
    return table.filled(bias, -table.values[bias].astype(np.float64))


def _without_some_rvs(sheets: Sheets, index: int) -> Sheets:
    lost = index % _ONE_IN == 1
    return {k: v for k, v in sheets.items() if not (lost and k == "rvs_mean_spectrum")}


def _flags_elsewhere(sheets: Sheets, _index: int) -> Sheets:
    """Move the flags of spectra into the table of the photometry, which has the same rows."""
    flags, other = sheets["all_source_flags"], sheets["all_source_photometry"]
    for column in flags.columns:
        if column.name in {"has_rvs", "has_xp"}:
            other = other.extended(column, flags.values[column.name])
    left = flags.without("has_rvs", "has_xp")
    return sheets | {"all_source_flags": left, "all_source_photometry": other}


def _graded(sheets: Sheets, _index: int) -> Sheets:
    flags = sheets["all_source_flags"]
    has = np.ma.asarray(flags.values["has_rvs"])
    return sheets | {
        "all_source_flags": flags.filled("has_rvs", np.where(has != 0, np.int8(3), has))
    }


def _swapped_photometry(table: Sheet) -> Sheet:
    bp, rp = (table.values[name] for name in _BANDS[1:])
    return table.filled(_BANDS[1], rp).filled(_BANDS[2], bp)


def _swapped_xp(sheets: Sheets, _index: int) -> Sheets:
    """Call BP's columns RP's and the reverse; their order in the file stays."""
    name = "xp_continuous_mean_spectrum"
    table, other = sheets[name], {"bp": "rp", "rp": "bp"}
    columns = tuple(
        Column(_other_band(c.name, other), c.dtype, c.unit, c.array) for c in table.columns
    )
    values = {_other_band(k, other): v for k, v in table.values.items()}
    return sheets | {name: Sheet(columns, values)}


def _other_band(column: str, other: dict[str, str]) -> str:
    band, _, rest = column.partition("_")
    return f"{other[band]}_{rest}" if band in other else column


def _older_ids(sheets: Sheets, _index: int) -> Sheets:
    """Give the spectra the ids that their stars had in the older release."""
    near = sheets["dr3_neighbourhood"].values
    # Rows are sorted by distance within a source: the first is its own.
    new, first = np.unique(near["source_id"], return_index=True)
    old = near["dr3_source_id"][first]
    changed = {}
    for name in _SPECTRA:
        if name not in sheets:
            continue
        ids = sheets[name].values["source_id"]
        changed[name] = sheets[name].filled("source_id", old[np.searchsorted(new, ids)])
    return sheets | changed


TRAPS: Final[dict[str, Trap]] = {
    "bias-renamed": Trap(
        "the column of the parallax bias has another name",
        _source(lambda table: table.renamed("tentative_parallax_bias", "parallax_bias")),
    ),
    "bias-flipped": Trap("the parallax bias is to be added, not subtracted", _source(_flipped)),
    "photometry-elsewhere": Trap(
        "magnitudes are in `all_source_photometry` alone",
        _source(lambda table: table.without(*_BANDS)),
    ),
    "noise-elsewhere": Trap(
        "S/N and G_RVS are in `all_source_rvs` alone",
        _source(lambda table: table.without(*_NOISE)),
    ),
    "rvs-missing": Trap(
        "one partition in three has no file of RVS spectra, although they are announced",
        _without_some_rvs,
    ),
    "flags-elsewhere": Trap(
        "`has_rvs` and `has_xp` are in `all_source_photometry`", _flags_elsewhere
    ),
    "has-rvs-3": Trap("`has_rvs` is 3 where there is a spectrum", _graded),
    "grid-half-sample": Trap(
        "the RVS grid begins 0.0125 nm later, half a sample",
        making=lambda made: _moved(made, 0.0125),
    ),
    "grid-0.2nm": Trap("the RVS grid begins 0.2 nm later", making=lambda made: _moved(made, 0.2)),
    "all-by-median": Trap(
        "all RVS spectra are divided by their median",
        making=lambda made: replace(made, all_by_median=True),
    ),
    "faint": Trap(
        "no RVS spectrum has a S/N above 4", making=lambda made: replace(made, most=_FAINT)
    ),
    "air": Trap(
        "the RVS wavelengths are those of air", making=lambda made: replace(made, medium="air")
    ),
    "xp-swapped": Trap("the XP columns of BP are called RP and the reverse", _swapped_xp),
    "photometry-swapped": Trap(
        "BP and RP magnitudes stand in each other's column", _source(_swapped_photometry)
    ),
    "ids-of-older": Trap("spectra have the ids of the older release", _older_ids),
}


def _moved(made: RvsMade, step: float) -> RvsMade:
    return replace(made, grid=made.grid.model_copy(update={"start": made.grid.start + step}))


def sprung(sheets: Sheets, index: int, traps: Iterable[str]) -> Sheets:
    """Return the tables of a block of a partition as traps leave them."""
    for trap in traps:
        sheets = TRAPS[trap].tables(sheets, index)
    return sheets


def made_with(made: RvsMade, traps: Iterable[str]) -> RvsMade:
    """Return how RVS spectra are made with traps."""
    for trap in traps:
        made = TRAPS[trap].making(made)
    return made
