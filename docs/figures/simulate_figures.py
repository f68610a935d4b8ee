"""Draw the figures of docs/simulate.md.

    python docs/figures/simulate_figures.py SKY REAL_ARCHIVE RVS_FOLDER COEFFICIENTS OUT

SKY is a simulated archive; REAL_ARCHIVE holds real sampled XP spectra and APOGEE labels in the
archive's layout, RVS_FOLDER real RVS spectra as RAW CSV, COEFFICIENTS real XP coefficients (FITS).
Prints the numbers that the page quotes. Credit: ESA/Gaia/DPAC; SDSS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl

mpl.use("Agg")

import matplotlib.pyplot as plt
import matplotlib.ticker
from astropy.io import fits
from scipy.optimize import minimize

from catalog_builder.builds import response as build_response
from catalog_builder.builds.instrument import read_coefficients
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import rvs
from catalog_builder.simulate.score import read_truth

LABEL_FILE = "apogee/allStar-dr17-synspec_rev1.fits"


def sky_figure(sky: Path, real: Path, out: Path) -> None:
    """Kiel and colour-magnitude diagram, S/N, abundances by place; real labels beside them."""
    truth = read_truth(sky / "truth")
    table = fits.getdata(real / LABEL_FILE, 1)
    figure, axes = plt.subplots(1, 4, figsize=(18, 4.8), constrained_layout=True)
    chosen = truth.filter(pl.col("in_apogee"))
    style = {"s": 2, "vmin": -2.0, "vmax": 0.4, "rasterized": True}
    axes[0].scatter(chosen["teff"], chosen["logg"], c=chosen["m_h"], **style)
    axes[0].set_title(f"simulated, with labels ({len(chosen)})")
    drawn = axes[1].scatter(table["TEFF"], table["LOGG"], c=table["FE_H"], **style)
    axes[1].set_title("real APOGEE DR17 (flat selection)")
    figure.colorbar(drawn, ax=axes[1], label="[M/H]")
    for axis in axes[:2]:
        axis.set(xlim=(7600, 3300), ylim=(5.2, -0.2), xlabel="Teff [K]", ylabel="log g")
    absolute = truth["phot_g_mean_mag"] - 5.0 * (100.0 * truth["distance"]).log10()
    axes[2].scatter(truth["bp_rp"], absolute, c=truth["a_0"], s=2, vmax=3.0, rasterized=True)
    axes[2].set(
        xlabel="BP - RP", ylabel="M_G, not dereddened", ylim=(10, -5), xlim=(-0.5, 4.0),
        title="colour: extinction A0 (0-3 mag)",
    )  # fmt: skip
    quality = truth.filter(pl.col("has_rvs"))["rvs_spec_sig_to_noise"].to_numpy()
    axes[3].hist(quality, bins=np.geomspace(15, 600, 50))
    axes[3].set(xscale="log", xlabel="rvs_spec_sig_to_noise", title="published RVS spectra")
    axes[3].xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes[3].set_xticks([15, 25, 50, 100, 300], ["15", "25", "50", "100", "300"])
    axes[3].axvspan(15, 25, alpha=0.2, color="C1")
    share = np.mean(quality < 25.0)
    axes[3].text(0.5, 0.9, f"{share:.0%} below 25", transform=axes[3].transAxes)
    figure.savefig(out / "simulate-sky.png", dpi=80)
    plt.close(figure)
    print(f"S/N 15-25: {share:.3f}")


def abundance_figure(sky: Path, real: Path, out: Path) -> None:
    """[alpha/M] against [M/H] in three bins of radius and of height; real labels last."""
    truth = read_truth(sky / "truth").filter(pl.col("population") != "halo")
    table = fits.getdata(real / LABEL_FILE, 1)
    radii, heights = (0, 7, 9.5, 30), (0, 0.5, 1.0, 3.0)
    figure, axes = plt.subplots(
        3, 4, figsize=(14, 9), sharex=True, sharey=True, constrained_layout=True
    )
    for row, k in zip(axes, (2, 1, 0), strict=True):
        for axis, low, high in zip(row[:3], radii[:-1], radii[1:], strict=True):
            inside = truth.filter(
                pl.col("galactocentric_radius").is_between(low, high)
                & pl.col("height").abs().is_between(heights[k], heights[k + 1])
            )
            axis.scatter(inside["m_h"], inside["alpha_m"], s=2, alpha=0.5, rasterized=True)
            axis.set_title(f"R {low}-{high}, |z| {heights[k]}-{heights[k + 1]} kpc ({len(inside)})")
    giants = (table["LOGG"] > 1.0) & (table["LOGG"] < 3.5) & (table["TEFF"] > 4000)
    axes[1, 3].scatter(table["FE_H"][giants], table["ALPHA_M"][giants], s=1, alpha=0.4)
    axes[1, 3].set_title("real APOGEE giants, everywhere")
    axes[0, 3].axis("off")
    axes[2, 3].axis("off")
    axes[0, 0].set(xlim=(-1.5, 0.6), ylim=(-0.12, 0.42))
    figure.supxlabel("[M/H]")
    figure.supylabel("[alpha/M]")
    figure.savefig(out / "simulate-abundances.png", dpi=80)
    plt.close(figure)


def fit_spectrum(flux: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit labels, broadening, shift and a cubic continuum; return parameters, model and rms."""
    model = emulator.load()
    samples = np.round(846.0 + 0.01 * np.arange(2401), 2)
    first = np.searchsorted(model.rvs_wavelength, 845.999)
    x = (samples - 858.0) / 12.0
    continuum = np.column_stack([x**k for k in range(4)])

    def spectrum(p: np.ndarray) -> np.ndarray | None:
        labels = np.array([[1000.0 * p[0], p[1], p[2], p[3]]])
        if not model.trusted(labels)[0]:
            return None
        wide = rvs.Broadening(np.abs(p[4:5]), np.abs(p[5:6]), p[6:7])
        broad = rvs.observe(model.rvs(labels), model.rvs_wavelength, wide)
        shaped = broad[0, first : first + 2401, None] * continuum
        solution, *_ = np.linalg.lstsq(shaped[used], flux[used], rcond=None)
        return shaped @ solution

    def rms(p: np.ndarray) -> float:
        found = spectrum(p)
        return 10.0 if found is None else float(np.sqrt(np.mean((found - flux)[used] ** 2)))

    best = None
    steps = np.diag([0.3, 0.4, 0.3, 0.1, 3.0, 3.0, 1.0])
    for start in ([4.7, 2.5, -0.1, 0.05], [5.8, 4.3, 0.0, 0.05], [5.2, 3.5, -0.3, 0.1]):
        at = np.array([*start, 4.0, 3.0, 0.0])
        simplex = np.vstack([at, at + steps])
        options = {"maxfev": 2000, "xatol": 1e-3, "fatol": 1e-6}
        found = minimize(
            rms, at, method="Nelder-Mead", options={**options, "initial_simplex": simplex}
        )
        if best is None or found.fun < best.fun:
            best = found
    return best.x, spectrum(best.x), best.fun


def rvs_figure(folder: Path, out: Path) -> None:
    """Real RVS spectra over fitted emulator spectra."""
    samples = np.round(846.0 + 0.01 * np.arange(2401), 2)
    core = np.min(np.abs(samples[:, None] - rvs.CALCIUM_TRIPLET), axis=1) < 0.15
    files = sorted(folder.glob("*.csv"))
    figure, axes = plt.subplots(len(files), 1, figsize=(14, 9), constrained_layout=True)
    for axis, path in zip(axes, files, strict=True):
        flux = pl.read_csv(path, comment_prefix="#")["flux"].cast(pl.Float64).to_numpy()
        used = np.isfinite(flux) & ~core & (samples > 846.2) & (samples < 869.8)
        p, model, rms = fit_spectrum(flux, used)
        title = (
            f"{path.stem}: fitted Teff {1000 * p[0]:.0f} K, log g {p[1]:.2f}, [M/H] {p[2]:+.2f}, "
            f"[alpha/M] {p[3]:+.2f}; rms {100 * rms:.2f} % outside the triplet's cores"
        )
        print(title)
        axis.plot(samples, flux, lw=0.7, color="k", label="real")
        axis.plot(samples, model, lw=0.7, color="C3", label="emulator, fitted")
        axis.plot(samples, flux - model + 0.1, lw=0.5, color="C0", label="difference + 0.1")
        axis.set(title=title, xlim=(846, 870), ylim=(0, 1.15))
    axes[0].legend(loc="lower left")
    axes[-1].set_xlabel("wavelength in vacuum [nm]")
    figure.savefig(out / "simulate-rvs.png", dpi=80)
    plt.close(figure)


def simulated_coefficients(sky: Path) -> dict[str, np.ndarray]:
    """Coefficients (n, 55) of both bands, of the sources that have both."""
    names = ["bp_coefficients", "rp_coefficients"]
    files = sorted((sky / "gdr3/Spectroscopy/xp_continuous_mean_spectrum").glob("*.csv.gz"))
    table = pl.concat(
        [
            pl.read_csv(
                f, comment_prefix="#", null_values="null", columns=names, infer_schema=False
            )
            for f in files
        ]
    ).drop_nulls()
    split = table.select(pl.col(names).str.strip_chars("[]").str.split(","))
    return {name[:2]: np.array(split[name].cast(pl.List(pl.Float64)).to_list()) for name in names}


def coefficient_figure(sky: Path, coefficients: Path, out: Path) -> None:
    """First 20 coefficients over the first one: real stars, and simulated ones like them."""
    real = {band: read_coefficients(coefficients, band)[0] for band in instrument.BANDS}
    simulated = simulated_coefficients(sky)
    levels = [
        np.column_stack([np.log10(np.maximum(one[b][:, 0], 1.0)) for b in instrument.BANDS])
        for one in (real, simulated)
    ]
    bright = np.flatnonzero((levels[0] > 2.8).all(axis=1))
    apart = np.linalg.norm(levels[0][bright][:, None] - levels[1][None], axis=2)
    near = apart.min(axis=1) < 0.1
    rows = {"real": bright[near], "simulated": apart.argmin(axis=1)[near]}
    figure, axes = plt.subplots(2, 2, figsize=(14, 7), constrained_layout=True)
    k = np.arange(1, 20)
    for row, band in zip(axes, instrument.BANDS, strict=True):
        spreads = {}
        for offset, (name, source) in enumerate((("real", real), ("simulated", simulated))):
            values = source[band][rows[name]]
            ratio = (values / values[:, :1])[:, k]
            median = np.median(ratio, axis=0)
            spreads[name] = 1.4826 * np.median(np.abs(ratio - median), axis=0)
            row[0].errorbar(
                k + 0.25 * offset, median, spreads[name], fmt="o", ms=3, capsize=2, label=name
            )
        row[0].set(title=f"{band.upper()}: coefficient / first one, median and spread")
        row[0].set_yscale("symlog", linthresh=1e-3)
        ratio = spreads["simulated"] / spreads["real"]
        row[1].plot(k, ratio, "o-")
        row[1].axhspan(0.5, 2.0, alpha=0.15)
        row[1].set(title="spread, simulated / real", yscale="log", ylim=(0.25, 4))
        row[1].yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        row[1].set_yticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        row[0].set_xticks(k)
        row[1].set_xticks(k)
        print(
            f"{band}: {len(rows['real'])} stars, spread ratio {ratio.min():.2f}-{ratio.max():.2f}"
        )
    axes[0, 0].legend()
    axes[1, 0].set_xlabel("number of the coefficient")
    axes[1, 1].set_xlabel("number of the coefficient")
    figure.savefig(out / "simulate-coefficients.png", dpi=80)
    plt.close(figure)


def xp_figure(real: Path, out: Path) -> None:
    """Real sampled spectra beside emulated ones of the same labels, at low extinction."""
    source_id, labels = build_response.labelled_stars(real)
    found, flux = build_response.real_spectra(real, source_id)
    order = np.argsort(source_id)
    labels = labels[order[np.searchsorted(source_id[order], found)]]
    model, tables = emulator.load(), instrument.load()
    grid, wavelength = model.sed_wavelength, tables.wavelength
    emulated = np.exp(model.sed(labels).astype(np.float64))
    emulated = (emulated @ instrument.line_spread(float(grid[0]), len(grid))) * tables.response
    ratio = np.full(flux.shape, np.nan)
    usable = (flux[:, (wavelength >= 400) & (wavelength <= 1000)] > 0).all(axis=1)
    ratio[usable] = build_response.log_ratio(flux[usable], emulated[usable], wavelength)
    inside = (wavelength >= 400) & (wavelength <= 900)
    figure, axes = plt.subplots(2, 1, figsize=(14, 8), sharex=True, constrained_layout=True)
    bins = ((3700, 4300), (4300, 5000), (5000, 5500), (5500, 6000), (6000, 7000))
    for color, (low, high) in enumerate(bins):
        mine = usable & (labels[:, 0] >= low) & (labels[:, 0] < high)
        rms = np.median(np.sqrt(np.mean(ratio[mine][:, inside] ** 2, axis=1)))
        print(f"XP {low}-{high} K: {mine.sum()} stars, median rms of ln ratio {rms:.4f}")
        star = np.flatnonzero(mine)[np.argsort(ratio[mine][:, inside].std(axis=1))[mine.sum() // 2]]
        scale = flux[star, inside].mean()
        axes[0].plot(wavelength, flux[star] / scale + color, lw=1.2, color=f"C{color}")
        fitted = flux[star] / np.exp(ratio[star])
        axes[0].plot(wavelength, fitted / scale + color, lw=0.8, color="k")
        teff, logg, fe_h = labels[star, :3]
        text = f"Teff {teff:.0f}, log g {logg:.1f}, [Fe/H] {fe_h:+.2f}"
        axes[0].text(345, color + 0.75, text, fontsize=8)
        axes[1].plot(
            wavelength, np.median(ratio[mine], axis=0) + 0.15 * color,
            label=f"{low}-{high} K, {mine.sum()} stars",
        )  # fmt: skip
    axes[0].set(title="real (colour) and simulated (black), typical stars, offset by 1")
    axes[1].set(
        title="median ln(real / simulated) by temperature, offset by 0.15",
        xlabel="wavelength [nm]", ylim=(-0.2, 0.8), xlim=(336, 1020),
    )  # fmt: skip
    axes[1].legend(ncols=5, fontsize=8)
    figure.savefig(out / "simulate-xp.png", dpi=80)
    plt.close(figure)


def main() -> None:
    """Draw everything."""
    sky, real, folder, coefficients, out = map(Path, sys.argv[1:6])
    sky_figure(sky, real, out)
    abundance_figure(sky, real, out)
    rvs_figure(folder, out)
    coefficient_figure(sky, coefficients, out)
    xp_figure(real, out)


if __name__ == "__main__":
    main()
