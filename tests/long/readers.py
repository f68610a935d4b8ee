"""A sealed catalogue read by the programs that astronomers have: what each says, and its values.

    python tests/long/readers.py CATALOGUE [VOTABLE] [FOLDER OF A TABLE FOR THE CDS]

needs a catalogue with ``publish.formats: [fits, hats]``, and of lsdb, hats, duckdb, polars, stilts
and fitsverify those that are to be tried: what is not installed is passed over, and said so. It
imports nothing of this program, so that it runs in an environment of those packages alone. Values
are compared with ``catalog.fits`` bit for bit; that these are the store's, `validate` says.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: What cannot be tried raises this.
MISSING = (ImportError, FileNotFoundError)


def _fits(folder: Path, name: str = "catalog.fits") -> Any:
    from astropy.io import fits

    with fits.open(folder / name) as hdus:
        data = {column: np.array(hdus[1].data[column]) for column in hdus[1].columns.names}
    return {name: v.astype(v.dtype.newbyteorder("=")) for name, v in data.items()}


def _same(found: Any, meant: Any, what: str) -> None:
    one, other = np.asarray(found), np.asarray(meant)
    if one.dtype.kind in "OU":
        other = np.char.decode(other.astype("S")) if other.dtype.kind == "S" else other
        one = one.astype(str)
    elif other.dtype.kind == "f":
        one = one.astype(other.dtype)
        if not np.array_equal(np.isnan(one), np.isnan(other)):
            raise SystemExit(f"{what}: other nulls")
        known = ~np.isnan(other)
        if one[known].tobytes() != other[known].tobytes():
            raise SystemExit(f"{what}: other values")
        return
    if not np.array_equal(one, other.astype(one.dtype)):
        raise SystemExit(f"{what}: other values")


def duckdb(folder: Path) -> str:
    """Compare all columns as DuckDB reads them, and those of the table beside."""
    import duckdb as db

    for files, table in (
        ("hats/catalogue/dataset/**/*.parquet", "catalog.fits"),
        ("parameters/*.parquet", "parameters.fits"),
        ("identifiers/*.parquet", "identifiers.fits"),
        ("training_labels.parquet", "training_labels.fits"),
    ):
        if not (folder / table).exists():
            continue
        found = db.sql(f"SELECT * FROM '{folder / files}' ORDER BY source_id").fetchnumpy()
        for name, values in _fits(folder, table).items():
            given = found[name]
            given = (
                given.filled(np.nan)
                if np.ma.isMaskedArray(given) and values.dtype.kind == "f"
                else given
            )
            _same(np.asarray(given), values, f"duckdb: {table}: {name}")
    return f"duckdb {db.__version__}: every column"


def polars(folder: Path) -> str:
    """Compare all columns as polars reads them, lazily."""
    import polars as pl

    meant = _fits(folder)
    found = pl.scan_parquet(folder / "hats/catalogue/dataset/**/*.parquet").sort("source_id")
    table = found.collect()
    for name, values in meant.items():
        _same(table[name].to_numpy(), values, f"polars: {name}")
    gold = found.filter(pl.col("quality_tier") == 1).select(pl.len()).collect().item()
    if gold != (meant["quality_tier"] == 1).sum():
        raise SystemExit("polars: other rows of a tier")
    return f"polars {pl.__version__}: every column"


def astropy_leaves(folder: Path) -> str:
    """Read every Parquet file by astropy, with units and UCDs."""
    import astropy
    from astropy.io import fits
    from astropy.table import Table

    files = sorted(folder.rglob("*.parquet"))
    headers = {}
    for name in ("catalog.fits", "parameters.fits", "identifiers.fits", "training_labels.fits"):
        if (folder / name).exists():
            header = fits.getheader(folder / name, 1)
            for number in range(1, header["TFIELDS"] + 1):
                key = header[f"TTYPE{number}"]
                headers[key] = (header.get(f"TUNIT{number}", ""), header[f"TUCD{number}"])
    count = 0
    for file in files:
        if file.name == "counts.parquet":  # cells, no stars
            continue
        table = Table.read(file, format="parquet.votable")
        for column in table.itercols():
            if column.name == "_healpix_29":
                continue
            unit, ucd = headers[column.name]
            said = str(column.unit or "").replace(" ", "")
            if unit and not said:
                raise SystemExit(f"astropy: {file.name}: {column.name} has no unit")
            if column.meta.get("ucd") != ucd and column.name != "training_split":
                raise SystemExit(f"astropy: {file.name}: {column.name} has UCD {column.meta}")
        count += 1
    return f"astropy {astropy.__version__}: {count} files with units and UCDs"


def hats(folder: Path) -> str:
    """Validate the collection."""
    import hats as library
    from hats.io.validation import is_valid_collection

    if not is_valid_collection(folder / "hats", strict=True, verbose=False):
        raise SystemExit("hats: the collection is not valid")
    return f"hats {library.__version__}: valid, strictly"


def lsdb(folder: Path) -> str:
    """Search a cone, cross-match with the margin, map partitions."""
    import lsdb as library

    meant = _fits(folder)
    stars = library.open_catalog(str(folder / "hats"), columns="all")
    ra, dec = np.radians(meant["ra"]), np.radians(meant["dec"])
    centre = int(np.argmax(np.isfinite(ra)))
    cosine = np.sin(dec) * np.sin(dec[centre])
    cosine += np.cos(dec) * np.cos(dec[centre]) * np.cos(ra - ra[centre])
    inside = set(meant["source_id"][cosine > np.cos(np.radians(8.0))].tolist())
    cone = stars.cone_search(
        ra=float(meant["ra"][centre]), dec=float(meant["dec"][centre]), radius_arcsec=28800
    ).compute()
    if set(cone["source_id"].tolist()) != inside:
        raise SystemExit("lsdb: another cone")
    known = np.flatnonzero(np.isfinite(meant["ra"]))[:: max(1, len(ra) // 500)]
    import pandas as pd

    frame = pd.DataFrame({"ra": meant["ra"][known], "dec": meant["dec"][known], "k": known})
    other = library.from_dataframe(frame, ra_column="ra", dec_column="dec")
    # The nearest of several at one place is any of them: what is asked is that there is one.
    both = other.crossmatch(stars, radius_arcsec=0.1, n_neighbors=1).compute()
    if len(both) != len(known):
        raise SystemExit(f"lsdb: {len(both)} of {len(known)} matched")
    means = stars.map_partitions(lambda part: part[["teff"]].sum().to_frame().T).compute()
    total = float(np.nansum(meant["teff"].astype(float)))
    if abs(float(means["teff"].sum()) / total - 1) > 1e-3:
        raise SystemExit("lsdb: another sum")
    return (
        f"lsdb {library.__version__}: cone of {len(cone)}, {len(both)} matched, partitions mapped"
    )


def fitsverify(folder: Path) -> str:
    """Check the FITS files."""
    files = sorted(folder.glob("*.fits"))
    for file in files:
        done = _run("fitsverify", "-q", str(file))
        if "0 warnings and 0 errors" not in done and "OK" not in done:
            raise SystemExit(f"fitsverify: {done}")
    return f"fitsverify: {len(files)} files, no warning"


def stilts(folder: Path) -> str:
    """Read the FITS files by STILTS, and count their rows; check a VOTable made of them."""
    counts = []
    for file in sorted(folder.glob("*.fits")):
        said = _run("stilts", "tpipe", f"in={file}", "omode=count")
        rows = int(said.split("rows:")[1].split()[0])
        if rows != len(_fits(folder, file.name)["source_id"]):
            raise SystemExit(f"stilts: {file.name} has {rows} rows")
        counts.append(f"{file.name} {rows}")
    return f"stilts: {', '.join(counts)}"


def votlint(votable: Path) -> str:
    """Check a VOTable that `catalog-builder export` made."""
    said = _run("stilts", "votlint", str(votable))
    if said.strip():
        raise SystemExit(f"votlint: {said[:500]}")
    return f"votlint: {votable.name}, no complaint"


def cds(table: Path) -> str:
    """Read a table for the CDS by astropy, which must know every unit as the CDS writes it."""
    from astropy import units as u
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Table.read(table / "catalog.dat", readme=table / "ReadMe", format="ascii.cds")
    for column in found.itercols():
        if column.unit is not None:
            u.Unit(str(column.unit.to_string("cds")), format="cds")
    return f"ascii.cds: {len(found)} rows, {len(found.colnames)} columns, units of the CDS"


def _run(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(command[0])
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


CHECKS: tuple[Callable[[Path], str], ...] = (
    *(duckdb, polars, astropy_leaves, hats, lsdb, fitsverify, stilts),
)


def main(arguments: list[str]) -> int:
    """Read the catalogue; return 1 where a program reads something else."""
    folder, *exports = map(Path, arguments)
    if (folder / "latest").is_file():
        folder = folder / (folder / "latest").read_text().strip()
    tried = [(check, folder) for check in CHECKS]
    tried += [(cds if path.is_dir() else votlint, path) for path in exports]
    bad = 0
    for check, path in tried:
        try:
            print(check(path), flush=True)
        except MISSING as error:
            print(f"{check.__name__}: not tried, {error}", flush=True)
        except SystemExit as error:
            print(f"FAILED {error}", flush=True)
            bad += 1
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
