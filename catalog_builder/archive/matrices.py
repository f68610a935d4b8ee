"""Where the matrices lie that make samples of coefficients, as a release says it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from catalog_builder.contract.description import Description


def name_of(basis: str | BasisFile | None) -> str:
    """Return what matrices are called in sentences."""
    return basis.name if isinstance(basis, BasisFile) else str(basis)


class BasisFile(Description):
    """Matrices that are not shipped with the program.

    Attributes
    ----------
    path : str
        A file, relative to the release description or to the archive, or an https address.
    sha256 : str
        Digest of the file, hexadecimal. Other matrices are other features: they never change
        unnoticed.
    """

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    _place: Path | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def is_remote(self) -> bool:
        """Whether the path is an address."""
        return "://" in self.path

    @property
    def place(self) -> Path | None:
        """Where the file lies on this machine, if that was found out."""
        return self._place

    def at(self, place: Path) -> Self:
        """Return the same with the place where it lies."""
        found = self.model_copy()
        found._place = place
        return found
