"""What the simulated archive's files look like: folders, names and columns of a release.

Folders, file names, native column names, types and units come from the release description, the
same that the readers use. Columns that the pipeline has no use for, but which the archive's own
tools expect, are added here in the archive's order.
"""

from __future__ import annotations

import re
from pathlib import Path

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName, TableSpec
from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.writing.ecsv import Column

_BAND_COLUMNS = (
    Column("{}_basis_function_id", "int16"),
    Column("{}_degrees_of_freedom", "int16"),
    Column("{}_n_parameters", "int16"),
    Column("{}_n_measurements", "int16"),
    Column("{}_n_rejected_measurements", "int16"),
    Column("{}_standard_deviation", "float32"),
    Column("{}_chi_squared", "float32"),
    Column("{}_coefficients", "float64", array=True),
    Column("{}_coefficient_errors", "float32", array=True),
    Column("{}_coefficient_correlations", "float32", array=True),
    Column("{}_n_relevant_bases", "int16"),
    Column("{}_relative_shrinking", "float32"),
)
_SOURCE = (Column("source_id", "int64"), Column("solution_id", "int64"))
_POSITION = (Column("ra", "float64", "deg"), Column("dec", "float64", "deg"))

#: Proper motions and their errors, as they stand beside parallaxes.
MOTIONS = (
    Column("pmra", "float64", "mas.yr**-1"),
    Column("pmra_error", "float32", "mas.yr**-1"),
    Column("pmdec", "float64", "mas.yr**-1"),
    Column("pmdec_error", "float32", "mas.yr**-1"),
    Column("parallax_pmra_corr", "float32"),
    Column("parallax_pmdec_corr", "float32"),
    Column("pmra_pmdec_corr", "float32"),
)

#: The archive's own columns and their order (documentation of DR3, chapter 20), as far as they are
#: simulated.
NATIVE: dict[TableName, tuple[Column, ...]] = {
    "gaia_source": (
        Column("solution_id", "int64"),
        Column("designation", "string"),
        Column("source_id", "int64"),
        Column("random_index", "int64"),
        Column("ref_epoch", "float64", "yr"),
        *_POSITION,
        Column("parallax", "float64", "mas"),
        Column("parallax_error", "float32", "mas"),
        Column("parallax_over_error", "float32"),
        *MOTIONS,
        Column("ruwe", "float32"),
        Column("astrometric_params_solved", "int16"),
        Column("nu_eff_used_in_astrometry", "float32", "um**-1"),
        Column("pseudocolour", "float32", "um**-1"),
        Column("phot_g_mean_flux_over_error", "float32"),
        Column("phot_g_mean_mag", "float32", "mag"),
        Column("phot_bp_mean_flux_over_error", "float32"),
        Column("phot_bp_mean_mag", "float32", "mag"),
        Column("phot_rp_mean_flux_over_error", "float32"),
        Column("phot_rp_mean_mag", "float32", "mag"),
        Column("phot_bp_rp_excess_factor", "float32"),
        Column("bp_rp", "float32", "mag"),
        Column("radial_velocity", "float32", "km.s**-1"),
        Column("radial_velocity_error", "float32", "km.s**-1"),
        Column("rv_method_used", "int16"),
        Column("rv_expected_sig_to_noise", "float32"),
        Column("vbroad", "float32", "km.s**-1"),
        Column("grvs_mag", "float32", "mag"),
        Column("rvs_spec_sig_to_noise", "float32"),
        Column("l", "float64", "deg"),
        Column("b", "float64", "deg"),
        Column("ecl_lat", "float64", "deg"),
        Column("has_xp_continuous", "bool"),
        Column("has_xp_sampled", "bool"),
        Column("has_rvs", "bool"),
    ),
    "rvs_mean_spectrum": (
        *_SOURCE,
        *_POSITION,
        Column("flux", "float32", array=True),
        Column("flux_error", "float32", array=True),
        Column("combined_transits", "int16"),
        Column("combined_ccds", "int16"),
        Column("deblended_ccds", "int16"),
    ),
    "xp_continuous_mean_spectrum": (
        *_SOURCE,
        *(
            Column(c.name.format(band), c.dtype, c.unit, c.array)
            for band in ("bp", "rp")
            for c in _BAND_COLUMNS
        ),
    ),
    "xp_sampled_mean_spectrum": (
        *_SOURCE,
        *_POSITION,
        Column("flux", "float32", "W.m**-2.nm**-1", array=True),
        Column("flux_error", "float32", "W.m**-2.nm**-1", array=True),
    ),
    "astrophysical_parameters": (
        Column("solution_id", "int64"),
        Column("source_id", "int64"),
        Column("teff_gspphot", "float32", "K"),
        Column("teff_gspphot_lower", "float32", "K"),
        Column("teff_gspphot_upper", "float32", "K"),
        Column("logg_gspphot", "float32", "log(cm.s**-2)"),
        Column("logg_gspphot_lower", "float32", "log(cm.s**-2)"),
        Column("logg_gspphot_upper", "float32", "log(cm.s**-2)"),
        Column("mh_gspphot", "float32", "dex"),
        Column("mh_gspphot_lower", "float32", "dex"),
        Column("mh_gspphot_upper", "float32", "dex"),
        Column("azero_gspphot", "float32", "mag"),
        Column("azero_gspphot_lower", "float32", "mag"),
        Column("azero_gspphot_upper", "float32", "mag"),
        Column("teff_gspspec", "float32", "K"),
        Column("teff_gspspec_lower", "float32", "K"),
        Column("teff_gspspec_upper", "float32", "K"),
        Column("logg_gspspec", "float32", "log(cm.s**-2)"),
        Column("logg_gspspec_lower", "float32", "log(cm.s**-2)"),
        Column("logg_gspspec_upper", "float32", "log(cm.s**-2)"),
        Column("mh_gspspec", "float32", "dex"),
        Column("mh_gspspec_lower", "float32", "dex"),
        Column("mh_gspspec_upper", "float32", "dex"),
        Column("alphafe_gspspec", "float32", "dex"),
        Column("alphafe_gspspec_lower", "float32", "dex"),
        Column("alphafe_gspspec_upper", "float32", "dex"),
        Column("flags_gspspec", "string"),
        Column("logchisq_gspspec", "float32"),
    ),
}


def contents_of(release: ReleaseSpec) -> dict[TableName, TableName]:
    """Return, for each table that holds what one of `NATIVE` holds, which; by the release's names.

    The source table and the products of the spectra called ``rvs`` and ``xp`` are known whatever
    they are called, other tables by their name.
    """
    found = {release.source_table: "gaia_source"}
    for name, holds, native in _PRODUCTS:
        for product in release.spectra[name].products if name in release.spectra else ():
            if product.holds == holds:
                found.setdefault(product.table, native)
    held = set(found.values())
    named = {table: table for table in release.tables if table in NATIVE and table not in held}
    return {**named, **found}


#: Spectra of Gaia, what their products hold, and the table of `NATIVE` that does.
_PRODUCTS = (
    ("rvs", "samples", "rvs_mean_spectrum"),
    ("xp", "coefficients", "xp_continuous_mean_spectrum"),
    ("xp", "samples", "xp_sampled_mean_spectrum"),
)


def written_tables(release: ReleaseSpec) -> list[TableName]:
    """Return the tables that a simulation writes, in the order of the description."""
    of_spectra = {product.table for one in release.spectra.values() for product in one.products}
    wanted = {*contents_of(release), *release.joined_tables, *of_spectra}
    return [table for table in release.tables if table in wanted]


def columns_of(release: ReleaseSpec, table: TableName) -> list[tuple[str, Column]]:
    """Canonical name and file column of a table, in file order.

    A column that the release describes gets the release's name, type, unit and shape; one that it
    describes and the archive's list lacks comes last.
    """
    described = dict(release.tables[table].columns)
    result = []
    for native in NATIVE.get(contents_of(release).get(table, table), ()):
        spec = described.pop(native.name, None)
        if spec is None:
            # Other archives than Gaia's have what is described, and nothing else.
            result += [] if by_field(release) else [(native.name, native)]
            continue
        name = release.tables[table].native_names(native.name)[0]
        unit = native.unit or _archive_unit(spec.unit)
        # What is read as a float, so that it can be null, is still an integer in the files.
        whole = native.dtype.startswith("int") and spec.dtype.startswith("float")
        dtype = native.dtype if whole else spec.dtype
        result.append((native.name, Column(name, dtype, unit, spec.length is not None)))
    for canonical, spec in described.items():
        name = release.tables[table].native_names(canonical)[0]
        unit = _archive_unit(spec.unit)
        result.append((canonical, Column(name, spec.dtype, unit, spec.length is not None)))
    return result


def _archive_unit(unit: str) -> str:
    """Spell ``W m-2 nm-1`` as the archive does: ``W.m**-2.nm**-1``."""
    return re.sub(r"(?<=[a-zA-Z])(-?\d+)", r"**\1", unit).replace(" ", ".")


def by_field(release: ReleaseSpec) -> bool:
    """Say whether the release's files may have stars of anywhere: then they are by field."""
    return release.partition.layout == "anywhere"


def range_name(release: ReleaseSpec, first: int, last: int) -> str:
    """Name of a range of pixels, as it stands in file names.

    Raises
    ------
    ConfigError
        If the release names its ranges in a way that this program cannot write.
    """
    name = f"{first:06d}-{last:06d}"
    if by_field(release):
        return name
    if re.fullmatch(release.partition.range_pattern, name) is None:
        raise ConfigError(
            f"Release {release.name} names its ranges by {release.partition.range_pattern!r}, "
            f"which {name!r} does not match.",
            "Only <first>-<last> with six digits can be simulated.",
        )
    return name


def table_folder(release: ReleaseSpec, table: TableName, root: Path) -> Path:
    """Folder of a table in an archive rooted at `root`."""
    return root / release.tables[table].folders[0]


def file_name(spec: TableSpec, range_: str) -> str:
    """Name of a table's file for one range."""
    if "csv.gz" not in spec.formats:
        raise ConfigError(
            f"The table with files {spec.stem}* is not read from csv.gz.",
            "Only that format can be simulated; add it to `formats`.",
        )
    return f"{spec.stem}{range_}.csv.gz"
