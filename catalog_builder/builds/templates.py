"""Make ``templates.npz``: a dozen synthetic spectra by which the gate tells resolving powers apart.

::

    python -m catalog_builder.builds.templates OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np

from catalog_builder.simulate.grid import wide
from catalog_builder.simulate.grid.line_profiles import convolve_velocity

#: Teff, log g, [M/H], [alpha/M] of stars that surveys see most.
_STARS: Final = np.array(
    [
        (3900, 1.0, -0.2, 0.1),
        (4300, 1.5, 0.0, 0.0),
        (4300, 1.5, -0.7, 0.2),
        (4800, 2.5, 0.1, 0.0),
        (4800, 2.5, -0.5, 0.2),
        (5000, 3.0, -1.2, 0.3),
        (4700, 4.6, 0.0, 0.0),
        (5300, 4.5, 0.0, 0.0),
        (5800, 4.4, 0.2, 0.0),
        (5800, 4.2, -0.5, 0.1),
        (6300, 4.2, 0.0, 0.0),
        (6300, 4.2, -0.6, 0.1),
    ]
)
#: Every second sample of this window, nm; and what turns and churns in a typical star, km/s.
_WINDOW, _MACROTURBULENCE, _ROTATION = (843.0, 877.0), 4.0, 4.0


def main(out: Path) -> None:
    """Write the file."""
    model = wide.load()
    n = len(_STARS)
    depth = 1.0 - model.normalised(_STARS.astype(np.float64)).astype(np.float64)
    log_step = 0.01 / float(np.median(model.wavelength))
    broad = convolve_velocity(depth, log_step, np.full(n, _MACROTURBULENCE), np.full(n, _ROTATION))
    inside = np.flatnonzero((model.wavelength >= _WINDOW[0]) & (model.wavelength <= _WINDOW[1]))[
        ::2
    ]
    np.savez_compressed(
        out,
        allow_pickle=False,
        wavelength=model.wavelength[inside],
        depth=broad[:, inside].astype(np.float16),
        resolution=np.float64(model.resolution),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
