"""Rules that a draft takes over from an older release, where an archive is not wholly like it.

No file says how its numbers were made or which of them to trust: such lines are of the older
release alone, and a draft that was made beside it says so of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.inspecting.columns import uses
from catalog_builder.inspecting.draft_missing import needed_columns
from catalog_builder.inspecting.drafting import Draft, Path
from catalog_builder.inspecting.match import Match

_THANKS: Final = "whom this archive asks to thank and to cite"
#: Rules by their key, with what is to be held against the archive's documentation.
_OF_RELEASE: Final = {
    "acknowledgement": _THANKS,
    "references": _THANKS,
    "several_spectra": "whether a star may have several spectra here",
    "magnitude_errors": "whether these columns are flux over error of these bands",
    "parallax_zero_point": "whether the parallaxes here have this bias",
}
_OF_SPECTRUM: Final = {
    "medium": "whether wavelengths are in it",
    "frame": "whether spectra were moved to it",
    "resolution": "the instrument's",
    "correlation_length": "how far errors of samples go together",
    "normalisation": "how these spectra were normalised",
    "sig_to_noise": "whether this is the S/N of a sample",
    "low_sig_to_noise": "the limit is of the older release's spectra",
    "least_sig_to_noise": "the cut is of the older release's spectra",
    "steps": "masks and continuum are of the older release's spectra",
    "flux_unit": "the unit of flux and error",
    "scale_window": "where these spectra are scaled",
}
_REDDENING: Final = "whether the law of extinction is that of these bands"


def mark_carried(draft: Draft, by_table: dict[str, Match], release: ReleaseSpec) -> None:
    """Mark each rule that is as in the older release and that no file confirms."""
    unlike = list(_unlike(by_table, release))
    if not unlike:
        return
    draft.unlike = unlike
    for path, why in _rules(draft):
        if path not in draft.marks:
            draft.carried[path] = why


def _unlike(by_table: dict[str, Match], release: ReleaseSpec) -> Iterator[str]:
    """Yield what tells an archive from the release: tables and columns that are not as described.

    A part of a release is as the whole: tables of some spectra, and columns that no rule uses, may
    be missing.
    """
    driving = [table for table in release.driving_tables if table in by_table]
    used = {use.column for use in uses(release)}
    for table in (*release.looked_up, *(driving or release.driving_tables)):
        match = by_table.get(table)
        if match is None:
            yield table
            continue
        for name, column in release.tables[table].columns.items():
            found, profile = match.columns.get(name), match.profile(name)
            if found is None or profile is None:
                is_odd = name in used or name in needed_columns(release, table)
            else:
                natives = {each.lower() for each in release.tables[table].native_names(name)}
                other = profile.kind != "empty" and profile.length != column.length
                is_odd = other or found.name.lower() not in natives
            if is_odd:
                yield f"{table}.{name}"


def _rules(draft: Draft) -> Iterator[tuple[Path, str]]:
    """Yield the rules that a draft has, and what is to be checked of each."""
    content = draft.content
    yield from (((key,), why) for key, why in _OF_RELEASE.items() if key in content)
    for name, spectrum in content["spectra"].items():
        for key, why in _OF_SPECTRUM.items():
            if key in spectrum:
                yield ("spectra", name, key), why
    for name, group in content.get("photometry", {}).items():
        if "reddening_free" in group:
            yield ("photometry", name, "reddening_free"), _REDDENING
