"""The file of a label survey: the columns that its description names, filled from DR17's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.simulate.population.chemistry import OF_SPECTRA

Rows = NDArray[np.void]

#: Columns of the file, as in DR17's allStar (sdss/datamodel, allStar), the bulky ones left out.
DTYPE: Final = np.dtype(
    [
        ("APOGEE_ID", "S30"),
        ("TELESCOPE", "S6"),
        ("FIELD", "S20"),
        ("RA", ">f8"),
        ("DEC", ">f8"),
        ("NVISITS", ">i4"),
        ("SNR", ">f4"),
        ("STARFLAG", ">i8"),
        ("VHELIO_AVG", ">f4"),
        ("VSCATTER", ">f4"),
        ("ASPCAPFLAG", ">i8"),
        ("EXTRATARG", ">i4"),
        ("GAIAEDR3_SOURCE_ID", ">i8"),
        *((f"{name}{end}", ">f4") for name in ("TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H")
          for end in ("", "_ERR")),
        ("FE_H_FLAG", ">i4"),
    ]
)  # fmt: skip
#: Columns of DR17 whose numbers are bits.
_FLAGS: Final = ("STARFLAG", "ASPCAPFLAG", "EXTRATARG", "FE_H_FLAG")


_GAIA_ID: Final = "GAIAEDR3_SOURCE_ID"
#: Which star of the archive, by its word, is which of the survey, by its own.
PAIR: Final = np.dtype([("star", "S32"), ("own", "S30")])


def id_column(survey: LabelSurvey) -> str:
    """Return the column with the simulation's own numbers of stars."""
    return survey.source_id if survey.crossmatch is None else _GAIA_ID


def pairs_path(labels: Path) -> Path:
    """Return where the pairs of a partition lie, until they are joined."""
    return labels.with_suffix(".pairs.npy")


def write_pairs(out: Path, parts: list[Path], survey: LabelSurvey) -> None:
    """Join the partitions' pairs into the crossmatch of a survey, if it has one."""
    match = survey.crossmatch
    if match is None:
        return
    from astropy.io import fits

    pairs = np.concatenate([np.load(pairs_path(part), allow_pickle=False) for part in parts])
    _, first = np.unique(pairs["own"], return_index=True)
    pairs = pairs[np.sort(first)]
    columns = [
        fits.Column(match.own, "30A", array=pairs["own"]),
        fits.Column(match.source_id, "32A", array=pairs["star"]),
    ]
    if match.distance is not None:
        near = np.full(len(pairs), 0.5 * (match.largest_distance or 1.0), dtype=np.float32)
        columns.append(fits.Column(match.distance, "E", array=near))
    table = fits.BinTableHDU.from_columns(columns)
    table.header[KEYWORD] = (True, SENTENCE)
    path = out / match.files[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    table.writeto(path)


def native_dtype(more: Sequence[str]) -> np.dtype[np.void]:
    """Return the columns in which stars are measured: DR17's, and those of more labels."""
    names = [(f"{name.upper()}{end}", ">f4") for name in more for end in ("", "_ERR")]
    return np.dtype([*DTYPE.descr, *names])


def _survey_columns(survey: LabelSurvey) -> dict[str, tuple[str, str]]:
    """Return column of the survey's file -> type, and the column of DR17 that fills it, or ""."""
    called = {_GAIA_ID: id_column(survey), "SNR": survey.sig_to_noise}
    for label, about in survey.labels.items():
        called |= {label.upper(): about.column, f"{label.upper()}_ERR": about.error}
    unknown = {f"{name.upper()}{end}" for name in OF_SPECTRA for end in ("", "_ERR")} - set(called)
    unknown |= set(_FLAGS) - set(survey.bits)
    native = native_dtype([name for name in survey.labels if name not in OF_SPECTRA])
    found = {
        called.get(name, name): (native[name].str, name)
        for name in native.names or ()
        if name not in unknown
    }
    for name in (*survey.bits, *(cut.column for cut in survey.cuts if cut.bits)):
        found.setdefault(name, (">i8", ""))
    for name in (cut.column for cut in survey.cuts if cut.range):
        found.setdefault(name, (">f4", ""))
    return found


def dtype_of(survey: LabelSurvey) -> np.dtype[np.void]:
    """Return the type of the rows of a survey's file: of DR17's own, `DTYPE`."""
    return np.dtype([(name, kind) for name, (kind, _) in _survey_columns(survey).items()])


def as_survey(rows: Rows, survey: LabelSurvey) -> Rows:
    """Return the rows in the survey's columns; what a cut looks at beside them passes it."""
    result = np.zeros(len(rows), dtype=dtype_of(survey))
    for name, (_, native) in _survey_columns(survey).items():
        if native:
            result[name] = rows[native]
    filled = {name for name, (_, native) in _survey_columns(survey).items() if native}
    for cut in survey.cuts:
        if cut.range is not None and cut.column not in filled:
            limits = [x for x in (cut.range.minimum, cut.range.maximum) if x is not None]
            result[cut.column] = sum(limits) / len(limits)
    return result


def file_of(survey: LabelSurvey) -> str:
    """Return the file of a survey that is written, relative to the archive's root.

    Raises
    ------
    ConfigError
        If all that it may have are compressed.
    """
    found = next((name for name in survey.files if not name.endswith(".gz")), None)
    if found is None:
        raise ConfigError(
            f"The files of survey {survey.name} are compressed, and such are not simulated.",
            "Add a name without .gz to `files` in a copy of the description.",
        )
    return found


def write_fits(path: Path, parts: list[Path], survey: LabelSurvey) -> int:
    """Join the partitions' rows into one FITS file, a part at a time; return the number of rows.

    The primary HDU is empty, as are those before the survey's own.
    """
    from astropy.io import fits

    rows = sum(len(np.load(part, mmap_mode="r", allow_pickle=False)) for part in parts)
    dtype = dtype_of(survey)
    empty = fits.BinTableHDU(np.zeros(0, dtype=dtype))
    header, primary = empty.header.copy(), fits.PrimaryHDU().header
    header["NAXIS2"] = rows
    layout = "APOGEE DR17 (SDSS)" if dtype == DTYPE else survey.title
    header["COMMENT"] = f"Simulated; the layout is that of {layout}."
    for each in (header, primary):
        each[KEYWORD] = (True, SENTENCE)
    before = [fits.ImageHDU().header for _ in range(survey.hdu - 1)]
    part_file = path.with_name(path.name + ".part")
    with part_file.open("wb") as file:
        for each in (primary, *before, header):
            file.write(each.tostring().encode("ascii"))
        for part in parts:
            # Joining arrays gives native byte order; FITS is big-endian.
            file.write(np.load(part, allow_pickle=False).astype(dtype).tobytes())
        file.write(b"\0" * (-(rows * dtype.itemsize) % 2880))
    part_file.replace(path)
    return int(rows)
