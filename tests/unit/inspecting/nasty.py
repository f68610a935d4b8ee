"""Archives as other surveys might publish them, each odd in several ways; from one sky."""

from __future__ import annotations

import gzip
import io
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from catalog_builder.archive.release import load_release
from tests.layouts import read_table, tables_of, write

Columns = dict[str, np.ndarray]

#: Names as VizieR writes them.
VIZIER = {
    "source_id": "Source",
    "ra": "RA_ICRS",
    "dec": "DE_ICRS",
    "parallax": "Plx",
    "parallax_error": "e_Plx",
    "nu_eff_used_in_astrometry": "nueff",
    "pseudocolour": "pscol",
    "ecl_lat": "ELAT",
    "ruwe": "RUWE",
    "astrometric_params_solved": "Solved",
    "phot_g_mean_mag": "Gmag",
    "phot_bp_mean_mag": "BPmag",
    "phot_rp_mean_mag": "RPmag",
    "radial_velocity": "RV",
    "grvs_mag": "GRVSmag",
    "rvs_spec_sig_to_noise": "RVSS/N",
    "flux": "Flux",
    "flux_error": "e_Flux",
}
#: And as a database might.
SHORT = {
    "source_id": "gaia_id",
    "ra": "ra_deg",
    "dec": "dec_deg",
    "parallax": "plx_mas",
    "parallax_error": "plx_err",
    "phot_g_mean_mag": "mag_g",
    "phot_bp_mean_mag": "mag_bp",
    "phot_rp_mean_mag": "mag_rp",
    "grvs_mag": "mag_rvs",
    "rvs_spec_sig_to_noise": "snr_rvs",
    "flux": "normalised_flux",
    "flux_error": "normalised_flux_sigma",
}
_FOLDERS = {
    "gaia_source": "sources",
    "rvs_mean_spectrum": "rvs",
    "xp_continuous_mean_spectrum": "xp_continuous",
    "xp_sampled_mean_spectrum": "xp_sampled",
}


def tables(sky: Path) -> Iterator[tuple[str, Columns]]:
    """Yield the tables of a sky, in full."""
    release = load_release("dr3")
    for table in tables_of(release):
        yield table, read_table(sky, release, table)


def hats_with_sentinels(sky: Path, out: Path) -> Path:
    """HATS in folders of two orders, short names, -999 for null, an index beside the ids."""
    for table, columns in tables(sky):
        named = _nulls(_named(columns, SHORT), -999.0)
        index = columns["source_id"] >> 35 << 34
        for rows, order, pixel in _parts(index >> 54, 2):
            part = {name: values[rows] for name, values in named.items()}
            part["_healpix_29"] = index[rows]
            folder = out / f"{_FOLDERS[table]}/dataset/Norder={order}/Dir=0/Npix={pixel}"
            write(folder / f"part-00000-{uuid.UUID(int=order * 777 + pixel)}.snappy.parquet", part)
        (out / _FOLDERS[table] / "properties").write_text("obs_collection=sky\n")
        (out / _FOLDERS[table] / "partition_info.csv").write_text("Norder,Npix\n1,0\n")
    return _with_labels(sky, out)


def rows_in_chunks(sky: Path, out: Path) -> Path:
    """Tables cut by row number: sources as text with semicolons, spectra as gzipped FITS."""
    for table, columns in tables(sky):
        order = np.argsort(columns["source_id"] * 7919 % 10007, kind="stable")
        for number, rows in enumerate(np.array_split(order, 3)):
            part = {name: values[rows] for name, values in _named(columns, VIZIER).items()}
            file = out / _FOLDERS[table] / f"chunk{number}"
            file.parent.mkdir(parents=True, exist_ok=True)
            if table == "gaia_source":
                file.with_suffix(".dat").write_text(_text(part, ";", "-9999"))
            else:
                content = io.BytesIO()
                Table(part).write(content, format="fits")
                file.with_suffix(".fits.gz").write_bytes(gzip.compress(content.getvalue(), 1))
    return _with_labels(sky, out)


def fine_pixels(sky: Path, out: Path) -> Path:
    """One file for each pixel of level 2, by its number alone; other words for nulls and truth."""
    for table, columns in tables(sky):
        pixels = columns["source_id"] >> 55
        for pixel in np.unique(pixels):
            part = {name: values[pixels == pixel] for name, values in columns.items()}
            part = _named(part, SHORT)
            file = out / f"{_FOLDERS[table]}/{_FOLDERS[table].title()}.{pixel:03d}.tsv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_text(part, "\t", "N/D", ("on", "off")))
    return _with_labels(sky, out)


def regions_of_random_names(sky: Path, out: Path) -> Path:
    """Folders by region of two orders, random file names, flags of text, an id of another name."""
    for table, columns in tables(sky):
        named = _named(columns, SHORT | {"source_id": "dr4_source_id"})
        for name, values in named.items():
            if values.dtype == bool:
                named[name] = np.where(values, "YES", "NO")
        for rows, order, pixel in _parts(columns["source_id"] >> 57, 1):
            digits = f"{pixel >> (2 * order):x}" + "".join(
                str(pixel >> (2 * level) & 3) for level in reversed(range(order))
            )
            for number, some in enumerate(np.array_split(rows, 2)):
                part = {name: values[some] for name, values in named.items()}
                name = uuid.uuid5(uuid.NAMESPACE_OID, f"{table} {pixel} {number}")
                write(out / f"release/{table}/region={digits}/{name}.parquet", part)
    return _with_labels(sky, out)


ARCHIVES: dict[str, Callable[[Path, Path], Path]] = {
    "hats": hats_with_sentinels,
    "chunks": rows_in_chunks,
    "pixels": fine_pixels,
    "regions": regions_of_random_names,
}


def _named(columns: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Columns:
    return {names.get(name, name): values for name, values in columns.items()}


def _nulls(columns: Columns, null: float) -> Columns:
    return {
        name: np.where(np.isnan(values), null, values).astype(values.dtype)
        if values.dtype.kind == "f"
        else values
        for name, values in columns.items()
    }


def _parts(fine: np.ndarray, order: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield rows by pixels of an order, or of the coarser one in every other base pixel."""
    base = fine >> (2 * order)
    for pixel in np.unique(fine[base % 2 == 0]):
        yield np.flatnonzero(fine == pixel), order, int(pixel)
    for pixel in np.unique(base[base % 2 == 1]):
        yield np.flatnonzero(base == pixel), 0, int(pixel)


def _text(
    columns: Columns, delimiter: str, null: str, words: tuple[str, str] = ("true", "false")
) -> str:
    lines = [delimiter.join(columns)]
    for place in range(len(next(iter(columns.values())))):
        cells = (_cell(values[place], null, words) for values in columns.values())
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


def _cell(value: object, null: str, words: tuple[str, str]) -> str:
    if isinstance(value, np.ndarray):
        inner = ",".join("nan" if np.isnan(each) else f"{each:.7g}" for each in value)
        return f'"[{inner}]"'
    if isinstance(value, np.bool_):
        return words[0] if value else words[1]
    if isinstance(value, np.floating) and np.isnan(value):
        return null
    return repr(value.item()) if isinstance(value, np.generic) else str(value)


def _with_labels(sky: Path, out: Path) -> Path:
    """Copy what lies beside the tables: labels, and the mark of a simulation."""
    for entry in sky.iterdir():
        if entry.name not in {"gdr3", "truth"}:
            (shutil.copytree if entry.is_dir() else shutil.copy)(entry, out / entry.name)
    return out
