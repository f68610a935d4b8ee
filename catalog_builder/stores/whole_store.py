"""Zarr folders of which every chunk must be there: a missing or damaged one is an error.

To zarr a chunk without a file is one that was never written, and reads as the fill value: NaN in a
column of labels. Our stores write every chunk, so a missing file is always damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import google_crc32c
from zarr.storage import LocalStore

from catalog_builder.ground.documents import DocumentError, parse_json
from catalog_builder.ground.errors import CatalogBuilderError, CatalogueError, StoreError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.array_spec import ArrayConfigParams
    from zarr.core.buffer import Buffer, BufferPrototype

#: For `zarr.create_array`: write a chunk that holds only the fill value, too.
EVERY_CHUNK: Final[ArrayConfigParams] = {"write_empty_chunks": True}

#: What zarr and its codecs raise for what is not there or is damaged.
DAMAGE: Final = (OSError, KeyError, TypeError, ValueError, RuntimeError)

#: Files that zarr may look for in vain. Every other file is a chunk.
_METADATA: Final = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})
_CHECKSUM_BYTES: Final = 4


class WholeStore(LocalStore):
    """A zarr store in a folder, for reading: a chunk that is not there is an error, not nulls."""

    _error: ClassVar[type[CatalogBuilderError]] = StoreError
    _way_out: ClassVar[str] = "Give the command that made it again: what is missing is made anew."

    def __init__(self, root: Path | str, *, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the bytes of a file; None only for metadata that is not there."""
        value = await super().get(key, prototype, byte_range)
        return self._checked(key, value, whole=byte_range is None)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return what :meth:`get` does; newer versions of zarr read by it."""
        value = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._checked(key, value, whole=byte_range is None)

    def _checked(self, key: str, value: Buffer | None, *, whole: bool) -> Buffer | None:
        if key.rpartition("/")[2] in _METADATA:
            problem = "" if value is None or not whole else _why_no_document(value)
        elif value is None:
            problem = "is missing"
        else:
            problem = self._damage(value) if whole else ""
        if problem:
            raise self._error(f"{self.root / key} {problem}.", self._way_out)
        return value

    def _damage(self, chunk: Buffer) -> str:
        """Say what is wrong with a whole chunk's bytes, as far as the store can tell."""
        del chunk
        return ""  # its codecs will tell


class CatalogueStore(WholeStore):
    """The zarr store of a catalogue: the CRC-32C that ends each of its chunks is checked here too.

    The codecs check it as well, but do not know which file they are at.
    """

    _error = CatalogueError
    _way_out = (
        "Restore the catalogue from a copy; `catalog-builder validate` lists all that is wrong."
    )

    def _damage(self, chunk: Buffer) -> str:
        content = chunk.to_bytes()
        if len(content) < _CHECKSUM_BYTES:
            return "is cut short" if content else "is empty"
        body, found = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if google_crc32c.value(body).to_bytes(_CHECKSUM_BYTES, "little") != found:
            return "is damaged: its checksum does not hold"
        return ""


def _why_no_document(metadata: Buffer) -> str:
    """Say why metadata is not taken: zarr would parse it at any depth, on the machine's stack."""
    try:
        parse_json(metadata.to_bytes())
    except DocumentError as error:
        return f"is not taken: {error}"
    return ""


@contextmanager
def named(path: Path, kind: str) -> Iterator[None]:
    """Say in words, with the path, what zarr raises for a store that is absent or damaged.

    Raises
    ------
    StoreError
        Instead of it.
    """
    try:
        yield
    except DAMAGE as error:
        said: Any = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise StoreError(
            f"{path} is not a {kind}, or is damaged ({said}).",
            "Remove it and give the same command again: it is made anew.",
        ) from error
