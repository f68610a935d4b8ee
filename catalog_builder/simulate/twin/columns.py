"""Columns of the later release's files: of the draft of DR4, as far as they are simulated."""

from __future__ import annotations

from typing import Final

from catalog_builder.simulate.writing.ecsv import Column
from catalog_builder.simulate.writing.layout import MOTIONS, NATIVE

_KEY: Final = (Column("solution_id", "int64"), Column("source_id", "int64"))
_BANDS: Final = tuple(
    Column(f"phot_{band}_mean_mag", "float32", "mag") for band in ("g", "bp", "rp")
)
_XP: Final = ("xp_continuous_mean_spectrum", "rvs_mean_spectrum")


def _gspspec(ending: str) -> tuple[Column, ...]:
    units = {"teff": "K", "logg": "log(cm.s**-2)", "mh": "dex", "alphafe": "dex"}
    return tuple(
        Column(f"{name}_gspspec{end}{ending}", "float32", unit)
        for name, unit in units.items()
        for end in ("", "_lower", "_upper")
    )


#: The tables, by the names of the draft, and what their files have.
TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "gaia_source": (
        Column("solution_id", "int64"),
        Column("designation", "string"),
        Column("source_id", "int64"),
        Column("random_index", "int64"),
        Column("unreliable_astrometry", "bool"),
        Column("unreliable_g_photometry", "bool"),
        Column("ref_epoch", "float64", "yr"),
        Column("ra", "float64", "deg"),
        Column("dec", "float64", "deg"),
        Column("parallax", "float64", "mas"),
        Column("parallax_error", "float32", "mas"),
        Column("parallax_over_error", "float32"),
        *MOTIONS,
        Column("pseudocolour", "float32", "um**-1"),
        Column("astrometric_params", "int16"),
        Column("tentative_parallax_bias", "float64", "mas"),
        Column("nu_eff_used_in_astrometry", "float32", "um**-1"),
        Column("ruwe", "float32"),
        *_BANDS,
        *(Column(f"phot_{b}_mean_flux_over_error", "float32") for b in ("g", "bp", "rp")),
        Column("phot_proc_flag", "int8"),
        Column("bp_rp", "float32", "mag"),
        Column("radial_velocity", "float32", "km.s**-1"),
        Column("radial_velocity_error", "float32", "km.s**-1"),
        Column("rv_expected_sig_to_noise", "float32"),
        Column("vbroad", "float32", "km.s**-1"),
        Column("grvs_mag", "float32", "mag"),
        Column("rvs_spec_sig_to_noise", "float32"),
        Column("rv_assumed_sb2", "bool"),
        Column("ap_origin", "string"),
        Column("teff", "float32", "K"),
        Column("logg", "float32", "log(cm.s**-2)"),
        Column("mh", "float32", "dex"),
        Column("l", "float64", "deg"),
        Column("b", "float64", "deg"),
        Column("ecl_lat", "float64", "deg"),
        Column("healpix_id", "string"),
        Column("healpix29", "int64"),
    ),
    "all_source_flags": (
        *_KEY,
        Column("in_gaia_source", "bool"),
        Column("non_single_star", "int16"),
        Column("has_xp", "bool"),
        Column("has_rvs", "int8"),
        Column("has_epoch_rvs", "int8"),
        Column("in_ap_xp", "bool"),
        Column("in_ap_rvs", "bool"),
    ),
    "all_source_photometry": (
        *_KEY,
        Column("in_gaia_source", "bool"),
        *_BANDS,
        Column("bp_rp", "float32", "mag"),
        Column("bp_g", "float32", "mag"),
        Column("g_rp", "float32", "mag"),
        Column("unreliable_g", "bool"),
        Column("unreliable_bp", "bool"),
        Column("unreliable_rp", "bool"),
        Column("phot_proc_flag", "int8"),
        Column("phot_bp_n_blended_transits", "int16"),
        Column("phot_rp_n_blended_transits", "int16"),
    ),
    "all_source_rvs": (
        *_KEY,
        Column("in_gaia_source", "bool"),
        Column("rv_assumed_sb2", "bool"),
        Column("radial_velocity_single", "float32", "km.s**-1"),
        Column("radial_velocity_single_error", "float32", "km.s**-1"),
        Column("rv_expected_sig_to_noise", "float32"),
        Column("rv_template_teff", "float32", "K"),
        Column("rv_template_logg", "float32", "log(cm.s**-2)"),
        Column("rv_template_fe_h", "float32", "dex"),
        Column("vbroad", "float32", "km.s**-1"),
        Column("grvs_mag", "float32", "mag"),
        Column("rvs_spec_sig_to_noise", "float32"),
    ),
    # Positions are in neither table of spectra.
    **{table: tuple(c for c in NATIVE[table] if c.name not in {"ra", "dec"}) for table in _XP},
    "ap_rvs": (*_KEY, *_gspspec("_calib"), *_gspspec(""), Column("flags_gspspec", "string")),
    "ap_xp": (
        *_KEY,
        Column("teff_gspphot", "float32", "K"),
        Column("logg_gspphot", "float32", "log(cm.s**-2)"),
        Column("mh_gspphot", "float32", "dex"),
        Column("azero_gspphot", "float32", "mag"),
    ),
    "dr3_neighbourhood": (
        Column("source_id", "int64"),
        Column("dr3_source_id", "int64"),
        Column("angular_distance", "float32", "mas"),
        Column("magnitude_difference", "float32", "mag"),
        Column("proper_motion_propagation", "bool"),
        Column("probable_match", "bool"),
    ),
}


def _folder(table: str) -> str:
    groups = {
        "Spectroscopy/": ("rvs_mean_spectrum", "xp_continuous_mean_spectrum"),
        "Astrophysical_parameters/": ("ap_rvs", "ap_xp"),
    }
    group = next((folder for folder, tables in groups.items() if table in tables), "")
    return f"gdr4/{group}{table}"


#: Folder of each table in the archive, and what its files' names begin with: a guess, as DR3's.
FOLDERS: Final = {table: _folder(table) for table in TABLES}
STEMS: Final = {
    table: "".join(word.capitalize() for word in table.split("_")) + "_" for table in TABLES
}
