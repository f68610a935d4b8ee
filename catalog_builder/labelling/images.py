"""Spectra that are FITS images of one dimension: flux along an axis of wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

#: Names of extensions with errors, and how an error is made of them.
_ERRORS: Final = ("ERR", "ERROR", "ERRORS", "SIGMA", "NOISE", "UNCERT", "UNCERTAINTY", "STDDEV")
_INVERSE: Final = ("IVAR", "INVVAR")
_VARIANCE: Final = ("VAR", "VARIANCE")


def is_spectrum(hdu: Any) -> bool:
    """Say whether an HDU is an image with more than one sample along one axis."""
    image = isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU)
    return image and sum(size > 1 for size in hdu.shape) == 1


def table_of_image(image: Any, hdus: Sequence[Any]) -> Table:
    """Return wavelength, flux and, where an extension has them, errors of an image's samples.

    Raises
    ------
    ValueError
        If the header says nothing of wavelengths.
    """
    flux = np.asarray(image.data, np.float64).reshape(-1)
    table = Table({"flux": flux})
    table["wavelength"], unit = _wavelengths(image.header, flux.size)
    if unit:
        table["wavelength"].unit = unit
    for hdu in hdus:
        if hdu is not image and is_spectrum(hdu) and hdu.data.size == flux.size:
            error = _errors(hdu.name.upper(), np.asarray(hdu.data, np.float64).reshape(-1))
            if error is not None:
                table["flux_error"] = error
    table.meta = {**dict(hdus[0].header), **dict(image.header)}
    return table


def _wavelengths(header: fits.Header, count: int) -> tuple[NDArray[np.float64], str]:
    if header.get("CTYPE1", "").upper().startswith("MULTISPE"):
        raise ValueError("its CTYPE1 is MULTISPE: an echellogram of several orders")
    if "CRVAL1" not in header or not ("CDELT1" in header or "CD1_1" in header):
        raise ValueError("it has no wavelengths: no CRVAL1 with CDELT1 or CD1_1 in its header")
    kind = header.get("CTYPE1", "").upper()
    if header.get("DC-FLAG") == 1 or kind.startswith(("LOG", "WAVE-LOG10")):
        step = header.get("CD1_1", header.get("CDELT1"))
        places = np.arange(count) + 1 - header.get("CRPIX1", 1.0)
        return 10.0 ** (header["CRVAL1"] + step * places), header.get("CUNIT1", "")
    if "-" in kind:  # an algorithm of the WCS papers
        return np.asarray(WCS(header, naxis=1).pixel_to_world_values(np.arange(count))), "m"
    step = header.get("CD1_1", header.get("CDELT1"))
    places = np.arange(count) + 1 - header.get("CRPIX1", 1.0)
    return header["CRVAL1"] + step * places, header.get("CUNIT1", "")


def _errors(name: str, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    if name in _ERRORS:
        return values
    if name in _VARIANCE + _INVERSE:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(1.0 / values if name in _INVERSE else values)
    return None
