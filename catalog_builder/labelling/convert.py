"""One of a user's spectra becomes features as the archive's do, or is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import CodeRule, LineSpectrum, Reading
from catalog_builder.features import lines
from catalog_builder.features.own_grid import (
    OwnSamples,
    archive_sig_to_noise,
    covered,
    resample_own,
)
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.spectra import convert
from catalog_builder.ground.errors import InputError
from catalog_builder.labelling.raw import Float, RawSpectrum
from catalog_builder.labelling.refusals import (
    ANOTHER,
    median,
    not_covered,
    not_told,
    refuse_moved,
    refuse_without_continuum,
    without_errors,
)
from catalog_builder.labelling.samples import Samples
from catalog_builder.labelling.told import Made, Told

#: Resolving power, as a share of the model's, below which lines are too wide.
_TOO_LOW: Final = 0.9


class Converter:
    """Makes features of spectra.

    Parameters
    ----------
    release : ReleaseSpec
        Whose features they are to be.
    seen : collection of str
        Inputs that the model sees.
    told : Told
        What the user says.
    settings : IngestSettings
        Coverage limits.
    """

    def __init__(
        self,
        release: ReleaseSpec,
        seen: Iterable[str],
        told: Told,
        settings: IngestSettings | None = None,
    ) -> None:
        self.release, self.told = release, told
        self.settings = settings or IngestSettings()
        self.seen = frozenset(seen)

    def make(self, raw: RawSpectrum) -> Made:
        """Return the features of a spectrum.

        Raises
        ------
        InputError
            Naming file and row, what is wrong or missing, and the way out.
        """
        if "flux" not in raw.arrays:
            return self._archive(raw, self._with_coefficients(raw), raw.arrays)
        samples = Samples(raw)
        reading = next((r for r in self._with_samples() if samples.are_on(r)), None)
        told, said = self.told, raw.medium or self.told.medium
        own = told.radial_velocity is not None or told.resolution is not None
        if reading is not None and not isinstance(reading.spectrum, LineSpectrum):
            own, said = False, raw.medium  # what is told is told of lines
        if reading is not None and reading.product.wavelength is not None:
            own = True  # as each row of the archive has them
        if reading is None or own or said not in {None, reading.spectrum.medium}:
            return self._own(raw, samples)
        flux, error = samples.flux, _errors(raw, samples, self.told)
        factor = _factor(raw, reading)
        if isinstance(reading.spectrum, LineSpectrum):
            if told.normalisation == "none":
                factor = 1.0 / median(raw, flux)
            refuse_without_continuum(raw, flux * factor)
        product = reading.product
        noise = error * factor
        if product.samples_sig_to_noise is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                noise = np.abs(flux) / error
        return self._archive(raw, reading, {product.flux: flux * factor, product.noise: noise})

    # --- as the archive has them -----------------------------------------------------------------

    def _readings(self) -> Iterator[Reading]:
        for readings in self.release.readings.values():
            yield from readings

    def _with_samples(self) -> Iterator[Reading]:
        return (reading for reading in self._readings() if reading.product.holds == "samples")

    def _with_coefficients(self, raw: RawSpectrum) -> Reading:
        for reading in self._readings():
            if reading.product.holds == "coefficients":
                lengths = reading.product.lengths(reading.spectrum.grid.count)
                if lengths.keys() <= raw.arrays.keys():
                    return reading
        raise InputError(f"{raw.where} has no spectrum.", "Name its column flux.")

    def _archive(self, raw: RawSpectrum, reading: Reading, arrays: Mapping[str, Float]) -> Made:
        """Have the archive's own conversion make the features."""
        self._refuse_unseen(raw, reading.name)
        table = self.release.tables[reading.product.table]
        lengths = reading.product.lengths(reading.spectrum.grid.count)
        columns = {
            name: _cell(raw, name, arrays[name], length).astype(table.columns[name].numpy_dtype)
            for name, length in lengths.items()
        }
        spectrum = reading.spectrum
        rule = spectrum.normalisation if isinstance(spectrum, LineSpectrum) else None
        for name in (spectrum.sig_to_noise, rule.code if isinstance(rule, CodeRule) else None):
            if name is not None:
                columns.setdefault(name, np.array([raw.beside.get(name, np.nan)], np.float64))
        made = convert(reading, columns, self.settings)
        for reason, wrong in made.reasons.items():
            if wrong[0]:
                raise InputError(f"{raw.where}: {reason.sentence}", ANOTHER)
        rows = {name: values[0] for name, values in made.rows.items()}
        noise = np.nan
        if isinstance(spectrum, LineSpectrum):
            noise = archive_sig_to_noise(_resampled(reading.name, made.rows), spectrum)
        return Made(
            reading.name,
            self._rank(reading),
            rows,
            {name: values[0] for name, values in made.scalars.items()},
            self._class() if isinstance(spectrum, LineSpectrum) else None,
            noise,
        )

    def _rank(self, reading: Reading) -> int:
        return reading.spectrum.products.index(reading.product)

    def _class(self) -> int | None:
        said = self.told.normalisation
        if said is None:
            return None
        return lines.PSEUDO_CONTINUUM if said == "continuum" else lines.CONSTANT

    def _refuse_unseen(self, raw: RawSpectrum, name: str) -> None:
        if name not in self.seen:
            title = self.release.inputs.title(name)
            raise InputError(
                f"{raw.where} is a spectrum of {title}, which the model does not see.",
                "Give another model, or leave the spectrum out.",
            )

    # --- on grids of their own -------------------------------------------------------------------

    def _own(self, raw: RawSpectrum, samples: Samples) -> Made:
        """Bring a spectrum from any samples to the model grid of the lines that it covers."""
        if samples.wavelength is None:
            grids = ", ".join(str(r.spectrum.grid.count) for r in self._with_samples())
            raise InputError(
                f"{raw.where} has no wavelengths, and {samples.flux.size} samples: the archive's"
                f" have {grids}.",
                "Give a column `wavelength`, in nm or Angstrom.",
            )
        name, spectrum = self._lines_at(raw, samples)
        self._refuse_unseen(raw, name)
        medium = raw.medium or self.told.medium
        if medium is None or self.told.normalisation is None:
            raise not_told(raw, medium, self.told.normalisation)
        self._refuse_coarse(raw, samples, spectrum)
        inside = samples.near(spectrum)
        scale = 1.0
        if self.told.normalisation == "none":
            scale = median(raw, inside.flux)
        refuse_without_continuum(raw, inside.flux / scale)
        error = _errors(raw, inside, self.told)
        own = OwnSamples(
            inside.wavelength,  # type: ignore[arg-type] # it has, see above
            inside.flux / scale,
            error / scale,
            medium,
            self.told.radial_velocity or 0.0,
            self.told.resolution,
        )
        return self._resampled(raw, name, spectrum, own)

    def _resampled(
        self, raw: RawSpectrum, name: str, spectrum: LineSpectrum, own: OwnSamples
    ) -> Made:
        made = resample_own(own, spectrum, self.settings.min_pixel_coverage)
        coverage = float(made.mask.mean())
        if coverage < self.settings.min_spectrum_coverage or coverage == 0:
            raise not_covered(raw, spectrum, own.wavelength, coverage)
        if spectrum.frame == "rest":
            refuse_moved(raw, made, spectrum)
        scalars: dict[str, Any] = {}
        noise = archive_sig_to_noise(made, spectrum)
        for scalar in self.release.scalars_of(name):
            if scalar.endswith("_sig_to_noise"):
                own_way = spectrum.sig_to_noise is None  # then it is of the model's pixels
                scalars[scalar] = np.float32(lines.sig_to_noise(made)[0] if own_way else noise)
            else:
                scalars[scalar] = np.uint8(self._class() or lines.UNKNOWN)
        return Made(
            name,
            len(spectrum.products),
            {
                f"{name}_flux": made.flux[0],
                f"{name}_flux_error": made.flux_error[0],
                f"{name}_mask": made.mask[0],
            },
            scalars,
            self._class(),
            noise,
        )

    def _lines_at(self, raw: RawSpectrum, samples: Samples) -> tuple[str, LineSpectrum]:
        """Return the spectrum of lines of whose model grid the samples cover most."""
        wave, flux = samples.wavelength, samples.flux
        spectra = {
            name: spectrum
            for name, spectrum in self.release.spectra.items()
            if isinstance(spectrum, LineSpectrum)
        }
        if wave is None or not spectra:
            raise InputError(
                f"{raw.where}: the model sees no spectra of lines, and others only on the"
                " archive's own samples.",
                "Give them as the archive has them.",
            )
        shares = {
            name: covered(OwnSamples(wave, flux, flux), spectrum.model_grid)
            for name, spectrum in spectra.items()
        }
        name = max(shares, key=lambda each: shares[each])
        if shares[name] < self.settings.min_spectrum_coverage:
            raise not_covered(raw, spectra[name], wave, shares[name])
        return name, spectra[name]

    def _refuse_coarse(self, raw: RawSpectrum, samples: Samples, spectrum: LineSpectrum) -> None:
        limit = spectrum.resolution
        if limit is None:
            return
        said = self.told.resolution
        if said is not None and said < _TOO_LOW * limit:
            raise InputError(
                f"{raw.where}: its resolving power of {said:g} is below the {limit:g} of"
                f" {spectrum.title} spectra.",
                "Lines cannot be made sharper: give a spectrum of higher resolution.",
            )
        near = samples.near(spectrum).wavelength
        step = float(np.median(np.diff(near))) if near is not None and near.size > 2 else np.inf
        width = float(spectrum.model_grid.nanometres().mean()) / limit
        if step > width:
            others = [each.title for each in self.release.inputs.low_resolution.values()]
            raise InputError(
                f"{raw.where}: its samples are {step:.3g} nm apart, and {spectrum.title} spectra"
                f" resolve {width:.2g} nm.",
                "Give a spectrum of higher resolution"
                + (
                    f"; those of {' or '.join(others)} on the archive's samples." if others else "."
                ),
            )


def _cell(raw: RawSpectrum, name: str, values: Float, length: int) -> NDArray[Any]:
    """Return an array column of one row; nothing is nulls, a symmetric matrix its triangle."""
    side = round((1 + float(np.sqrt(1 + 8 * length))) / 2)
    if values.size == 0 or (values.size == 1 and np.isnan(values[0])):
        return np.full((1, length), np.nan)
    if values.size == side * side and side * (side - 1) // 2 == length:
        values = values.reshape(side, side)[np.tril_indices(side, -1)]
    if values.size != length:
        raise InputError(
            f"{raw.where}: {name} has {values.size} numbers, not {length}.",
            "Give the spectrum as the archive does.",
        )
    return values.reshape(1, length)


def _errors(raw: RawSpectrum, samples: Samples, told: Told) -> Float:
    """Return the errors of samples: as given, or the same of all from the S/N that is said."""
    if samples.error is not None:
        return samples.error
    noise = told.snr if np.isnan(raw.sig_to_noise) and told.snr else raw.sig_to_noise
    if not noise > 0:
        raise without_errors(raw)
    return np.full(samples.flux.shape, median(raw, samples.flux) / noise)


def _resampled(name: str, rows: Mapping[str, NDArray[Any]]) -> lines.ResampledSpectra:
    return lines.ResampledSpectra(
        rows[f"{name}_flux"], rows[f"{name}_flux_error"], rows[f"{name}_mask"]
    )


def _factor(raw: RawSpectrum, reading: Reading) -> float:
    """Return by what fluxes are multiplied to be in the archive's unit."""
    wanted = getattr(reading.spectrum, "flux_unit", "")
    if not raw.flux_unit or not wanted:
        return 1.0
    try:
        return float(u.Unit(raw.flux_unit).to(u.Unit(wanted)))
    except (ValueError, TypeError, u.UnitsError) as error:
        raise InputError(
            f"{raw.where}: its flux is in {raw.flux_unit!r}, not in {wanted}.", "Convert it."
        ) from error
