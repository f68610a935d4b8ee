"""Which spectra of a release are Gaia's own, and what the synthetic ones can show of them."""

from __future__ import annotations

from typing import Final

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum, LowResolutionSpectrum

#: Resolving power of the synthetic spectra.
RESOLUTION: Final = 11_500.0


def gaia_rvs(release: ReleaseSpec) -> LineSpectrum | None:
    """Return the spectra of Gaia's radial velocity spectrometer: those called ``rvs``."""
    found = release.spectra.get("rvs")
    return found if isinstance(found, LineSpectrum) else None


def gaia_xp(release: ReleaseSpec) -> LowResolutionSpectrum | None:
    """Return the spectra of Gaia's photometers: those called ``xp``."""
    found = release.spectra.get("xp")
    return found if isinstance(found, LowResolutionSpectrum) else None
