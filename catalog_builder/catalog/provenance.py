"""What a product was made with: versions and inputs, never a path of somebody's home."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from catalog_builder.ground.about import __version__
from catalog_builder.runtime.receipts import Receipt

#: Libraries on which numbers depend.
_LIBRARIES = ("numpy", "torch", "dask", "zarr", "astropy", "scipy", "dask-ml")


def software_versions() -> dict[str, str]:
    """Return the versions of the program, of Python and of the libraries numbers depend on."""
    versions = {"catalog-builder": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return versions


def input_digests(receipts: Iterable[Receipt]) -> dict[str, str]:
    """Return what identifies each input file: its checksum where the archive lists one.

    Returns
    -------
    dict of str to str
        File name -> ``md5:...``, or ``size:...`` where there is no checksum list.
    """
    return {
        str(facts["file"]): str(facts.get("checksum") or f"size:{facts['size']}")
        for receipt in receipts
        for facts in receipt.inputs.values()
    }
