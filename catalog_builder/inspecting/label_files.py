"""Which files of an archive are those of a label survey, and which description takes them.

A survey's description says which columns its file must have: a file that has them all is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from catalog_builder.archive.readers.fits.table import open_fits_table
from catalog_builder.ground.errors import InputError
from catalog_builder.ground.resources import shipped_files
from catalog_builder.inspecting.finding import listed
from catalog_builder.inspecting.match import LookedTable
from catalog_builder.labels.agreed import DEFAULT_SURVEY
from catalog_builder.labels.survey import LabelSurvey, load_survey
from catalog_builder.runtime.redaction import redact_credentials

#: Share of a survey's columns from which a file may be an edition of it that has some others.
_NEARLY: Final = 0.7
_ANY: Final[Set[str]] = frozenset()
#: Kinds of columns that may be identifiers.
_WORDS, _NUMBERS = "SU", "iu"


@dataclass(frozen=True)
class LabelFile:
    """Files of labels.

    Attributes
    ----------
    looked : LookedTable
        The files.
    surveys : dict of str to LabelSurvey
        By name, the descriptions that take it: first those for the archive's own identifiers.
    lacking : tuple of str
        Where none takes it as it is: columns that the one that is given lacks.
    """

    looked: LookedTable
    surveys: dict[str, LabelSurvey]
    lacking: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Path or address of the file, to be shown."""
        return redact_credentials(self.looked.url)

    def options(self, name: str) -> str:
        """Return the options with which a run takes the labels by one of the descriptions."""
        return f"`--labels {self.url} --set training.survey={name}`"

    def in_words(self) -> Iterator[str]:
        """Say how a run takes the labels."""
        if self.lacking:
            return
        for name, survey in self.surveys.items():
            yield (
                f"LABELS of {survey.title}, for stars with ids of {survey.source_id_release}:"
                f" {self.options(name)}{' (its default)' * (name == DEFAULT_SURVEY)}."
            )


def find_label_files(looked: Sequence[LookedTable], releases: Set[str] = _ANY) -> list[LabelFile]:
    """Find the files of label surveys among those of an archive.

    Parameters
    ----------
    looked : sequence of LookedTable
        The files of the archive, by groups.
    releases : set of str
        Releases whose identifiers it may have. Descriptions that take a file by a table of pairs
        are for other archives where that gives the identifiers of another release.
    """
    surveys = {file.stem: load_survey(file.stem) for file in shipped_files("labels")}
    found = (_surveys_of(one, surveys, releases) for one in looked if one.raw is not None)
    return [one for one in found if one is not None]


def _surveys_of(
    looked: LookedTable, surveys: dict[str, LabelSurvey], releases: Set[str]
) -> LabelFile | None:
    tables: dict[int, dict[str, str]] = {}
    fitting: dict[str, LabelSurvey] = {}
    near: list[tuple[float, str, tuple[str, ...]]] = []
    for name, survey in surveys.items():
        if survey.hdu not in tables:
            tables[survey.hdu] = _columns_of(looked, survey.hdu)
        there, needed = tables[survey.hdu], survey.needed_columns
        lacking = tuple(sorted(each for each in needed if each.lower() not in there))
        kinds = _WORDS if survey.text_ids else _NUMBERS
        if there.get(survey.source_id.lower(), "none") not in kinds:
            continue
        if not lacking:
            fitting[name] = survey
        elif len(lacking) <= (1 - _NEARLY) * len(needed):
            near.append((len(lacking) / len(needed), name, lacking))
    if fitting:
        here = {n for n, survey in fitting.items() if survey.source_id_release in releases}
        paired = {n for n, survey in fitting.items() if survey.crossmatch is not None}
        kept = fitting.keys() - (paired - here) or fitting.keys()
        order = sorted(kept, key=lambda name: (name not in here, name in paired, name))
        return LabelFile(looked, {name: fitting[name] for name in order})
    if near:
        _, name, lacking = min(near)
        return LabelFile(looked, {name: surveys[name]}, lacking)
    return None


def _columns_of(looked: LookedTable, hdu: int) -> dict[str, str]:
    """Return the columns of an extension in small letters, and their kinds; labels are FITS."""
    raw = looked.raw
    if raw is None or raw.format != "fits":
        return {}
    if hdu == 1:
        return {name.lower(): raw.types[name] for name in raw.names}
    try:
        with open_fits_table(looked.url, hdu) as table:
            return {name.lower(): table.kind(name)[0] for name in dict.fromkeys(table.names)}
    except InputError:
        return {}


def label_lines(file: LabelFile) -> Iterator[str]:
    """Say which survey's labels a file has, and how a run takes them."""
    yield f"LABELS {file.looked.group.name}"
    for name, survey in file.surveys.items():
        if file.lacking:
            yield (
                f"  nearly {name} ({survey.title}), but for {listed(file.lacking)}: name its own"
                f" columns in a copy of that description (`catalog-builder show labels/{name}`)"
            )
            continue
        pairs = survey.crossmatch
        beside = "" if pairs is None else f", by a table of pairs ({pairs.files[0]})"
        yield f"  {name} ({survey.title}): stars with ids of {survey.source_id_release}{beside}"
        yield f"    -> {file.options(name)}{' (the default survey)' * (name == DEFAULT_SURVEY)}"
