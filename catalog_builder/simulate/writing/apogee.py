"""The label file: a brighter, biased subset with errors, flags, duplicates and gaps.

Stars are chosen, measured and spoilt as in APOGEE DR17, in its columns. A survey that calls them
otherwise, has more labels or fewer gets its own columns of the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.simulate.instruments.observed import Observed
from catalog_builder.simulate.population.chemistry import OF_SPECTRA
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import LABEL_LIMITS, Stars, add_wart
from catalog_builder.simulate.writing.label_file import as_survey, native_dtype

Float = NDArray[np.float64]
Rows = NDArray[np.void]

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
#: The bits by which a defect is known, and the columns that it empties.
_BITS: Final = {
    "apogee_no_result": ("ASPCAPFLAG", "NO_ASPCAP_RESULT"),
    "apogee_star_bad": ("ASPCAPFLAG", "STAR_BAD"),
    "apogee_bad_spectrum": ("STARFLAG", "BAD_PIXELS"),
    "apogee_commissioning": ("EXTRATARG", "COMMISSIONING"),
    "apogee_fe_h_bad": ("FE_H_FLAG", "GRIDEDGE_BAD"),
    "apogee_teff_bad": ("ASPCAPFLAG", "TEFF_BAD"),
}
_MISSING: Final = {"apogee_alpha_m_missing": "ALPHA_M", "apogee_fe_h_missing": "FE_H"}
#: Share of the rows without a value of a label that DR17's columns above do not have.
_MORE_MISSING = 0.03


@dataclass
class _More:
    """A label that DR17's columns above do not have: its truth and its own random numbers."""

    name: str
    truth: Float
    error: float
    rng: np.random.Generator

    def measure(self, rows: Rows, truth: Float, teff: Float) -> None:
        """Fill the label and its error, in place."""
        errors = self.error * _growth(rows, teff)
        rows[self.name] = truth + errors * self.rng.standard_normal(len(rows))
        rows[f"{self.name}_ERR"] = errors


def observe(
    rng: np.random.Generator,
    star: Stars,
    seen: Observed,
    survey: LabelSurvey,
    share: float,
    *,
    made: Mapping[str, Float],
    draws: Draws,
    clean: bool = False,
) -> tuple[Rows, NDArray[np.str_]]:
    """Choose stars, measure them, and return the file's rows and the stars' defects as warts.

    Parameters
    ----------
    share : float
        Rough share of all simulated stars that are in the survey.
    made : mapping of str to ndarray of float64, shape (n,)
        True values of the survey's labels that the spectra do not have.
    draws : callable
        Random numbers of these.
    clean : bool, optional
        Leave out every defect, flag and duplicate. The stars are the same.
    """
    chosen = _select(rng, star, seen, share)
    more = [_more_of(survey, name, values[chosen], draws) for name, values in made.items()]
    rows = np.zeros(len(chosen), dtype=native_dtype(list(made)))
    rows["APOGEE_ID"] = own_ids(star.source_id[chosen])
    south = star.dec[chosen] < -20.0
    rows["TELESCOPE"] = np.where(south, "lco25m", "apo25m")
    rows["FIELD"] = np.char.add("SIM", (star.source_id[chosen] >> 49).astype("U12"))
    rows["RA"], rows["DEC"] = star.ra[chosen], star.dec[chosen]
    rows["NVISITS"] = 1 + rng.poisson(2.0, len(chosen))
    brightness = 10.0 ** (-0.17 * (seen.magnitudes[chosen, 0] - 12.0))
    rows["SNR"] = 130.0 * brightness * np.exp(0.3 * rng.standard_normal(len(chosen)))
    rows["SNR"] = np.clip(rows["SNR"], 35.0, 1500.0)
    rows["VHELIO_AVG"] = star.true_radial_velocity[chosen]
    rows["VSCATTER"] = np.abs(rng.normal(0.05, 0.05, len(chosen)))
    rows["GAIAEDR3_SOURCE_ID"] = star.source_id[chosen]

    defects = rng.choice(
        ["", *_DEFECTS], len(chosen), p=[1.0 - sum(_DEFECTS.values()), *_DEFECTS.values()]
    )
    # A defect that the survey has no word for does not happen in it.
    defects = np.where(np.isin(defects, [d for d in _DEFECTS if _is_known(survey, d)]), defects, "")
    low = (defects == "apogee_low_snr") & (not clean)
    rows["SNR"] = np.where(low, 12.0 + 0.1 * rows["SNR"] % 15, rows["SNR"])
    truth = np.column_stack([getattr(star, name)[chosen] for name in OF_SPECTRA])
    _measure(rng, rows, truth, more)
    # Drawn in either case, so that what is drawn afterwards is the same.
    spoilt, wart = _spoil(rng, rows.copy(), star, chosen, defects, survey, truth, more)
    return (
        (as_survey(rows, survey), star.wart.copy()) if clean else (as_survey(spoilt, survey), wart)
    )


def own_ids(source_id: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the survey's own names of stars, (n,)."""
    return np.char.add("2M", (source_id >> 7).astype("U20"))


def _more_of(survey: LabelSurvey, name: str, truth: Float, draws: Draws) -> _More:
    declared = survey.declared[survey.declared.place(name)].simulated
    error = 0.02 if declared is None else declared.error
    return _More(name.upper(), truth, error, draws(f"measured {name}"))


def _is_known(survey: LabelSurvey, defect: str) -> bool:
    if defect in _MISSING:
        return _MISSING[defect].lower() in survey.labels
    column, name = _BITS.get(defect, ("", ""))
    of_all = defect in {"apogee_low_snr", "apogee_no_result"}
    return of_all or name in survey.bits.get(column, {})


def _spoil(
    rng: np.random.Generator,
    rows: Rows,
    star: Stars,
    chosen: NDArray[np.int64],
    defects: NDArray[np.str_],
    survey: LabelSurvey,
    truth: Float,
    more: Sequence[_More],
) -> tuple[Rows, NDArray[np.str_]]:
    """Return the rows with their defects and duplicates, and the stars' warts."""
    suspect = _bit(survey, "ASPCAPFLAG", "MULTIPLE_SUSPECT")
    double = star.anomaly[chosen] == "double_lined"
    found = double & (rng.random(len(chosen)) < 0.6) & (suspect != 0)
    rows["ASPCAPFLAG"] |= np.where(found, suspect, 0)
    _damage(rows, defects, survey, [one.name for one in more])

    again = np.flatnonzero((rng.random(len(chosen)) < _DUPLICATES) & (defects == ""))
    second = rows[again].copy()
    second["SNR"] = np.maximum(0.6 * second["SNR"], 31.0)
    second["EXTRATARG"] |= _bit(survey, "EXTRATARG", "DUPLICATE")
    _measure(rng, second, truth[again], more, again)

    missing = {name: defects == name for name in _DEFECTS}
    missing |= {"apogee_multiple_suspect": found}
    missing["apogee_duplicate"] = np.isin(np.arange(len(chosen)), again)
    for one in more:
        gone = one.rng.random(len(chosen)) < _MORE_MISSING
        missing[f"apogee_{one.name.lower()}_missing"] = gone
        _empty(rows, one.name, gone)
    wart = star.wart.copy()
    for name, where in missing.items():
        named = np.zeros(len(star), dtype=bool)
        named[chosen[where]] = True
        wart = add_wart(wart, named, name)
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


def _growth(rows: Rows, teff: Float) -> Float:
    """How much larger errors are than at S/N 100 among stars above 4200 K, (r,)."""
    growth = np.sqrt(1.0 + (60.0 / rows["SNR"].astype(np.float64)) ** 2)
    cool = 1.0 + np.clip((4200.0 - teff) / 600.0, 0.0, 1.0)
    return np.asarray(growth * cool)


def _measure(
    rng: np.random.Generator,
    rows: Rows,
    truth: Float,
    more: Sequence[_More],
    where: NDArray[np.int64] | slice = slice(None),
) -> None:
    """Fill labels and honest errors, in place; `where` is for the truth of `more`."""
    errors = _ERRORS * _growth(rows, truth[:, 0])[:, None]
    values = truth + errors * rng.standard_normal(truth.shape)
    for k, name in enumerate(OF_SPECTRA):
        rows[name.upper()] = values[:, k]
        rows[f"{name.upper()}_ERR"] = errors[:, k]
    for one in more:
        one.measure(rows, one.truth[where], truth[:, 0])


def _bit(survey: LabelSurvey, column: str, name: str) -> int:
    """Return the bit's value; 0 where the survey does not have it."""
    number = survey.bits.get(column, {}).get(name)
    return 0 if number is None else 1 << number


def _empty(rows: Rows, name: str, where: NDArray[np.bool_], null: float = np.nan) -> None:
    rows[name][where] = null
    rows[f"{name}_ERR"][where] = np.nan


def _damage(
    rows: Rows, defects: NDArray[np.str_], survey: LabelSurvey, more: Sequence[str]
) -> None:
    # Both spellings of a missing value have been seen.
    null = survey.null_values[0] if survey.null_values else np.nan
    for name in (*(label.upper() for label in OF_SPECTRA), *more):
        _empty(rows, name, defects == "apogee_no_result", null)
    for defect, (column, name) in _BITS.items():
        rows[column][defects == defect] |= _bit(survey, column, name)
    for defect, name in _MISSING.items():
        _empty(rows, name, defects == defect)
