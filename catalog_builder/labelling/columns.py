"""What the columns of a user's table are: ids, wavelengths, fluxes, and the archive's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import ColumnSpec
from catalog_builder.contract.grids import Medium
from catalog_builder.ground.errors import InputError

Float = NDArray[np.float64]

#: Names that columns may have, without regard to case, in order of preference.
IDS: Final = ("source_id", "sourceid", "gaia_source_id", "designation")
NAMES: Final = ("name", "object", "star", "spectrum")
WAVELENGTHS: Final = ("wavelength", "lambda", "wave", "wavelength_air", "wavelength_vacuum")
FLUXES: Final = ("flux", "flux_normalised", "flux_normalized", "norm_flux")
ERRORS: Final = ("flux_error", "error", "flux_err", "err", "e_flux", "sigma", "uncertainty")
NOISES: Final = ("snr", "s_n", "sn", "sig_to_noise", "signal_to_noise")

#: A number of Gaia at the end of a designation; and in the names of the archive's products.
_DESIGNATION: Final = re.compile(r"(?:.*\s)?(\d{1,19})")
_IN_A_NAME: Final = re.compile(r"gaia[ _-]?e?dr\d[ _-]+(\d{4,19})(?!\d)", re.IGNORECASE)
_RELEASE: Final = re.compile(r"dr(\d)", re.IGNORECASE)
#: Letters of a cell that an error repeats.
_LONG: Final = 40
_LARGEST_ID: Final = 2**63 - 1
#: Numbers without a unit: wavelengths of light that telescopes on Earth see are micrometres,
#: nanometres or Angstroms below these limits.
_MICROMETRES, _NANOMETRES = 30.0, 3000.0


def find(table: Table, names: Sequence[str]) -> str | None:
    """Return the column that has one of some names, or None."""
    known = {name.lower().strip(): name for name in reversed(table.colnames)}
    return next((known[name] for name in names if name in known), None)


def plain(table: Table, name: str) -> NDArray[Any]:
    """Return a column's values; masked numbers are NaN, masked integers 0."""
    values = table[name]
    mask = getattr(values, "mask", None)
    values = getattr(values, "value", values)
    data = np.asarray(np.ma.getdata(values))
    if mask is None or data.dtype.kind not in "fiub" or not np.any(mask):
        return data
    return np.where(mask, np.nan if data.dtype.kind == "f" else 0, data)


def ids_of(table: Table, file: str, release: ReleaseSpec) -> NDArray[np.int64] | None:
    """Return the source id of each row, 0 where it has none; None without such a column.

    Raises
    ------
    InputError
        If a column of ids holds something else, or designations of another release.
    """
    name = find(table, IDS)
    if name is None:
        return None
    values = plain(table, name)
    if values.dtype.kind in "iu":
        ids = values.astype(np.int64)
    elif values.dtype.kind == "f":
        raise InputError(
            f"{file}: column {name} holds floating-point numbers, which keep 16 digits of an"
            " identifier's 19: they name other stars.",
            "Write the column as 64-bit integers, or as text.",
        )
    else:
        words = [str(cell) for cell in values.tolist()]
        _refuse_other_release(words, f"{file}: {name}", release)
        ids = np.array([_id_in(word, file, name) for word in words], np.int64)
    if (ids < 0).any():
        raise InputError(
            f"{file}, row {int(np.argmax(ids < 0))}: {ids.min()} is no source id.",
            "Give it as the archive does.",
        )
    return ids


def _refuse_other_release(words: Sequence[str], where: str, release: ReleaseSpec) -> None:
    """Refuse designations such as ``Gaia DR2 4295806720`` in a table of stars of DR3."""
    ours = _RELEASE.search(release.name)
    for word in words:
        said = _RELEASE.search(word)
        if ours is not None and said is not None and said[1] != ours[1]:
            raise InputError(
                f"{where} has {word[:60]!r}, which is no id of {release.title}: the same number"
                " need not be the same star.",
                "Give ids of that release; docs/crosswalk.md says where they stand side by side.",
            )


def _id_in(cell: str, file: str, column: str) -> int:
    text = cell.strip()
    if text in {"", "--", "None", "nan"}:
        return 0
    match = _DESIGNATION.fullmatch(text)
    if match is None or int(match[1]) > _LARGEST_ID:
        raise InputError(
            f"{file}: {column} has {text[:60]!r}, which is no source id.", "Correct it."
        )
    return int(match[1])


def id_of_file(name: str, meta: Mapping[str, Any], release: ReleaseSpec) -> int:
    """Return the source id that a table's header or its file's name says, or 0.

    Raises
    ------
    InputError
        If it is one of another release.
    """
    for key, value in meta.items():
        if str(key).lower().replace("_", "") == "sourceid":
            match = _DESIGNATION.fullmatch(str(value).strip())
            if match is not None and int(match[1]) <= _LARGEST_ID:
                _refuse_other_release([str(value)], f"{name}: {key}", release)
                return int(match[1])
    match = _IN_A_NAME.search(name)
    if match is None or int(match[1]) > _LARGEST_ID:
        return 0
    _refuse_other_release([match[0]], f"The name of {name}", release)
    return int(match[1])


def noise_of(meta: Mapping[str, Any]) -> float:
    """Return the signal-to-noise ratio that a header says, or NaN."""
    for key, value in meta.items():
        if str(key).lower() in NOISES and isinstance(value, int | float):
            return float(value)
    return float("nan")


def names_of(table: Table) -> list[str] | None:
    """Return what each row's star is called; None without such a column."""
    name = find(table, NAMES)
    return None if name is None else [str(cell).strip() for cell in plain(table, name).tolist()]


def cells(table: Table, name: str) -> NDArray[Any] | list[Float]:
    """Return a column of numbers, or a list of arrays where each cell holds several.

    Raises
    ------
    ValueError
        If a cell is something else; it says which.
    """
    values = plain(table, name)
    if values.dtype.kind in "fiu":
        return values.astype(np.float64) if values.ndim == 1 else list(values.astype(np.float64))
    if values.dtype.kind in "SU":
        values = values.astype(object)
    found = []
    for row, cell in enumerate(values, 1):
        try:
            found.append(_numbers(cell))
        except ValueError as error:
            raise ValueError(f"column {name}, row {row} has {_said(cell)}: no number") from error
    return found


def _said(cell: Any) -> str:
    text = cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
    return repr(text if len(text) < _LONG else f"{text[:_LONG]}...")


def _numbers(cell: Any) -> Float:
    if isinstance(cell, bytes):
        cell = cell.decode()
    if isinstance(cell, str):
        parts = re.split(r"[\s,;]+", cell.strip(" ()[]{}"))
        return np.array([_number(part) for part in parts if part], np.float64)
    if cell is None or cell is np.ma.masked:
        return np.empty(0)
    data = np.ma.getdata(cell)
    some = np.atleast_1d(np.asarray(data, np.float64))
    mask = np.ma.getmaskarray(np.ma.asarray(cell)) if np.ma.isMaskedArray(cell) else None
    some = some if mask is None else np.where(np.atleast_1d(mask), np.nan, some)
    return np.empty(0) if some.shape == (1,) and np.isnan(some[0]) else some


def _number(text: str) -> float:
    return np.nan if text.lower() in {"null", "none", "nan", "--", '""'} else float(text)


def unit_of(table: Table, name: str) -> str:
    """Return what a column's header says of its unit."""
    unit = table[name].unit
    return "" if unit is None else str(unit)


def in_nanometres(values: Float, unit: str, where: str) -> Float:
    """Return wavelengths in nm; without a unit their size tells it.

    Raises
    ------
    InputError
        If the unit is no length.
    """
    text = unit.strip().lower()
    if not text:
        middle = float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
        factor = 1000.0 if middle < _MICROMETRES else 1.0 if middle < _NANOMETRES else 0.1
    elif text.startswith("ang") or text in {"a", "aa", "å"}:
        factor = 0.1
    else:
        try:
            # FITS of many instruments have it in capitals.
            known = {"nm": "nm", "um": "um", "micron": "um", "microns": "um", "nanometers": "nm"}
            factor = float(u.Unit(known.get(text, unit)).to("nm"))
        except (ValueError, TypeError, u.UnitsError) as error:
            raise InputError(
                f"{where}: its wavelengths are in {unit!r}, which is no length.",
                "Give nm, Angstrom or um.",
            ) from error
    return np.asarray(values * factor)


def medium_of(table: Table, wavelength: str | None) -> Medium | None:
    """Return what a header says that wavelengths refer to, or None."""
    said = {str(key).upper(): str(value).strip().lower() for key, value in table.meta.items()}
    words = [said.get("AIRORVAC", ""), *(said.get(key, "") for key in ("MEDIUM", "WAVEMED"))]
    kind = said.get("CTYPE1", "")
    # Of the standard's codes; "WAVELENGTH" is none, and says neither.
    words += {"awav": ["air"], "wave": ["vac"]}.get(kind.partition("-")[0], [])
    if "VACUUM" in said:
        words.append("vac" if said["VACUUM"] in {"1", "true", "t"} else "air")
    if wavelength is not None:
        words += re.split(r"[\W_]+", f"{wavelength} {table[wavelength].description or ''}".lower())
    found: set[Medium] = set()
    for word in words:
        if word.startswith("vac"):
            found.add("vacuum")
        elif word == "air":
            found.add("air")
    return found.pop() if len(found) == 1 else None


def archive_columns(table: Table, release: ReleaseSpec, file: str) -> dict[str, NDArray[Any]]:
    """Return the columns that the release's tables have too, by canonical name; no arrays.

    Raises
    ------
    InputError
        If one is in a unit that is not converted to that of the release, or holds no numbers.
    """
    found: dict[str, NDArray[Any]] = {}
    for home in (*release.looked_up, *release.driving_tables):
        for name, spec in release.tables[home].columns.items():
            if name in found or spec.length is not None:
                continue
            names = tuple(each.lower() for each in release.tables[home].native_names(name))
            column = None if name == "source_id" else find(table, (name, *names))
            if column is not None and np.ndim(table[column]) == 1:
                found[name] = _as_described(table, column, spec, file)
    return found


def _as_described(table: Table, column: str, spec: ColumnSpec, file: str) -> NDArray[Any]:
    values = plain(table, column)
    if values.dtype.kind in "SUO":
        texts = [str(cell).strip().lower() for cell in values.tolist()]
        if spec.dtype == "bool":
            return np.array([text in {"true", "t", "1"} for text in texts])
        values = np.array([_number(text or "null") for text in texts])
    unit = unit_of(table, column)
    if unit and spec.unit:
        try:
            factor = float(u.Unit(unit).to(spec.unit))
        except (ValueError, TypeError, u.UnitsError) as error:
            raise InputError(
                f"{file}: column {column} is in {unit!r}, not in {spec.unit}.", "Convert it."
            ) from error
        values = values * factor if factor != 1.0 else values
    if spec.numpy_dtype.kind != "f":
        values = np.nan_to_num(values, nan=0.0) if values.dtype.kind == "f" else values
    with np.errstate(over="ignore"):
        return values.astype(spec.numpy_dtype)
