"""Formats in which a catalogue is exported beside its zarr store: one module each.

A module of this folder is a format, under its own name; so is an entry point of the group
``catalog_builder.exports`` that leads to a module. It has a `Format` called ``FORMAT``, which
`publish.formats` asks for by that name.

A format that can be written in parts (`Format.by_chunks`) is written by the tasks that write the
chunks of the zarr store, side by side; any other by the one task that seals the catalogue, while
all workers but one idle.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Protocol

from catalog_builder.catalog.layout import OWN_NAMES
from catalog_builder.ground.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from catalog_builder.catalog.finding import FindingLog
    from catalog_builder.contract.columns import Declared
    from catalog_builder.contract.schema import CatalogSchema

GROUP: Final = "catalog_builder.exports"
#: Rows from one of ``Target.ids`` to the next.
ID_STEP: Final = 65_536


class ExportedRows(Protocol):
    """The rows of an exported file, read a block at a time."""

    #: How many there are.
    rows: int

    def block(self, start: int, rows: int) -> Mapping[str, NDArray[Any]]:
        """Return columns of the rows from ``start`` on; fewer rows if the file is cut short.

        Values are compared with the store's: of the same kind, NaN for null, strings as bytes.
        """
        ...


@dataclass(frozen=True)
class Target:
    """A file, or folder, of a format that is written by chunks.

    Attributes
    ----------
    path : Path
        ``file_name`` of the format, in the folder of the catalogue that is being built.
    schema : CatalogSchema or SideTable
        Every column of ``schema.all_columns`` is to be in it.
    record : mapping
        The facts of RELEASE.json.
    rows : int
        Of the whole catalogue.
    ids : tuple of int
        ``source_id`` of every `ID_STEP`-th row, the first one's at the front, where
        `ByChunks.needs_ids` is set.
    """

    path: Path
    schema: Declared
    record: Mapping[str, Any]
    rows: int
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """Bytes of a file of a catalogue; the parts of a file follow each other from its first byte on.

    Attributes
    ----------
    file : str
        Path inside the catalogue's folder.
    start, size : int
        First byte, and how many.
    digest : str
        Their SHA-256, 64 hexadecimal digits.
    """

    file: str
    start: int
    size: int
    digest: str


@dataclass(frozen=True)
class Written:
    """What the task of a chunk wrote of a format.

    Attributes
    ----------
    parts : tuple of Part
        The bytes, read back from the file.
    facts : mapping
        Numbers and texts that `ByChunks.end` needs of every chunk, few of them.
    """

    parts: tuple[Part, ...]
    facts: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class ByChunks:
    """How a format is written in parts, by tasks that know nothing of each other.

    A task that is tried again writes the same bytes to the same places. What it returns must be on
    disk by then, and be read back: nothing reads it again before the catalogue is sealed.

    Attributes
    ----------
    begin : callable
        ``begin(target)``, before the first chunk and whenever a run is taken up again, makes what
        tasks write into. It returns False if that was there: what chunks wrote is then used.
    write : callable
        ``write(target, start, rows)`` writes the rows of a chunk, of which ``start`` is the first:
        all columns of the schema in order, the derived ones too. It returns `Written`.
    end : callable
        ``end(target, written)`` writes what depends on all chunks (a header, an index), of what
        their tasks returned, in order; it returns the parts of which it wrote the bytes. It may be
        called more than once.
    needs_ids : bool
        Whether ``target.ids`` is looked at, say to plan where rows go before any is written.
    """

    begin: Callable[[Target], bool]
    write: Callable[[Target, int, Mapping[str, NDArray[Any]]], Written]
    end: Callable[[Target, Iterable[Written]], tuple[Part, ...]]
    needs_ids: bool = False


@dataclass(frozen=True)
class Format:
    """How a catalogue is exported, and how the export is checked.

    Attributes
    ----------
    file_name : str
        Of the file in the catalogue's folder; of a folder, if it is written by chunks.
    media_type : str
        What RELEASE.json calls it.
    write : callable
        ``write(store, target, schema, record)`` makes the file `target` of the zarr store: every
        column of ``schema.all_columns`` (`catalog_builder.catalog.derived.with_derived` computes
        those that are not stored). ``record`` has the facts of RELEASE.json. The file must appear
        whole: write beside it, as ``.<name>.partial``, and rename.
    check : callable
        ``check(path, schema, log)`` notes what is wrong with the file and its declarations. It
        raises nothing.
    open_rows : callable
        ``open_rows(path, schema)`` opens it for the comparison with the store, row by row; None
        if that cannot be done, of which `check` has told.
    most_columns : int, optional
        Columns that such a file can have.
    by_chunks : ByChunks, optional
        How it is written in parts; then `write` is of no use to a run.
    check_quickly : callable, optional
        As `check`, of what is said without reading the rows.
    """

    file_name: str
    media_type: str
    write: Callable[[Path, Path, CatalogSchema, Mapping[str, Any]], None]
    check: Callable[[Path, CatalogSchema, FindingLog], None]
    open_rows: Callable[[Path, CatalogSchema], ExportedRows | None]
    most_columns: int | None = None
    by_chunks: ByChunks | None = None
    check_quickly: Callable[[Path, CatalogSchema, FindingLog], None] | None = None


def known_formats() -> tuple[str, ...]:
    """Return the names of all formats, sorted; none of them is imported."""
    return tuple(sorted(_modules()))


def format_of(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    ConfigError
        If there is none of the name, or its module is not one.
    """
    modules = _modules()
    if name not in modules:
        raise ConfigError(
            f"There is no export format {name!r}.",
            f"Known are: {', '.join(known_formats())}. Add a module of that name to"
            " catalog_builder/catalog/exports, or install the package that has it.",
        )
    try:
        found = importlib.import_module(modules[name]).FORMAT
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"The export format {name} cannot be used: {error}.",
            f"{modules[name]} must be a module that can be imported and has a FORMAT.",
        ) from error
    if not isinstance(found, Format) or not _is_free(found.file_name):
        raise ConfigError(
            f"The export format {name} is not described as one.",
            f"FORMAT of {modules[name]} must be a Format, and name a file that is not one of"
            f" {', '.join(sorted(OWN_NAMES))}.",
        )
    return found


def formats_of(names: tuple[str, ...], schema: CatalogSchema) -> dict[str, Format]:
    """Return formats by name.

    Raises
    ------
    ConfigError
        As `format_of` does; if two of them would write the same file, or one cannot hold all
        columns of the schema.
    """
    found = {name: format_of(name) for name in names}
    files: dict[str, str] = {}
    for name, one in found.items():
        if (other := files.setdefault(one.file_name, name)) != name:
            raise ConfigError(
                f"The export formats {other} and {name} both write {one.file_name}.",
                "Leave one of them out of publish.formats.",
            )
        if one.most_columns is not None and len(schema.all_columns) > one.most_columns:
            raise ConfigError(
                f"The catalogue has {len(schema.all_columns)} columns, and the export format"
                f" {name} can hold {one.most_columns}.",
                f"Take {name} out of publish.formats, or learn fewer labels.",
            )
    return found


def _modules() -> dict[str, str]:
    """Return the module of each format by its name; those of this folder come first."""
    elsewhere = {point.name: point.module for point in entry_points(group=GROUP)}
    here = (module.name for module in pkgutil.iter_modules(__path__))
    return elsewhere | {name: f"{__name__}.{name}" for name in here if not name.startswith("_")}


def _is_free(file_name: str) -> bool:
    plain = PurePath(file_name).name == file_name and not file_name.startswith(".")
    return plain and file_name not in OWN_NAMES
