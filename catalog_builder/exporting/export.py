"""A sealed catalogue exported on request: `catalog-builder export`, and the function behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog_builder.exporting.cds import write_cds
from catalog_builder.exporting.delimited import write_csv
from catalog_builder.exporting.parquet import write_parquet
from catalog_builder.exporting.place import appearing
from catalog_builder.exporting.request import Progress, Request, silent
from catalog_builder.exporting.votable import write_votable
from catalog_builder.ground.errors import ConfigError


@dataclass(frozen=True)
class _Format:
    """A format: how its files end, what writes them, whether they can be compressed."""

    suffix: str
    write: Callable[..., int]
    compresses: bool = False
    folder: bool = False


_FORMATS: Final = {
    "votable": _Format(".vot", write_votable),
    "cds": _Format("-cds", write_cds, compresses=True, folder=True),
    "csv": _Format(".csv", write_csv, compresses=True),
    "parquet": _Format(".parquet", write_parquet),
}
FORMATS: Final = tuple(_FORMATS)


def export(
    catalogue: str | Path,
    format: str,  # noqa: A002 - as the command's option
    out: str | Path | None = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    compressed: bool = False,
    progress: Progress = silent,
) -> tuple[Path, int]:
    """Write a catalogue, or a part of it, in a format of choice.

    Rows are written as they are read, a chunk at a time. The file appears when it is whole.

    Parameters
    ----------
    catalogue : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    format : {"votable", "cds", "csv", "parquet"}
        What to write.
    out : str or Path, optional
        The file, or with ``cds`` the folder; it must not exist, nor lie in the catalogue. In the
        folder one stands in without it, named after release and version.
    columns : sequence of str, optional
        Those to write, in this order; all of them without it.
    where : str, optional
        A condition on rows (`catalog_builder.catalog.where.parse_where`).
    compressed : bool
        Compress ``csv``, and the data of ``cds``, with gzip; so does an `out` that ends in ``.gz``.
    progress : callable, optional
        ``progress(rows looked at, rows in all)``.

    Returns
    -------
    path : Path
        What was written.
    rows : int
        How many it has.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, it has no such column, or it is damaged.
    ConfigError
        If there is no such format or place, or the condition cannot be used.
    """
    if format not in _FORMATS:
        raise ConfigError(f"There is no format {format!r}.", f"There are: {', '.join(FORMATS)}.")
    chosen = _FORMATS[format]
    zipped = compressed or (out is not None and Path(out).suffix == ".gz")
    if zipped and not chosen.compresses:
        raise ConfigError(
            f"{format} is not compressed.", "Leave out --gzip, or the .gz at the end of --out."
        )
    request = Request.of(catalogue, columns, where, progress)
    target = Path(out) if out is not None else _default(request, chosen, zipped=zipped)
    options = {"compressed": zipped} if chosen.compresses else {}
    with appearing(target, folder=chosen.folder) as partial:
        rows = chosen.write(request, partial, **options)
    return target, rows


def _default(request: Request, chosen: _Format, *, zipped: bool) -> Path:
    end = ".gz" if zipped and not chosen.folder else ""
    return Path(f"{request.record['release']}-{request.folder.name}{chosen.suffix}{end}")
