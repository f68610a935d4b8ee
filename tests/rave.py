"""A small archive without the shape of Gaia's: words for identifiers, files by night and field."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

from catalog_builder.inspecting.sharpness import TEMPLATES_FILE

#: Of air near 860 nm, refractive index.
IN_AIR = 1.000274
RESOLUTION = 7500
WAVELENGTH = 842.03 + 0.04 * np.arange(912)


class Sky(NamedTuple):
    """What was written: by spectrum, the words of spectrum and star, and by star the labels."""

    obsid: np.ndarray
    raveid: np.ndarray
    star: np.ndarray
    labels: dict[str, np.ndarray]


def spectra_of(teff, depth, noise, rng):
    # As sharp as those of the release, or the look at its archive would refuse them.
    with np.load(TEMPLATES_FILE) as file:
        known, sharp, finer = file["wavelength"], file["depth"][3].astype(float), file["resolution"]
    sigma = 860 / 2.355 * np.sqrt(RESOLUTION**-2.0 - finer**-2.0) / (known[1] - known[0])
    lines = 1.6 * np.interp(WAVELENGTH * IN_AIR, known, gaussian_filter1d(sharp, sigma))
    curve = np.sin(WAVELENGTH / 3)
    flux = 0.97 - depth[:, None] * lines + 0.02 * (teff[:, None] / 5000 - 1) * curve
    return (flux + noise[:, None] * rng.standard_normal(flux.shape)).astype(np.float32)


def text(values):
    return np.array(list(values), dtype="S32")


def table(path: Path, **columns) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = []
    for name, values in columns.items():
        kind = values.dtype.kind
        letter = {"f4": "E", "f8": "D", "i8": "K"}.get(values.dtype.str[1:], "")
        form = f"{values.dtype.itemsize}A" if kind == "S" else letter
        if values.ndim == 2:
            form = f"{values.shape[1]}{form}"
        made.append(fits.Column(name, form, array=values))
    fits.BinTableHDU.from_columns(made).writeto(path, overwrite=True)
    return path


def write(root: Path, stars: int = 60, seed: int = 1) -> Sky:
    """Write an archive in which every third star has a second spectrum, of another night."""
    rng = np.random.default_rng(seed)
    teff, mh = rng.uniform(4000, 6500, stars), rng.uniform(-1.5, 0.4, stars)
    labels = {
        "TEFF": teff,
        "LOGG": 1.0 + 4 * (teff - 4000) / 2500 + 0.1 * rng.standard_normal(stars),
        "M_H": mh,
        "ALPHA_M": -0.2 * mh + 0.02 * rng.standard_normal(stars),
        "FE_H": mh - 0.02,
    }
    star = np.concatenate([np.arange(stars), np.arange(0, stars, 3)])
    rows = star.size
    raveid = text(f"J{number:06d}.5-{number % 60:06d}" for number in star)
    night = np.where(np.arange(rows) < stars, 20040630, 20060326)
    field = star % 4
    obsid = text(f"{n}_{f:02d}m_{i:03d}" for i, (n, f) in enumerate(zip(night, field, strict=True)))
    noise = rng.uniform(0.01, 0.05, rows)
    flux = spectra_of(teff[star], 0.5 + 0.2 * mh[star], noise, rng)
    magnitude = rng.uniform(9, 12, stars)
    single = np.float32
    table(
        root / "rave_dr6" / "parameters" / "Parameters.fits",
        obsid=obsid,
        raveid=raveid,
        ra=rng.uniform(0, 360, stars)[star],
        dec=rng.uniform(-80, 5, stars)[star],
        parallax=rng.uniform(0.5, 5, stars)[star],
        parallax_error=np.full(rows, 0.03, single),
        **{
            f"{name}_mag": (magnitude[star] + offset).astype(single)
            for name, offset in {
                "phot_g_mean": 0, "phot_bp_mean": 0.4, "phot_rp_mean": -0.6,
                "j": -1.1, "h": -1.5, "ks": -1.6, "w1": -1.7, "w2": -1.7,
            }.items()
        },
    )  # fmt: skip
    for one in sorted({(int(n), int(f)) for n, f in zip(night, field, strict=True)}):
        mine = (night == one[0]) & (field == one[1])
        table(
            root / "rave_dr6" / "spectra" / str(one[0]) / f"Spectra_{one[1]:02d}m.fits",
            obsid=obsid[mine],
            raveid=raveid[mine],
            flux=flux[mine],
            flux_error=np.broadcast_to(noise[mine, None], flux[mine].shape).astype(single),
            snr=(1 / noise[mine]).astype(single),
        )
    ids = text(f"2M{number:08d}" for number in range(stars))
    errors = {"TEFF": 50, "LOGG": 0.05, "M_H": 0.02, "ALPHA_M": 0.02, "FE_H": 0.02}
    table(
        root / "apogee" / "allStar.fits",
        APOGEE_ID=ids,
        SNR=np.full(stars, 100, single),
        **{name: values.astype(single) for name, values in labels.items()},
        **{f"{name}_ERR": np.full(stars, error, single) for name, error in errors.items()},
    )
    table(
        root / "apogee" / "rave_x_apogee.fits",
        raveid=text(f"J{number:06d}.5-{number % 60:06d}" for number in range(stars)),
        APOGEE_ID=ids,
        distance=np.full(stars, 0.3, single),
    )
    return Sky(obsid, raveid, star, labels)
