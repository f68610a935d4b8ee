"""Columns of every table of the archive, from observed stars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import CodeRule, LineSpectrum
from catalog_builder.archive.tables import TableName
from catalog_builder.features.low_resolution import SampledSpectra
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import xp
from catalog_builder.simulate.instruments.gaia import gaia_rvs, gaia_xp
from catalog_builder.simulate.instruments.lines import Lines
from catalog_builder.simulate.instruments.motion import FAINT_FROM
from catalog_builder.simulate.instruments.observed import Observed, magnitude_errors
from catalog_builder.simulate.population.galaxy import ecliptic_latitude
from catalog_builder.simulate.population.truth import Stars

Block = dict[str, NDArray[np.generic]]
Float = NDArray[np.float64]

#: Identifiers of the processing run; any number will do, DR3's own are kept.
SOLUTION_IDS: Final[dict[TableName, int]] = {
    "gaia_source": 1636148068921376768,
    "rvs_mean_spectrum": 5950420259779346465,
    "xp_continuous_mean_spectrum": 4545469030156206080,
    "xp_sampled_mean_spectrum": 4545469030156206080,
    "astrophysical_parameters": 375316653866487564,
}
#: Sources of DR3.
SOURCES: Final = 1_811_709_771
_OF_ALL_TABLES: Final = frozenset({"source_id", "ra", "dec"})
_BASIS_ID = {"bp": 56, "rp": 57}
#: Characters of flags_gspspec (Recio-Blanco et al. 2023, A&A 674, A29, table 2).
_N_FLAGS = 41


def gaia_source(star: Stars, seen: Observed, release: ReleaseSpec) -> Block:
    """Columns of the source table."""
    n = len(star)
    has_rvs = np.zeros(n, dtype=bool)
    has_rvs[seen.rvs_rows] = True
    g, bp, rp = seen.magnitudes.T
    sky = seen.astrometry
    block: Block = {
        "solution_id": np.full(n, SOLUTION_IDS["gaia_source"]),
        "designation": np.char.add("Gaia DR3 ", star.source_id.astype("U20")),
        "source_id": star.source_id,
        "ref_epoch": np.full(n, release.reference_epoch),
        "ra": star.ra,
        "dec": star.dec,
        "parallax": sky.parallax,
        "parallax_error": sky.parallax_error,
        "parallax_over_error": sky.parallax / sky.parallax_error,
        "ruwe": sky.ruwe,
        "astrometric_params_solved": sky.params_solved,
        "nu_eff_used_in_astrometry": sky.nu_eff,
        "pseudocolour": sky.pseudocolour,
        "phot_g_mean_mag": g,
        "phot_bp_mean_mag": bp,
        "phot_rp_mean_mag": rp,
        # Riello et al. 2021, A&A 649, A3, table 2: the median for blue stars, linear beyond.
        "phot_bp_rp_excess_factor": 1.154 + 0.034 * (bp - rp),
        "bp_rp": bp - rp,
        "rv_expected_sig_to_noise": seen.sig_to_noise,
        "vbroad": np.where(has_rvs & (seen.grvs < 12.0), np.hypot(star.vsini, 5.0), np.nan),
        "grvs_mag": seen.grvs,
        "rvs_spec_sig_to_noise": seen.sig_to_noise,
        "l": star.l,
        "b": star.b,
        "ecl_lat": ecliptic_latitude(star.ra, star.dec),
        "has_xp_continuous": seen.has_xp,
        "has_xp_sampled": seen.has_xp_sampled,
        "has_rvs": has_rvs,
        **_flux_over_error(seen),
        **_motion(seen),
    }
    if release.parallax_zero_point.rule == "column":
        bias = release.parallax_zero_point.inputs["bias"]
        block[bias] = np.full(n, -0.025)
    return block


def _flux_over_error(seen: Observed) -> Block:
    """Columns of the photometry's flux over its error."""
    over = 2.5 / np.log(10.0) / magnitude_errors(seen.exact_magnitudes, seen.transits)
    over = np.where(np.isfinite(seen.magnitudes), over, np.nan)
    return {f"phot_{b}_mean_flux_over_error": over[:, k] for k, b in enumerate(("g", "bp", "rp"))}


def _motion(seen: Observed) -> Block:
    """Columns of proper motions and radial velocities, where they are measured."""
    if seen.motion is None:
        return {}
    unknown = np.isnan(seen.motion.radial_velocity)
    method = np.where(seen.exact_grvs < FAINT_FROM, 1, 2)
    return {**vars(seen.motion), "rv_method_used": np.ma.array(method, mask=unknown)}


def random_index(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return places of n sources in a random order of all that the release has."""
    return rng.integers(0, SOURCES, n)


def _common(star: Stars, rows: NDArray[np.int64], table: TableName) -> Block:
    return {
        "source_id": star.source_id[rows],
        "solution_id": np.full(len(rows), SOLUTION_IDS[table]),
        "ra": star.ra[rows],
        "dec": star.dec[rows],
    }


def rvs_mean_spectrum(star: Stars, seen: Observed, release: ReleaseSpec) -> Block:
    """Columns of the mean RVS spectra."""
    rows = seen.rvs_rows
    transits = np.maximum(np.round(18.0 * seen.transits[rows]), 3.0)
    spectrum = gaia_rvs(release)
    product = None if spectrum is None else spectrum.products[0]
    block = _common(star, rows, "rvs_mean_spectrum") | {
        "flux" if product is None else product.flux: seen.rvs_flux,
        "flux_error" if product is None else product.flux_error: seen.rvs_error,
        "combined_transits": transits.astype(np.int16),
        "combined_ccds": (3 * transits).astype(np.int16),
        "deblended_ccds": np.zeros(len(rows), dtype=np.int16),
    }
    rule = None if spectrum is None else spectrum.normalisation
    if isinstance(rule, CodeRule) and seen.rvs_codes is not None:
        block[rule.code] = seen.rvs_codes
    return block


def other_lines(star: Stars, found: Lines, spectrum: LineSpectrum) -> dict[TableName, Block]:
    """Columns of the tables of another spectrograph; where there are several, stars take turns."""
    blocks: dict[TableName, Block] = {}
    turn = np.arange(len(found.rows)) % len(spectrum.products)
    for k, product in enumerate(spectrum.products):
        mine = np.flatnonzero(turn == k)
        rows = found.rows[mine]
        block: Block = {
            "source_id": star.source_id[rows],
            "ra": star.ra[rows],
            "dec": star.dec[rows],
            product.flux: found.flux[mine],
            product.flux_error: found.error[mine],
        }
        if product.samples_sig_to_noise is not None:
            del block[product.flux_error]
            block[product.samples_sig_to_noise] = np.abs(found.flux[mine]) / found.error[mine]
        if isinstance(spectrum.normalisation, CodeRule) and found.codes is not None:
            block[spectrum.normalisation.code] = found.codes[mine]
        blocks[product.table] = block
    return blocks


def together(one: Block, other: Block) -> Block:
    """Return the rows of two blocks of a table, by source id; null is what only the other has."""
    if not one:
        return other
    ids = np.union1d(one["source_id"], other["source_id"])
    joined: Block = {"source_id": ids}
    for block in (one, other):
        rows = np.searchsorted(ids, block["source_id"])
        for name, values in block.items():
            if name not in joined:
                shape, dtype = (len(ids), *values.shape[1:]), values.dtype
                is_float = dtype.kind == "f"
                nulls = np.full(shape, np.nan if is_float else 0, dtype)
                joined[name] = nulls if is_float else np.ma.array(nulls, mask=True)
            joined[name][rows] = values
    return joined


def looked_up(
    release: ReleaseSpec, star: Stars, columns: Block, only: Mapping[str, NDArray[np.bool_]]
) -> dict[TableName, Block]:
    """Columns of the source table and of those joined to it.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Of all stars, by canonical name.
    only : mapping of str to ndarray of bool, shape (n,)
        Which stars have what a column says, where not all do. A joined table has no row of a star
        that has nothing of what stands in it.
    """
    blocks = {release.source_table: columns}
    for table in release.joined_tables:
        mine = [name for name in release.tables[table].columns if name in columns]
        every = np.ones(len(star), dtype=bool)
        wanted = [only.get(name, every) for name in mine if name not in _OF_ALL_TABLES]
        rows = np.flatnonzero(np.any(wanted, axis=0)) if wanted else np.flatnonzero(every)
        blocks[table] = {name: columns[name][rows] for name in ("source_id", *mine)}
    return blocks


def announcements(
    release: ReleaseSpec, has: Mapping[TableName, NDArray[np.bool_]]
) -> dict[str, tuple[NDArray[np.generic], NDArray[np.bool_]]]:
    """Return column -> its values, and who has the spectra that it announces.

    Parameters
    ----------
    has : mapping of str to ndarray of bool, shape (n,)
        Which stars have a row in a table of spectra.
    """
    found: dict[str, tuple[NDArray[np.generic], NDArray[np.bool_]]] = {}
    for spectrum in release.spectra.values():
        for product in spectrum.products:
            said = product.announced_by
            if said is None:
                continue
            yes, no = said.values[0], _other_than(said.values)
            who = has[product.table]
            known = found.get(said.column)
            values = np.where(who, yes, no if known is None else known[0])
            found[said.column] = values, who if known is None else who | known[1]
    return found


def _other_than(values: Sequence[bool | float]) -> bool | float:
    """Return a value of the same kind that is none of these."""
    if isinstance(values[0], bool):
        return not values[0]
    return 0 if 0 not in values else max(values) + 1


def xp_continuous(star: Stars, seen: Observed) -> Block:
    """Columns of the XP coefficients; BP is null where it is missing."""
    rows = np.flatnonzero(seen.has_xp)
    block = _common(star, rows, "xp_continuous_mean_spectrum")
    for band in instrument.BANDS:
        absent = ~seen.has_bp[rows] if band == "bp" else np.zeros(len(rows), dtype=bool)
        spectra: xp.BandCoefficients = getattr(seen, band)
        measured = spectra.n_measurements[rows]
        degrees = measured - 55
        columns: Block = {
            "basis_function_id": np.full(len(rows), _BASIS_ID[band]),
            "degrees_of_freedom": degrees,
            "n_parameters": np.full(len(rows), spectra.values.shape[1]),
            "n_measurements": measured,
            "n_rejected_measurements": spectra.n_rejected[rows],
            "standard_deviation": spectra.standard_deviation[rows],
            "chi_squared": degrees * spectra.standard_deviation[rows] ** 2,
            "n_relevant_bases": spectra.n_relevant_bases[rows],
            "relative_shrinking": 1.0 - 0.1 / spectra.n_relevant_bases[rows].astype(np.float64),
        }
        for name, values in columns.items():
            block[f"{band}_{name}"] = np.ma.array(values, mask=absent)
        arrays: dict[str, NDArray[np.floating]] = {
            "coefficients": spectra.values,
            "coefficient_errors": spectra.errors,
            "coefficient_correlations": spectra.correlations,
        }
        for name, matrix in arrays.items():
            block[f"{band}_{name}"] = np.where(absent[:, None], np.nan, matrix[rows])
    return block


def xp_sampled(star: Stars, seen: Observed, release: ReleaseSpec) -> Block:
    """Columns of the sampled XP spectra, made from the same coefficients."""
    spectrum = gaia_xp(release)
    products = () if spectrum is None else spectrum.products
    product = next((one for one in products if one.holds == "samples"), None)
    rows = np.flatnonzero(seen.has_xp_sampled)
    spectra: SampledSpectra = xp.sampled(_rows(seen.bp, rows), _rows(seen.rp, rows))
    return _common(star, rows, "xp_sampled_mean_spectrum") | {
        "flux" if product is None else product.flux: spectra.flux,
        "flux_error" if product is None else product.flux_error: spectra.flux_error,
    }


def _rows(band: xp.BandCoefficients, rows: NDArray[np.int64]) -> xp.BandCoefficients:
    return xp.BandCoefficients(**{name: values[rows] for name, values in vars(band).items()})


def astrophysical_parameters(rng: np.random.Generator, star: Stars, seen: Observed) -> Block:
    """Parameters as DPAC would publish them: GSP-Phot for XP, GSP-Spec for good RVS spectra.

    Their errors are of the size that DR3 has; they carry flags, and GSP-Spec's known offset in
    log g (Recio-Blanco et al. 2023, A&A 674, A29, section 9).
    """
    rows = np.flatnonzero(seen.has_xp | np.isin(np.arange(len(star)), seen.rvs_rows))
    n = len(rows)
    quality = np.nan_to_num(seen.sig_to_noise[rows], nan=0.0)
    spec = (quality > 20.0) & np.isfinite(star.m_h[rows])
    scale = np.clip(60.0 / np.maximum(quality, 20.0), 0.3, 3.0)
    block = _common(star, rows, "astrophysical_parameters")
    truth = {
        "teff": (star.teff[rows], 90.0, 0.0),
        "logg": (star.logg[rows], 0.20, -0.28),
        "mh": (star.m_h[rows], 0.12, 0.0),
        "alphafe": (star.alpha_m[rows], 0.08, 0.0),
    }
    for name, (value, error, offset) in truth.items():
        sigma = error * scale
        measured = np.where(spec, value + offset + sigma * rng.standard_normal(n), np.nan)
        block |= _within(f"{name}_gspspec", measured, sigma)
    phot = seen.has_xp[rows] & np.isfinite(star.m_h[rows])
    errors = {"teff": 110.0, "logg": 0.2, "mh": 0.25}
    for name, error in errors.items():
        noisy = truth[name][0] + error * rng.standard_normal(n)
        block |= _within(f"{name}_gspphot", np.where(phot, noisy, np.nan), error)
    a_0 = np.maximum(star.a_0[rows] + 0.08 * rng.standard_normal(n), 0.0)
    block |= _within("azero_gspphot", np.where(phot, a_0, np.nan), np.minimum(0.08, a_0))
    block["logchisq_gspspec"] = np.where(spec, -2.0 - 0.6 * np.log10(scale), np.nan)
    block["flags_gspspec"] = np.ma.array(_flags(star, rows, quality), mask=~spec)
    return block


def _within(name: str, values: Float, error: Float | float) -> Block:
    """Return a parameter and its percentiles 16 and 84, as DPAC calls them."""
    return {name: values, f"{name}_lower": values - error, f"{name}_upper": values + error}


def _flags(star: Stars, rows: NDArray[np.int64], quality: Float) -> NDArray[np.str_]:
    """Return the 41-character flag chains: broadening, radial velocity, noise; 0 is best."""
    broad = np.digitize(star.vsini[rows], [15.0, 25.0, 40.0])
    shifted = np.where(star.anomaly[rows] == "wrong_frame", 2, 0)
    noisy = 4 - np.digitize(quality, [30.0, 50.0, 80.0, 120.0])
    digits = np.zeros((len(rows), _N_FLAGS), dtype=np.int64)
    digits[:, 0:3] = broad[:, None]
    digits[:, 3:6] = shifted[:, None]
    digits[:, 6] = noisy
    digits[:, 13:] = np.minimum(noisy, 2)[:, None]
    return digits.astype("U1").view(f"U{_N_FLAGS}").reshape(-1)
