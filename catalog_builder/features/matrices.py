"""Matrices that make samples of coefficients: shipped ones, and those of files elsewhere.

A file is a zip of NumPy arrays (npz): ``wavelength`` (s,), nm in vacuum, and for each band, under
its name, what one unit of each coefficient adds to the flux of each sample, (k, s). Arrays whose
names end in ``_weight`` are passed over.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.products import Product
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import open_bytes
from catalog_builder.fetch.client import Client
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.errors import ConfigError, InputError

Matrices = dict[str, NDArray[np.float64]]

#: Of the samples, nm, among the matrices.
WAVELENGTH: Final = "wavelength"
_WEIGHT: Final = "_weight"
#: Bytes of a file, and of the arrays in it. Those of DR3 have half a megabyte.
MAX_BYTES: Final = 64 << 20
_MAX_ARRAYS, _MAX_ARRAY_BYTES = 64, 256 << 20
#: A weak line is given up after some minutes, not hours: nothing has begun yet.
_PATIENCE: Final = FetchSettings(attempts=4, max_pause_seconds=20.0)
#: By digest: what was read in this process, from wherever.
_HELD: dict[str, Matrices] = {}


def matrices_of(basis: str | BasisFile) -> Matrices:
    """Return the matrix of each band, shape (k, samples), and the wavelengths, nm.

    Parameters
    ----------
    basis : str or BasisFile
        Name of matrices that are shipped, or a file whose place is known.

    Raises
    ------
    ConfigError
        If there are none, or the file is not what its digest says.
    """
    if isinstance(basis, str):
        return _shipped(basis)
    if basis.sha256 not in _HELD:
        if basis.place is None:
            raise _missing(basis, "it was not looked for")
        try:
            with basis.place.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise _missing(basis, error.strerror or str(error)) from error
        hold(basis, content, str(basis.place))
    return _HELD[basis.sha256]


def hold(basis: BasisFile, content: bytes, where: str) -> None:
    """Take in the content of a file of matrices.

    Raises
    ------
    ConfigError
        If it is another file, or holds no matrices.
    """
    if len(content) > MAX_BYTES:
        raise _not_taken(where, f"it has more than {MAX_BYTES >> 20} MiB")
    found = hashlib.sha256(content).hexdigest()
    if found != basis.sha256:
        raise ConfigError(
            f"The matrices {where} have the sha256 {found}, but `basis` in the release description"
            f" says {basis.sha256}.",
            "Give the file that is meant; or, if it is the right one, write its sha256 there.",
        )
    _HELD[found] = _parse(content, where)


def coefficients_in(content: bytes, where: str) -> dict[str, int]:
    """Return how many coefficients each band of a file of matrices has.

    Raises
    ------
    ConfigError
        If it holds no matrices.
    """
    if len(content) > MAX_BYTES:
        raise _not_taken(where, f"it has more than {MAX_BYTES >> 20} MiB")
    matrices = _parse(content, where)
    return {name: len(values) for name, values in matrices.items() if name != WAVELENGTH}


def place_matrices(release: ReleaseSpec, archive: str, folder: Path | None) -> ReleaseSpec:
    """Return a release whose files of matrices are found, read, and where workers can read them.

    Parameters
    ----------
    release : ReleaseSpec
        As it was loaded.
    archive : str
        Path or URL of the archive, in which they may lie.
    folder : Path, optional
        Keeps a copy of each by its digest; without one nothing is written.

    Raises
    ------
    ConfigError
        If one is not to be found, or is not what its digest says.
    """
    places: dict[str, Path] = {}
    for product in _with_files(release):
        basis = product.basis
        if not isinstance(basis, BasisFile) or basis.sha256 in places:
            continue
        kept = None if folder is None else folder / f"{basis.sha256}.npz"
        content, where = _content(basis, archive, kept)
        hold(basis, content, where)
        if kept is not None and where != str(kept):
            _keep(kept, content)
        places[basis.sha256] = kept or Path(where)
    return release.with_matrices(places) if places else release


def inputs_of(release: ReleaseSpec) -> dict[str, dict[str, Any]]:
    """Return the files of matrices as the inputs of a receipt have files."""
    return {
        f"basis of {product.table}": {
            "file": product.basis.name,
            "size": 0,
            "mtime": 0.0,
            "checksum": f"sha256:{product.basis.sha256}",
        }
        for product in _with_files(release)
        if isinstance(product.basis, BasisFile)
    }


def write_matrices(
    path: str | os.PathLike[str], wavelength: ArrayLike, bands: Mapping[str, ArrayLike]
) -> str:
    """Write a file that `basis` of a release description can name; return its sha256.

    The same arrays make the same bytes, on every machine.

    Parameters
    ----------
    path : path-like
        The new file; its name ends in ``.npz``.
    wavelength : array of shape (s,)
        Of the samples, nm.
    bands : mapping of str to array of shape (k, s)
        By the band's name among ``bands``: flux of each sample for one unit of each coefficient,
        in the spectrum's ``flux_unit``; the flux of a star is the sum over the bands.

    Raises
    ------
    ConfigError
        If shapes do not fit, or a number is not finite.
    """
    packed = io.BytesIO()
    # A fixed date and no compression: the digest is that of the numbers.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        for name, given in {WAVELENGTH: wavelength, **bands}.items():
            values = np.asarray(given)
            if values.dtype.kind not in "fiu":
                raise _not_taken(str(path), f"{name} holds no real numbers")
            one = io.BytesIO()
            plain = np.ascontiguousarray(values, "<f8")
            np.lib.format.write_array(one, plain, version=(1, 0), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), one.getvalue())
    content = packed.getvalue()
    _parse(content, str(path))
    Path(path).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _with_files(release: ReleaseSpec) -> Iterator[Product]:
    """Yield the products that are read and have matrices of their own."""
    for readings in release.readings.values():
        for reading in readings:
            if isinstance(reading.product.basis, BasisFile):
                yield reading.product


@functools.lru_cache(maxsize=4)
def _shipped(name: str) -> Matrices:
    source = resources.files("catalog_builder.features") / f"{name}.npz"
    if not source.is_file():
        raise ConfigError(
            f"There are no matrices {name!r} in this version of the program.",
            "Name some that are shipped as `basis` of the product in the release description, or"
            " give a file, `basis: {path: ..., sha256: ...}`.",
        )
    return _parse(source.read_bytes(), name)


def _content(basis: BasisFile, archive: str, kept: Path | None) -> tuple[bytes, str]:
    """Return the bytes of a file of matrices, and where they were."""
    if kept is not None and kept.is_file():
        content = kept.read_bytes()
        if (
            hashlib.sha256(content).hexdigest() == basis.sha256
        ):  # else it is damaged: looked for anew
            return content, str(kept)
    if basis.is_remote:
        if urlsplit(basis.path).scheme != "https":
            raise ConfigError(
                f"The matrices {basis.path} are not at an https address.",
                "Give an https address, or the path of a file.",
            )
        return Client(_PATIENCE).read(basis.path, MAX_BYTES), basis.path
    tried = [] if basis.place is None else [str(basis.place)]
    tried += [f"{archive.rstrip('/')}/{basis.path}"]
    problem = ""
    for where in tried:
        try:
            with open_bytes(where) as stream:
                return stream.read(MAX_BYTES + 1), where
        except FileNotFoundError:
            continue
        except (OSError, InputError) as error:
            problem = f": {error}"
    raise _missing(basis, f"they lie neither beside the description nor in the archive{problem}")


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _parse(content: bytes, where: str) -> Matrices:
    """Read a file of matrices within bounds, and refuse what cannot be used."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            found = dict(_arrays(file))
        _refuse_misfits(found)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, NotImplementedError) as error:
        raise _not_taken(where, str(error) or type(error).__name__) from error
    return found


def _arrays(file: zipfile.ZipFile) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the arrays of a file by name."""
    entries = file.infolist()
    if len(entries) > _MAX_ARRAYS or sum(each.file_size for each in entries) > _MAX_ARRAY_BYTES:
        raise ValueError("it holds too much")
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if not name.endswith(_WEIGHT):
            with file.open(entry) as stream:
                yield name, _array(stream, entry.file_size)


def _array(stream: IO[bytes], size: int) -> NDArray[np.float64]:
    """Read an array whose header says no more than there is."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError("an array is of another version of NumPy's format")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind != "f" or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError("an array is not of floating-point numbers, or not of its size")
    values = np.frombuffer(stream.read(), dtype)
    return np.asarray(values.reshape(shape, order="F" if in_columns else "C"), np.float64)


def _refuse_misfits(matrices: Matrices) -> None:
    """Raise ValueError where arrays do not fit each other."""
    wavelengths = matrices.get(WAVELENGTH)
    if wavelengths is None or wavelengths.ndim != 1 or not np.all(np.diff(wavelengths) > 0):
        raise ValueError(f"it has no increasing {WAVELENGTH}")
    if len(matrices) == 1:
        raise ValueError("it has no band")
    for name, values in matrices.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        if name != WAVELENGTH and (values.ndim != 2 or values.shape[1] != wavelengths.size):
            raise ValueError(f"{name} has the shape {values.shape}, not (k, {wavelengths.size})")
        if not values.any():
            raise ValueError(f"{name} is zero everywhere")


def _missing(basis: BasisFile, why: str) -> ConfigError:
    return ConfigError(
        f"The matrices {basis.path} of the release description cannot be read: {why}.",
        "Put the file beside the description or into the archive, or give its path or an https"
        " address as `basis`; docs/releases.md says how one is made. Or leave the spectra out: take"
        " their table from `driving_tables`, and their entry from `spectra`.",
    )


def _not_taken(where: str, why: str) -> ConfigError:
    return ConfigError(
        f"The matrices {where} are not taken: {why}.",
        "Give a file as catalog_builder.features.matrices.write_matrices makes it.",
    )
