"""The APOGEE label file: a brighter, biased subset with errors, flags, duplicates and gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.schema import LABELS as LABEL_NAMES
from catalog_builder.simulate.galaxy import radial_velocity
from catalog_builder.simulate.observed import Observed
from catalog_builder.simulate.truth import LABEL_LIMITS, Stars, add_wart

Float = NDArray[np.float64]
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
#: Limit of the survey, and how much rarer dwarfs are than giants in it.
_FAINTEST_G = 14.3
_DWARF_WEIGHT = 0.75
#: Errors of Teff, log g, [M/H], [alpha/M], [Fe/H] at S/N 100, and how they grow below.
_ERRORS = np.array([14.0, 0.030, 0.014, 0.013, 0.015])
#: Defects and their share of the rows.
_DEFECTS: Final = {
    "apogee_no_result": 0.010,
    "apogee_star_bad": 0.008,
    "apogee_low_snr": 0.015,
    "apogee_bad_spectrum": 0.008,
    "apogee_commissioning": 0.005,
    "apogee_alpha_m_missing": 0.030,
    "apogee_fe_h_missing": 0.040,
    "apogee_fe_h_bad": 0.010,
    "apogee_teff_bad": 0.006,
}
_DUPLICATES = 0.04


def observe(
    rng: np.random.Generator,
    star: Stars,
    seen: Observed,
    survey: LabelSurvey,
    share: float,
    *,
    clean: bool = False,
) -> tuple[Rows, NDArray[np.str_]]:
    """Choose stars, measure them, and return the file's rows and the stars' defects as warts.

    Parameters
    ----------
    share : float
        Rough share of all simulated stars that are in the survey.
    clean : bool, optional
        Leave out every defect, flag and duplicate. The stars are the same.
    """
    chosen = _select(rng, star, seen, share)
    rows = np.zeros(len(chosen), dtype=DTYPE)
    rows["APOGEE_ID"] = np.char.add("2M", (star.source_id[chosen] >> 7).astype("U20"))
    south = star.dec[chosen] < -20.0
    rows["TELESCOPE"] = np.where(south, "lco25m", "apo25m")
    rows["FIELD"] = np.char.add("SIM", (star.source_id[chosen] >> 49).astype("U12"))
    rows["RA"], rows["DEC"] = star.ra[chosen], star.dec[chosen]
    rows["NVISITS"] = 1 + rng.poisson(2.0, len(chosen))
    brightness = 10.0 ** (-0.17 * (seen.magnitudes[chosen, 0] - 12.0))
    rows["SNR"] = 130.0 * brightness * np.exp(0.3 * rng.standard_normal(len(chosen)))
    rows["SNR"] = np.clip(rows["SNR"], 35.0, 1500.0)
    rows["VHELIO_AVG"] = radial_velocity(star.l[chosen])
    rows["VSCATTER"] = np.abs(rng.normal(0.05, 0.05, len(chosen)))
    rows["GAIAEDR3_SOURCE_ID"] = star.source_id[chosen]

    defects = rng.choice(
        ["", *_DEFECTS], len(chosen), p=[1.0 - sum(_DEFECTS.values()), *_DEFECTS.values()]
    )
    low = (defects == "apogee_low_snr") & (not clean)
    rows["SNR"] = np.where(low, 12.0 + 0.1 * rows["SNR"] % 15, rows["SNR"])
    truth = np.column_stack([getattr(star, name)[chosen] for name in LABEL_NAMES])
    _measure(rng, rows, truth)
    # Drawn in either case, so that what is drawn afterwards is the same.
    spoilt = _spoil(rng, rows.copy(), star, chosen, defects, survey, truth)
    return (rows, star.wart.copy()) if clean else spoilt


def _spoil(
    rng: np.random.Generator,
    rows: Rows,
    star: Stars,
    chosen: NDArray[np.int64],
    defects: NDArray[np.str_],
    survey: LabelSurvey,
    truth: Float,
) -> tuple[Rows, NDArray[np.str_]]:
    """Return the rows with their defects and duplicates, and the stars' warts."""
    double = star.anomaly[chosen] == "double_lined"
    found = double & (rng.random(len(chosen)) < 0.6)
    rows["ASPCAPFLAG"] |= np.where(found, _bit(survey, "ASPCAPFLAG", "MULTIPLE_SUSPECT"), 0)
    _damage(rows, defects, survey)

    again = np.flatnonzero((rng.random(len(chosen)) < _DUPLICATES) & (defects == ""))
    second = rows[again].copy()
    second["SNR"] = np.maximum(0.6 * second["SNR"], 31.0)
    second["EXTRATARG"] |= _bit(survey, "EXTRATARG", "DUPLICATE")
    _measure(rng, second, truth[again])

    wart = star.wart.copy()
    named = np.zeros(len(star), dtype=bool)
    for name in _DEFECTS:
        named[:] = False
        named[chosen[defects == name]] = True
        wart = add_wart(wart, named, name)
    named[:] = False
    named[chosen[found]] = True
    wart = add_wart(wart, named, "apogee_multiple_suspect")
    named[:] = False
    named[chosen[again]] = True
    wart = add_wart(wart, named, "apogee_duplicate")
    return np.concatenate([rows, second]), wart


def _select(
    rng: np.random.Generator, star: Stars, seen: Observed, share: float
) -> NDArray[np.int64]:
    g = seen.magnitudes[:, 0]
    weight = np.where(star.logg < 3.8, 1.0, _DWARF_WEIGHT)
    weight = weight * np.clip((_FAINTEST_G - g) / 1.5, 0.0, 1.0)
    inside = np.ones(len(star), dtype=bool)
    for name, (low, high) in LABEL_LIMITS.items():
        values = getattr(star, name)
        inside &= (values >= low) & (values <= high)
    # 0.70 is the mean weight of the simulated sky, so that `share` is roughly what comes out.
    chance = np.clip(weight * share / 0.70, 0.0, 1.0)
    return np.flatnonzero(inside & (rng.random(len(star)) < chance))


def _measure(rng: np.random.Generator, rows: Rows, truth: Float) -> None:
    """Fill labels and errors, in place; the errors are honest."""
    growth = np.sqrt(1.0 + (60.0 / rows["SNR"].astype(np.float64)) ** 2)
    cool = 1.0 + np.clip((4200.0 - truth[:, 0]) / 600.0, 0.0, 1.0)
    errors = _ERRORS * (growth * cool)[:, None]
    values = truth + errors * rng.standard_normal(truth.shape)
    for k, name in enumerate(("TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H")):
        rows[name] = values[:, k]
        rows[f"{name}_ERR"] = errors[:, k]


def _bit(survey: LabelSurvey, column: str, name: str) -> int:
    return 1 << survey.bits[column][name]


def _damage(rows: Rows, defects: NDArray[np.str_], survey: LabelSurvey) -> None:
    failed = defects == "apogee_no_result"
    rows["ASPCAPFLAG"][failed] |= _bit(survey, "ASPCAPFLAG", "NO_ASPCAP_RESULT")
    for name in ("TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H"):
        # Both spellings of a missing value have been seen.
        rows[name][failed] = -9999.0
        rows[f"{name}_ERR"][failed] = np.nan
    rows["ASPCAPFLAG"][defects == "apogee_star_bad"] |= _bit(survey, "ASPCAPFLAG", "STAR_BAD")
    rows["STARFLAG"][defects == "apogee_bad_spectrum"] |= _bit(survey, "STARFLAG", "BAD_PIXELS")
    rows["EXTRATARG"][defects == "apogee_commissioning"] |= _bit(
        survey, "EXTRATARG", "COMMISSIONING"
    )
    rows["ASPCAPFLAG"][defects == "apogee_teff_bad"] |= _bit(survey, "ASPCAPFLAG", "TEFF_BAD")
    for defect, name in (("apogee_alpha_m_missing", "ALPHA_M"), ("apogee_fe_h_missing", "FE_H")):
        rows[name][defects == defect] = np.nan
        rows[f"{name}_ERR"][defects == defect] = np.nan
    bad = defects == "apogee_fe_h_bad"
    rows["FE_H_FLAG"][bad] |= _bit(survey, "FE_H_FLAG", "GRIDEDGE_BAD")


def write_fits(path: Path, parts: list[Path]) -> int:
    """Join the partitions' rows into one FITS file, a part at a time; return the number of rows.

    The primary HDU is empty and the table is HDU 1, as in the survey's own file.
    """
    from astropy.io import fits

    rows = sum(len(np.load(part, mmap_mode="r", allow_pickle=False)) for part in parts)
    empty = fits.BinTableHDU(np.zeros(0, dtype=DTYPE))
    header, primary = empty.header.copy(), fits.PrimaryHDU().header
    header["NAXIS2"] = rows
    header["COMMENT"] = "Simulated; the layout is that of APOGEE DR17 (SDSS)."
    for each in (header, primary):
        each[KEYWORD] = (True, SENTENCE)
    part_file = path.with_name(path.name + ".part")
    with part_file.open("wb") as file:
        file.write(primary.tostring().encode("ascii"))
        file.write(header.tostring().encode("ascii"))
        for part in parts:
            # Joining arrays gives native byte order; FITS is big-endian.
            file.write(np.load(part, allow_pickle=False).astype(DTYPE).tobytes())
        file.write(b"\0" * (-(rows * DTYPE.itemsize) % 2880))
    part_file.replace(path)
    return int(rows)
