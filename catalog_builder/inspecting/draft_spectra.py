"""The spectra of a drafted release, and the rules that its columns allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.products import Product
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.archive.zero_point import LINDEGREN_INPUTS
from catalog_builder.inspecting.drafting import CHECK, FOUND, NO_DIGEST, Draft, Path
from catalog_builder.inspecting.found_matrices import FoundMatrices
from catalog_builder.inspecting.match import Match
from catalog_builder.inspecting.measure import Lines, band_counts, measure_lines

#: What DR3 and DR4 call the same: numbers of parameters, and a mask of bits.
_SOLVED: Final = "astrometric_params_solved"
_SOLVED_AS_BITS: Final = "astrometric_params"


def draft_spectra(
    draft: Draft,
    by_table: dict[str, Match],
    release: ReleaseSpec,
    matrices: Sequence[FoundMatrices] = (),
) -> None:
    """Draft products, grids, media, frames and numbers of coefficients from what is measured."""
    for name, spectrum in release.spectra.items():
        path: Path = ("spectra", name)
        there = [
            place
            for place, product in enumerate(spectrum.products)
            if product.table in draft.content["tables"]
        ]
        if not there:
            draft.drop(path, "none of its tables was found")
            continue
        products = [draft.content["spectra"][name]["products"][place] for place in there]
        draft.put((*path, "products"), products, FOUND)
        for place in there:
            product = spectrum.products[place]
            made = products[there.index(place)]
            _draft_announcement(draft, name, made, by_table, release)
            match = by_table.get(product.table)
            if match is None:
                continue  # its place is to be filled in
            if isinstance(spectrum, LineSpectrum):
                lines = measure_lines(match, product, spectrum)
                if lines is not None:
                    draft.lines[name] = lines
                    _draft_lines(draft, name, lines, spectrum)
                else:
                    _draft_samples(draft, name, match, product)
            elif product.bands:
                counts = {**product.bands, **band_counts(match, product)}
                made["bands"] = counts
                if isinstance(product.basis, BasisFile):
                    draft.marks[(*path, "products")] = f"{CHECK}: basis"
                if counts != dict(product.bands):
                    made["basis"], mark = basis_for(name, counts, matrices)
                    draft.marks[(*path, "products")] = mark
            else:
                _draft_samples(draft, name, match, product)


def basis_for(
    name: str, counts: Mapping[str, int], matrices: Sequence[FoundMatrices]
) -> tuple[dict[str, str], str]:
    """Return the file of matrices for these numbers of coefficients, and where the line is from."""
    for one in matrices:
        if counts == {band: one.counts.get(band) for band in counts}:
            mark = f"{CHECK}: basis; {one.path} lies in the archive and has as many coefficients"
            return {"path": one.path, "sha256": one.sha256}, mark
    sizes = "_".join(str(count) for count in counts.values())
    return (
        {"path": f"{name}_{sizes}.npz", "sha256": NO_DIGEST},
        f"{CHECK}: basis; {dict(counts)} coefficients need matrices that are not shipped",
    )


def _draft_announcement(
    draft: Draft,
    name: str,
    made: dict[str, Any],
    by_table: Mapping[str, Match],
    release: ReleaseSpec,
) -> None:
    said = made.get("announced_by")
    if said is None:
        return
    tables = draft.content["tables"]
    homes = [release.source_table, *draft.content.get("joined_tables", [])]
    home = next((t for t in homes if said["column"] in tables[t]["columns"]), None)
    if home is None:
        del made["announced_by"]
        why = f"{draft.not_found([said['column']])}; nothing announces {made['table']}"
        draft.remarks.append(f"spectra.{name}: {why}")
        draft.note(("spectra", name), why)
        return
    said.pop("table", None)
    if home != release.source_table:
        said["table"] = home
    path: Path = ("spectra", name, "products")
    column = tables[home]["columns"][said["column"]]
    profile = None if home not in by_table else by_table[home].profile(said["column"])
    seen = [] if profile is None else sorted(_numbers(profile.values))
    if column["dtype"] == "bool":
        said.pop("values", None)
    elif "values" not in said:
        said["values"] = [value for value in seen if value] or [1]
        draft.marks[path] = f"{CHECK}: which values of {said['column']} announce a spectrum"
    elif seen:
        there = [value for value in said["values"] if value in seen]
        more = [value for value in said["values"] if value not in seen]
        new = [value for value in seen if value and value not in said["values"]]
        words = [f"of {said['column']} {_listed(there)} found"]
        words += [f"{_listed(more)} as in {release.name}"] if more else []
        words += [f"{CHECK}: {_listed(new)} also found"] if new else []
        draft.marks[path] = f"{FOUND}; {'; '.join(words)}" if more or new else FOUND


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "none"


def _numbers(values: Mapping[str, int]) -> Iterator[int]:
    yield from (int(value) for value in values if value.lstrip("-").isdigit())


def _draft_lines(draft: Draft, name: str, lines: Lines, spectrum: LineSpectrum) -> None:
    path: Path = ("spectra", name)
    grid = {"start": lines.start, "step": lines.step, "count": lines.count, "unit": "nm"}
    is_as_described = lines.described is not None and lines.start == spectrum.grid.start
    if is_as_described and lines.described is not None:
        grid = spectrum.grid.model_dump(mode="json")
        mark = f"{FOUND}: the triplet lies {lines.described.nanometres:+.4f} nm from its place"
    elif lines.found is not None:
        off = lines.found
        mark = (
            f"{FOUND} by the triplet: {off.start:.4f} +- {off.start_error:.4f},"
            f" {off.step:.6f} in vacuum"
        )
    else:
        mark = f"{CHECK}: the triplet is not seen"
        grid = draft.content["spectra"][name]["grid"]
        if lines.count != spectrum.grid.count:
            grid = _stretched(spectrum.grid.model_dump(mode="json"), lines.count)
    draft.put((*path, "grid"), grid, mark)
    if lines.medium != draft.content["spectra"][name].get("medium", "vacuum"):
        draft.put((*path, "medium"), lines.medium, f"{FOUND}: the start is round in it")
    elif lines.described is not None or lines.found is not None:
        draft.put((*path, "medium"), lines.medium, f"{FOUND}: the triplet fits with it")
    frame = "rest" if lines.at_rest else "barycentric"
    if np.isfinite(lines.scatter):
        draft.put(
            (*path, "frame"), frame, f"{FOUND}: the triplet scatters by {lines.scatter:.1f} km/s"
        )


def _stretched(grid: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a grid of as many samples over the same wavelengths."""
    span = grid["step"] * (grid["count"] - 1)
    return grid | {"count": count, "step": round(span / max(1, count - 1), 6)}


def _draft_samples(draft: Draft, name: str, match: Match, product: Product) -> None:
    """Take the number of samples from the flux, or where that was not found, from its error."""
    profile = match.profile(product.flux) or match.profile(product.noise)
    grid = draft.content["spectra"][name]["grid"]
    if profile is None or profile.length is None or profile.length == grid["count"]:
        return
    lines = draft.content["spectra"][name]["kind"] == "lines" and "step" in grid
    made = _stretched(grid, profile.length) if lines else {**grid, "count": profile.length}
    draft.put(("spectra", name, "grid"), made, f"{CHECK}: {profile.length} samples")


def draft_rules(draft: Draft, by_table: dict[str, Match], release: ReleaseSpec) -> None:
    """Take out or change rules whose columns are gone."""
    tables = draft.content["tables"]
    homes = [release.source_table, *draft.content.get("joined_tables", [])]
    columns = {name for table in homes for name in tables[table]["columns"]}
    _draft_zero_point(draft, release, columns, by_table)
    if release.parallax and not {"parallax", "parallax_error"} <= columns:
        lost = [name for name in ("parallax", "parallax_error") if name not in columns]
        draft.put(("parallax",), False, f"{CHECK}: {draft.not_found(lost)}")
    for group, bands in release.photometry.items():
        gone = [spec.column for spec in bands.bands.values() if spec.column not in columns]
        if gone:
            draft.drop(("photometry", group), draft.not_found(gone))
    for band, column in release.magnitude_errors.items():
        gone = [name for name in (band, column) if name not in columns]
        if gone:
            draft.drop(("magnitude_errors", band), draft.not_found(gone))
    for name, content in draft.content["spectra"].items():
        own = {
            column
            for product in content["products"]
            for column in tables[product["table"]]["columns"]
        }
        if content.get("sig_to_noise") not in {None, *columns, *own}:
            column = content["sig_to_noise"]
            why = f"{draft.not_found([column])}; samples give one"
            draft.drop(("spectra", name, "sig_to_noise"), why)
        _draft_normalisation(draft, name, content.get("normalisation"), columns | own)


def _draft_zero_point(
    draft: Draft, release: ReleaseSpec, columns: set[str], by_table: dict[str, Match]
) -> None:
    """Keep the zero point's rule and its fallback as far as their columns are there."""
    rule, path = release.parallax_zero_point, ("parallax_zero_point",)
    gone = sorted(set(rule.inputs.values()) - columns)
    lost = sorted(set(rule.fallback.inputs.values()) - columns) if rule.fallback else []
    if gone and rule.fallback is not None and not lost:
        made = draft.content["parallax_zero_point"]["fallback"]
        draft.put(path, made, f"{CHECK}: {draft.not_found(gone)}; the fallback is left")
    elif gone:
        draft.put(path, {"rule": "none"}, f"{CHECK}: {draft.not_found(gone)}")
    elif lost:
        none = {"rule": "none"}
        draft.put((*path, "fallback"), none, f"{CHECK}: {draft.not_found(lost)}")
    elif rule.bias is not None and rule.fallback is None:
        seen = [match.profile(rule.bias) for match in by_table.values()]
        share = max(
            (each.nulls / max(1, each.rows) for each in seen if each is not None), default=0
        )
        if share > 0:
            mark = f"{CHECK}: {share:.0%} of {rule.bias} are null"
            draft.put((*path, "fallback"), _fallback(columns), mark)


def _fallback(columns: set[str]) -> dict[str, Any]:
    """Return the rule for stars without a bias: Lindegren's where its inputs are, else none."""
    inputs = {name: name for name in sorted(LINDEGREN_INPUTS)}
    if _SOLVED not in columns:
        inputs[_SOLVED] = _SOLVED_AS_BITS
    known = columns.issuperset(inputs.values())
    return {"rule": "lindegren2021", "inputs": inputs} if known else {"rule": "none"}


def _draft_normalisation(
    draft: Draft, name: str, rule: dict[str, Any] | None, columns: set[str]
) -> None:
    needed = rule and (rule.get("column") or rule.get("code"))
    if needed and needed not in columns:
        lines = draft.lines.get(name)
        told = lines.medians.at_one[lines.medians.telling] if lines is not None else np.zeros(0)
        fixed = "constant" if told.size and told.mean() > 0.5 else "pseudo_continuum"
        share = f"{told.mean():.0%} of {told.size} medians are 1" if told.size else "not measured"
        draft.put(
            ("spectra", name, "normalisation"),
            {"fixed": fixed},
            f"{CHECK}: {draft.not_found([needed])}; {share}",
        )
