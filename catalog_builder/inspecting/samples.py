"""Whether samples and coefficients are what a release says of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.products import Product
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import (
    CodeRule,
    FixedRule,
    LineSpectrum,
    Normalisation,
    Reading,
    ThresholdRule,
)
from catalog_builder.archive.tables import TableName
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.samples_of_lines import check_sharpness, check_triplet
from catalog_builder.inspecting.spectra import Medians, colour_agreement, share_of_broken_matrices
from catalog_builder.inspecting.view import TableView, View

#: Spectra of one class from which their medians count; shares that contradict it.
_CLASS_SPECTRA: Final = 40
_FEW, _MOST = 0.2, 0.8
#: Parts of a class, by signal, of which each must not contradict it: one rule may hold for the
#: bright ones, another for the faint ones.
_PARTS: Final = 4
#: Rows whose matrices are looked at: each takes half a millisecond.
_MATRICES: Final = 40
_COLOUR_STARS: Final = 30
_LENGTHS_WRONG: Final = 0.5


def check_lengths(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note arrays of another length than described."""
    for table in release.driving_tables:
        seen = view.tables.get(table)
        if seen is None or seen.rows_read == 0 or seen.raw is None:
            continue
        if seen.wrong_lengths <= _LENGTHS_WRONG * seen.rows_read:
            continue
        spec = release.tables[table]
        for name, column in spec.columns.items():
            if column.length is None:
                continue
            found = _length_in(seen, spec.native_names(name))
            if found and found != column.length:
                looked.add(
                    f"tables.{table}.columns.{name}.length",
                    table,
                    f"{seen.file.name}: {name} has {found} elements, not {column.length}.",
                    f"Correct it, and {_where_it_counts(name, table, release)}.",
                )


def _length_in(seen: TableView, names: Sequence[str]) -> int:
    cells = [] if seen.raw is None else seen.raw.cells.items()
    found = next((values for name, values in cells if name in names), [])
    lengths = [
        cell.count(",") + 1 if isinstance(cell, str) else len(cell)
        for cell in found
        if isinstance(cell, list) or (isinstance(cell, str) and "," in cell)
    ]
    return max(set(lengths), key=lengths.count, default=0)


def _where_it_counts(column: str, table: TableName, release: ReleaseSpec) -> str:
    for reading in release.readings[table]:
        key = f"spectra.{reading.name}"
        if column in {reading.product.flux, reading.product.noise, reading.product.wavelength}:
            return f"start, step and count of {key}.grid"
        if any(column.startswith(f"{band}_") for band in reading.product.bands):
            return f"bands and basis of {key}.products: matrices must have as many coefficients"
    return "what uses it"


def check_lines(views: Sequence[View], release: ReleaseSpec, looked: Looked) -> None:
    """Note spectra of lines off their grid, or normalised otherwise, from several partitions."""
    for table, readings in release.readings.items():
        for reading in readings:
            if isinstance(reading.spectrum, LineSpectrum):
                check_triplet(table, reading, reading.spectrum, views, looked)
                check_sharpness(table, reading, reading.spectrum, views, looked)
                _check_medians(table, reading, reading.spectrum, views, release, looked)


def classes(
    table: TableName, spectrum: LineSpectrum, view: View, release: ReleaseSpec
) -> NDArray[np.str_] | None:
    """Return by the rule how spectra of a view were normalised; empty where it does not say."""
    seen, rule = view.tables[table], spectrum.normalisation
    ids = seen.columns["source_id"]
    none: Normalisation | str = ""
    if isinstance(rule, FixedRule):
        return np.full(ids.size, rule.fixed, dtype="U16")
    if isinstance(rule, CodeRule):
        codes = seen.columns.get(rule.code)
        if codes is None:
            return None
        return np.array([rule.values.get(int(code), none) for code in codes], dtype="U16")
    values = view.looked_up(rule.column, ids, release)
    if values is None:
        return None
    made = np.where(values < rule.threshold, rule.below, rule.otherwise).astype("U16")
    made[~np.isfinite(values)] = ""
    return made


def _check_medians(
    table: TableName,
    reading: Reading,
    spectrum: LineSpectrum,
    views: Sequence[View],
    release: ReleaseSpec,
    looked: Looked,
) -> None:
    if spectrum.is_normalised_here:  # the samples in the files are not
        return
    kinds, at_one, signal = [np.empty(0, "U16")], [np.empty(0, bool)], [np.empty(0)]
    for view in views:
        seen = view.tables.get(table)
        if seen is None or reading.product.flux not in seen.columns:
            continue
        kind = classes(table, spectrum, view, release)
        if kind is None:
            continue
        medians = Medians.of(
            seen.columns[reading.product.flux].astype(np.float64),
            reading.product.errors(seen.columns).astype(np.float64),
        )
        kinds.append(kind[medians.telling])
        at_one.append(medians.at_one[medians.telling])
        signal.append(medians.sig_to_noise[medians.telling])
    kind, ones, ratio = np.concatenate(kinds), np.concatenate(at_one), np.concatenate(signal)
    line = f"spectra.{reading.name}.normalisation"
    for name in ("pseudo_continuum", "constant"):
        chosen = kind == name
        count = int(chosen.sum())
        if count < _CLASS_SPECTRA:
            continue
        looked.judged.add((line, name))
        looked.facts[f"{line} ({name})"] = f"{ones[chosen].mean():.0%} of {count} medians are 1"
        order = np.argsort(ratio[chosen])
        parts = np.array_split(order, min(_PARTS, count // _CLASS_SPECTRA))
        shares = [float(ones[chosen][part].mean()) for part in parts]
        wrong = [
            place
            for place, share in enumerate(shares)
            if (share < _FEW if name == "constant" else share > _MOST)
        ]
        if not wrong:
            continue
        part = parts[wrong[0]]
        between = ratio[chosen][part]
        looked.add(
            line,
            table,
            f"{table}: of {part.size} spectra with S/N {between.min():.0f} to"
            f" {between.max():.0f} that by {line} were divided by a"
            f" {name.replace('_', '-')}, {shares[wrong[0]]:.0%} have a median of 1: they look"
            f" like {'pseudo_continuum' if name == 'constant' else 'constant'}.",
            f"Correct {_line_of(spectrum, line)}; `catalog-builder inspect` shows the medians by"
            " brightness.",
        )


def _line_of(spectrum: LineSpectrum, line: str) -> str:
    rule = spectrum.normalisation
    if isinstance(rule, ThresholdRule):
        return f"{line}.threshold, below or otherwise"
    return f"{line}.{'values' if isinstance(rule, CodeRule) else 'fixed'}"


def check_bands(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note correlations of no matrix, and bands that the magnitudes contradict."""
    for table, readings in release.readings.items():
        seen = view.tables.get(table)
        for reading in readings:
            product = reading.product
            names = [f"{band}_coefficients" for band in product.bands]
            if seen is None or not names or not set(names) <= set(seen.columns):
                continue
            _check_matrices(table, reading.name, product, seen, looked)
            _check_colours(table, reading.name, product, view, release, looked)


def _check_matrices(
    table: TableName, name: str, product: Product, seen: TableView, looked: Looked
) -> None:
    for band in product.bands:
        column = f"{band}_coefficient_correlations"
        broken = share_of_broken_matrices(seen.columns[column][:_MATRICES].astype(np.float64))
        if not np.isfinite(broken):
            continue
        looked.facts[f"spectra.{name} ({column})"] = f"{1 - broken:.0%} positive definite"
        if broken > _LENGTHS_WRONG:
            looked.add(
                f"tables.{table}.columns.{column}",
                table,
                f"{seen.file.name}: {broken:.0%} of the matrices of {column} are not positive"
                " definite.",
                "The strict lower triangle is read, row by row: these are in another order, or"
                " another column.",
            )


def _check_colours(
    table: TableName, name: str, product: Product, view: View, release: ReleaseSpec, looked: Looked
) -> None:
    """Compare each two bands with the magnitudes of the same names."""
    columns = {
        band: spec.column
        for group in release.photometry.values()
        for band, spec in group.bands.items()
    }
    bands = [band for band in product.bands if band in columns]
    seen = view.tables[table]
    for first, second in pairwise(bands):
        ids = seen.columns["source_id"]
        magnitudes = [view.looked_up(columns[band], ids, release) for band in (first, second)]
        if magnitudes[0] is None or magnitudes[1] is None:
            continue
        agreement, count = colour_agreement(
            seen.columns[f"{first}_coefficients"].astype(np.float64),
            seen.columns[f"{second}_coefficients"].astype(np.float64),
            magnitudes[0] - magnitudes[1],
        )
        if count < _COLOUR_STARS or not np.isfinite(agreement):
            continue
        looked.facts[f"spectra.{name} ({first} - {second})"] = (
            f"correlation {agreement:+.2f} with the photometry, {count} stars"
        )
        if agreement < 0:
            looked.add(
                f"spectra.{name}.products",
                table,
                f"{seen.file.name}: the fluxes of {first} and {second} run against the magnitudes"
                f" {columns[first]} and {columns[second]} (correlation {agreement:+.2f} of {count}"
                " stars): they are swapped.",
                f"Swap the names of the {first} and {second} columns at tables.{table}.columns, or"
                " those of the magnitudes.",
            )
