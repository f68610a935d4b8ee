"""Reader of label surveys: rows of a FITS table to labels, with every cut counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.readers.block import inexact_key
from catalog_builder.archive.readers.content import refuse_other_than_fits
from catalog_builder.archive.readers.fits.table import FitsTable, open_fits_table
from catalog_builder.archive.readers.guard import guarded
from catalog_builder.archive.readers.typed import RawColumn
from catalog_builder.contract.units import same_unit
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.survey import Cut, LabelSurvey, RangeTest

#: Reasons beside the survey's own cuts.
NO_SOURCE_ID = "no_source_id"
NO_LABEL = "no_label"
#: Characters of a survey's own name of a star.
NAME_LENGTH: Final = 32


@dataclass(frozen=True)
class LabelBlock:
    """The stars of some consecutive rows that passed the cuts.

    Parameters
    ----------
    source_id : ndarray of int64 (n,)
        Gaia identifiers of the survey's release, all positive; a star may occur more than once.
    labels, label_error : ndarray of float32 (n, l)
        In the order of the survey's labels, NaN where missing; every label has an error.
    snr : ndarray of float32 (n,)
        Signal-to-noise ratio, NaN where unknown.
    names : ndarray of bytes (n,)
        The survey's own name of each, empty where it is not known.
    n_read : int
        Rows looked at: n and the rejected ones.
    rejected : dict of str to int
        Rows left out, by the first cut that rejects them.
    label_nulls : dict of str to int
        Labels of the n stars that became null, by cut; and those that the file lacks,
        as ``<label>_missing``. Of those learnt as logarithms what is not above 0 becomes null:
        ``<label>_not_above_zero``.
    """

    source_id: NDArray[np.int64]
    labels: NDArray[np.float32]
    label_error: NDArray[np.float32]
    snr: NDArray[np.float32]
    names: NDArray[np.bytes_]
    n_read: int
    rejected: dict[str, int]
    label_nulls: dict[str, int]


def read_labels(
    file: FileRef, survey: LabelSurvey, *, block_rows: int = 16_384
) -> Iterator[LabelBlock]:
    """Stream a label survey's file in blocks of rows; memory does not grow with the file.

    Parameters
    ----------
    file : FileRef
        The FITS file, plain or gzipped, whatever its name.
    survey : LabelSurvey
        Its columns, null values and cuts.
    block_rows : int
        Rows of the file per block.

    Yields
    ------
    LabelBlock
        At least one, which may be empty.

    Raises
    ------
    InputError
        If the file lacks a column or has it twice, or a label has another unit than described.
    DamagedFileError
        If it is not FITS, or ends too early: after the last block that could be read.
    """
    yield from guarded(file.url, _read_blocks(file, survey, block_rows))


def _read_blocks(file: FileRef, survey: LabelSurvey, block_rows: int) -> Generator[LabelBlock]:
    refuse_other_than_fits(file.url)
    with open_fits_table(file.url, survey.hdu) as table:
        columns = _find_columns(file.url, survey, table)
        empty = True
        for raw in table.blocks(sorted(set(columns.values())), block_rows):
            empty = False
            yield _make_block(survey, {wanted: raw[name] for wanted, name in columns.items()})
        if empty:
            none = RawColumn(np.empty(0), np.empty(0, bool))
            yield _make_block(survey, dict.fromkeys(columns, none))


def resolve_duplicates(source_id: NDArray[np.int64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
    """Choose one row per star: the best S/N, and of equal ones the first in the file.

    Parameters
    ----------
    source_id : ndarray of int64 (n,)
        Identifiers in the order of the file.
    snr : ndarray of float32 (n,)
        Signal-to-noise ratios; NaN is worse than any number.

    Returns
    -------
    ndarray of int64 (m,)
        Rows to keep, in ascending order of source_id.
    """
    quality = np.where(np.isnan(snr), -np.inf, snr)
    order = np.lexsort((np.arange(source_id.size), -quality, source_id))
    ordered = source_id[order]
    first = np.ones(order.size, bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]


def _find_columns(url: str, survey: LabelSurvey, table: FitsTable) -> dict[str, str]:
    """Return the file's name of every column the survey uses; optional cuts may lack theirs."""
    optional = {cut.column for cut in survey.used_cuts if cut.optional}
    optional |= {survey.identifier} if survey.identifier else set()
    needed = survey.needed_columns
    found = match_names(url, sorted(needed | optional), table.names)
    missing = sorted(needed - set(found))
    if missing:
        raise InputError(
            f"{url}: column {', '.join(missing)} is missing; it has: "
            f"{', '.join(table.names[:80])}.",
            f"Is it the file of {survey.title}? If so, correct the survey's description.",
        )
    masks = {cut.column for cut in survey.used_cuts if cut.bits is not None}
    for wanted, name in found.items():
        kind, is_list = table.kind(name)
        if wanted == survey.source_id and survey.text_ids:
            refuse_other_than_text(url, name, kind, is_list=is_list)
            continue
        if wanted == survey.source_id and kind == "f" and not is_list:
            raise inexact_key(url, name)
        if wanted in masks and kind == "f" and not is_list:
            raise InputError(
                f"{url}: column {name} holds floating-point numbers, which have no bits.",
                "Write the column as integers.",
            )
        if wanted == survey.source_id and kind == "b":
            raise InputError(f"{url}: column {name} holds booleans.", "Write integers there.")
        if wanted == survey.identifier and kind in "SUiu" and not is_list:
            continue
        if is_list or kind not in "iufb":
            raise InputError(
                f"{url}: column {name} holds no single numbers.",
                f"Correct `{wanted}` in the survey's description.",
            )
    _check_units(url, survey, table, found)
    return found


def match_names(url: str, wanted: Sequence[str], header: Sequence[str]) -> dict[str, str]:
    """Return the file's spelling of names; FITS tells none apart by upper and lower case.

    Raises
    ------
    InputError
        If one stands there twice, in whatever case.
    """
    spellings: dict[str, list[str]] = {}
    for name in header:
        spellings.setdefault(name.lower(), []).append(name)
    found = {name: spellings[name.lower()] for name in wanted if name.lower() in spellings}
    for name, doubles in found.items():
        if len(doubles) > 1:
            raise InputError(
                f"{url}: column {name} stands {len(doubles)} times in the header"
                f" ({', '.join(doubles)}).",
                "Remove the surplus column.",
            )
    return {name: doubles[0] for name, doubles in found.items()}


def _check_units(url: str, survey: LabelSurvey, table: FitsTable, found: Mapping[str, str]) -> None:
    for label, spec in survey.labels.items():
        for column in (spec.column, spec.error):
            unit = table.unit(found[column])
            # FITS has no logarithmic units: what stands for dex is not to be compared.
            if unit is None or "dex" in spec.unit:
                continue
            if not same_unit(unit, spec.unit):
                raise InputError(
                    f"{url}: {label} ({column}) is in {unit!r}, the survey's description says "
                    f"{spec.unit!r}.",
                    "Correct whichever is wrong.",
                )


def _make_block(survey: LabelSurvey, raw: Mapping[str, RawColumn]) -> LabelBlock:
    source_id = identifiers(raw[survey.source_id])
    snr = _floats(raw[survey.sig_to_noise], survey)
    labels, errors = _labels(survey, raw)
    names = list(survey.labels)
    label_nulls = {f"{name}_missing": np.isnan(labels[:, i]) for i, name in enumerate(names)}
    for place, label in enumerate(survey.declared):
        if label.learnt_as != "value":
            impossible = labels[:, place] <= 0
            labels[impossible, place] = np.nan
            label_nulls[f"{label.name}_not_above_zero"] = impossible
    keep = source_id > 0
    rejected = Counter({NO_SOURCE_ID: int((~keep).sum())})
    for cut in survey.used_cuts:
        if cut.column not in raw:
            continue
        failed = _fails(cut, survey, raw[cut.column])
        if cut.rejects == "star":
            rejected[cut.name] += int((failed & keep).sum())
            keep &= ~failed
            continue
        places = [names.index(name) for name in cut.rejects if name in names]
        lost = failed[:, None] & np.isfinite(labels[:, places])
        label_nulls[cut.name] = lost
        labels[failed[:, None] & np.isin(np.arange(len(names)), places)] = np.nan
    empty = ~np.isfinite(labels).any(axis=1)
    rejected[NO_LABEL] += int((empty & keep).sum())
    keep &= ~empty
    errors[np.isnan(labels)] = np.nan
    return LabelBlock(
        source_id=source_id[keep],
        labels=labels[keep],
        label_error=errors[keep],
        snr=snr[keep],
        names=_names(survey, raw)[keep],
        n_read=keep.size,
        rejected=dict(+rejected),
        label_nulls={
            name: int(lost[keep].sum()) for name, lost in label_nulls.items() if lost[keep].any()
        },
    )


def _names(survey: LabelSurvey, raw: Mapping[str, RawColumn]) -> NDArray[np.bytes_]:
    """Return the survey's own names of stars, of one length; one that is longer is no name."""
    wanted = np.dtype(f"S{NAME_LENGTH}")
    column = raw.get(survey.identifier or "")
    if column is None:
        return np.zeros(raw[survey.source_id].null.size, wanted)
    found = column.values if column.values.dtype.kind in "SU" else column.values.astype("S")
    if found.dtype.kind == "U":
        found = np.char.encode(found, "ascii", "replace")
    found = np.char.strip(found, b" \0")
    known = ~column.null & (np.char.str_len(found) <= NAME_LENGTH)
    return np.where(known, found, b"").astype(wanted)


def _labels(
    survey: LabelSurvey, raw: Mapping[str, RawColumn]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return labels and errors, float32 (n, l); an error is missing only where its label is."""
    n_rows = raw[survey.source_id].null.size
    labels = np.full((n_rows, len(survey.labels)), np.nan, np.float32)
    errors = labels.copy()
    for place, spec in enumerate(survey.labels.values()):
        labels[:, place] = _floats(raw[spec.column], survey)
        error = _floats(raw[spec.error], survey)
        known = np.isfinite(error) & (error > 0)
        errors[:, place] = np.where(
            known, np.maximum(error, spec.error_floor), spec.error_if_missing
        )
    return labels, errors


def identifiers(column: RawColumn) -> NDArray[np.int64]:
    """Return the identifiers of rows, (n,), those that are words as keys; 0 for none."""
    if column.values.dtype.kind in "SU":
        return np.where(column.null, 0, keys_of(column.values.tolist()))
    # An unsigned integer beyond int64 is no identifier, and must not become a negative one.
    is_id = ~column.null & (column.values > 0) & (column.values <= np.iinfo(np.int64).max)
    return np.where(is_id, column.values, 0).astype(np.int64)


def refuse_other_than_text(url: str, name: str, kind: str, *, is_list: bool) -> None:
    """Raise InputError if a column that should have words has none."""
    if is_list or kind not in "SU":
        raise InputError(
            f"{url}: column {name} holds no words, but the survey's description says text_ids.",
            "Correct whichever is wrong.",
        )


def _floats(column: RawColumn, survey: LabelSurvey) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(column.values, np.float32).copy()
    null = column.null | ~np.isfinite(values)
    null |= np.isin(values, np.asarray(survey.null_values, np.float32))
    values[null] = np.nan
    return values


def _fails(cut: Cut, survey: LabelSurvey, column: RawColumn) -> NDArray[np.bool_]:
    if cut.bits is not None:
        # As 64 bits without sign: ASPCAPFLAG has bits above 31, and a mask may have the top one.
        flags = np.where(column.null, 0, column.values).astype(np.int64).view(np.uint64)
        failed: NDArray[np.bool_] = (flags & np.uint64(survey.bit_mask(cut.bits))) != 0
        return failed
    values = _floats(column, survey)
    return _outside(values, cut.range) if cut.range else np.zeros(values.size, bool)


def _outside(values: NDArray[np.float32], limits: RangeTest) -> NDArray[np.bool_]:
    outside = np.zeros(values.size, bool)
    if limits.minimum is not None:
        outside |= ~(values >= limits.minimum)
    if limits.maximum is not None:
        outside |= values > limits.maximum
    return outside
