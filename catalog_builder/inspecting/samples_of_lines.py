"""Whether spectra of lines are where and as sharp as a release says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.spectra import LineSpectrum, Reading
from catalog_builder.archive.tables import TableName
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.sharpness import measure_sharpness
from catalog_builder.inspecting.triplet import Shift, covers_triplet, measure_shift
from catalog_builder.inspecting.view import View

Float = NDArray[np.float64]

#: Spectra from which a shift of the triplet counts, and how large it must be: nm and errors.
TRIPLET_SPECTRA: Final = 200
LEAST_SHIFT, LEAST_ERRORS = 0.006, 5.0
#: What is looked at of spectra that reach further, nm in vacuum.
_NEAR: Final = (839.0, 881.0)
#: Difference of the natural logarithm of two resolving powers that says something. Stars turn, and
#: the synthetic spectra are not those of stars: single real spectra of R = 11 500 measure 12 200 to
#: 14 600.
_SHARPNESS: Final = 0.35


def check_triplet(
    table: TableName,
    reading: Reading,
    spectrum: LineSpectrum,
    views: Sequence[View],
    looked: Looked,
) -> None:
    """Note spectra whose calcium triplet is off its place."""
    flux = flux_of(table, reading.product.flux, views)
    wavelengths = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    if flux is None or reading.product.wavelength or not covers_triplet(wavelengths):
        return
    flux, wavelengths = _near_triplet(flux, wavelengths)
    shift, line = measure_shift(flux, wavelengths), f"spectra.{reading.name}.grid"
    if shift is None:
        return
    looked.facts[line] = (
        f"triplet {shift.nanometres:+.4f} +- {shift.error:.4f} nm from its place, in"
        f" {shift.spectra} spectra, which scatter by {shift.scatter:.1f} km/s"
    )
    if shift.spectra >= TRIPLET_SPECTRA:
        looked.judged.add((line, "triplet"))
    if is_off(shift):
        problem = (
            f"{table}: the calcium triplet lies {abs(shift.nanometres):.4f} +-"
            f" {shift.error:.4f} nm to the {'red' if shift.nanometres > 0 else 'blue'} of its place"
            f" by the grid of spectra.{reading.name}, in {shift.spectra} spectra."
        )
        looked.add(line, table, problem, cure(shift, reading.name, spectrum))


def _near_triplet(flux: Float, wavelengths: Float) -> tuple[Float, Float]:
    """Return the samples around the triplet; in a wide arm the colour outweighs the lines."""
    near = (wavelengths > _NEAR[0]) & (wavelengths < _NEAR[1])
    return flux[:, near], wavelengths[near]


def is_off(shift: Shift) -> bool:
    """Say whether a shift is beyond what blends and noise explain."""
    return (
        shift.spectra >= TRIPLET_SPECTRA
        and abs(shift.nanometres) > LEAST_SHIFT
        and abs(shift.nanometres) > LEAST_ERRORS * shift.error
    )


def cure(shift: Shift, name: str, spectrum: LineSpectrum) -> str:
    """Say what of a grid may be wrong, by the size of the shift."""
    middle = np.array([856.977])
    in_air = float((to_vacuum(middle, "air") - middle)[0])
    other = "air" if spectrum.medium == "vacuum" else "vacuum"
    explained = -in_air if other == "air" else in_air
    if abs(shift.nanometres - explained) < 0.02:
        return (
            f"That is the difference between air and vacuum: write spectra.{name}.medium: {other}."
        )
    unit = spectrum.grid.step / spectrum.grid.step_nm
    right = spectrum.grid.start - shift.nanometres * unit
    share = shift.nanometres / spectrum.grid.step_nm
    return (
        f"By the triplet spectra.{name}.grid.start is {right:.4f} ({-share:+.2f} samples); or the"
        f" step, the medium or the frame is another. `catalog-builder inspect` shows which."
    )


def check_sharpness(
    table: TableName,
    reading: Reading,
    spectrum: LineSpectrum,
    views: Sequence[View],
    looked: Looked,
) -> None:
    """Note spectra of another resolving power than described."""
    flux, declared = flux_of(table, reading.product.flux, views), spectrum.resolution
    wavelengths = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    if flux is None or declared is None or reading.product.wavelength:
        return
    if not covers_triplet(wavelengths):
        return
    flux, wavelengths = _near_triplet(flux, wavelengths)
    shift, found = measure_shift(flux, wavelengths), measure_sharpness(flux, wavelengths)
    # On a wrong grid the lines of many stars are not where those of the comparison are.
    if found is None or shift is None or is_off(shift):
        return
    line = f"spectra.{reading.name}.resolution"
    looked.facts[line] = (
        f"{found.resolution:.0f} +- {found.resolution * found.error:.0f} by the lines of"
        f" {found.spectra} spectra"
    )
    if found.spectra < TRIPLET_SPECTRA:
        return
    looked.judged.add((line, "lines"))
    off = abs(float(np.log(found.resolution / declared)))
    if off > _SHARPNESS and off > LEAST_ERRORS * found.error:
        looked.add(
            line,
            table,
            f"{table}: the lines of {found.spectra} spectra are those of a resolving power of"
            f" {found.resolution:.0f} +- {found.resolution * found.error:.0f}, not"
            f" {declared:g}.",
            f"Correct {line}, or the step of spectra.{reading.name}.grid.",
        )


def flux_of(table: TableName, column: str, views: Sequence[View]) -> Float | None:
    """Return the spectra of a table in several partitions, (n, m)."""
    found = [
        view.tables[table].columns[column]
        for view in views
        if table in view.tables and column in view.tables[table].columns
    ]
    return np.concatenate(found).astype(np.float64) if found else None
