"""A label survey as data: file, columns, null values and named quality cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from catalog_builder.contract.columns import controlled_ucd, standard_unit
from catalog_builder.contract.description import Description, Grown, load_description
from catalog_builder.contract.labels import (
    Label,
    LabelName,
    Labels,
    known_labels,
    refuse_twice,
)
from catalog_builder.contract.references import Reference
from catalog_builder.contract.units import UnitText, same_unit


class LabelColumn(Description):
    """One label: its columns in the survey's file, and how far its errors are believed.

    Parameters
    ----------
    column, error : str
        Columns of the value and of its 1-sigma error.
    unit : str
        Unit of both.
    error_floor : float
        Smallest error believed; smaller ones (formal errors of bright stars) are raised to it.
    error_if_missing : float
        Error of a value that comes without a usable one (null, zero or negative).
    """

    column: str
    error: str
    unit: UnitText
    error_floor: Annotated[float, Field(gt=0)]
    error_if_missing: Annotated[float, Field(gt=0)]


class BitTest(Description):
    """Fails a star when any of the named bits is set."""

    column: str
    any_of: Annotated[tuple[str, ...], Field(min_length=1)]


class RangeTest(Description):
    """Fails a star whose value lies outside [minimum, maximum].

    A null fails a `minimum` (a star without S/N is not known to be good) and passes where only a
    `maximum` is given (what a missing error means is the label's `error_if_missing`).
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("give a minimum, a maximum or both")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self


class Cut(Description):
    """A named quality cut: one test, and what is lost when it fails.

    Parameters
    ----------
    name : str
        Counted under this name.
    because : str
        One sentence for the reader of the counts.
    bits, range
        The test; exactly one of them.
    rejects : "star" or tuple of str
        The whole star, or the labels that become null.
    optional : bool
        Whether the cut is skipped where the file lacks its column.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    because: Annotated[str, Field(min_length=1)]
    bits: BitTest | None = None
    range: RangeTest | None = None
    rejects: Literal["star"] | tuple[LabelName, ...]
    optional: bool = False

    @model_validator(mode="after")
    def _has_one_test(self) -> Self:
        if (self.bits is None) == (self.range is None):
            raise ValueError("give exactly one test: bits or range")
        if not self.rejects:
            raise ValueError("`rejects` must be `star` or name at least one label")
        return self

    @property
    def column(self) -> str:
        """Column of the file that the cut looks at."""
        test = self.bits or self.range
        return test.column if test else ""


class DownloadFile(Description):
    """Where the survey's file is published, and its SHA-1 or the ``.sha1sum`` list that has it."""

    url: HttpUrl
    sha1: Annotated[str | None, Field(pattern=r"^[0-9a-f]{40}$")] = None
    sha1_list: HttpUrl | None = None


class CrossMatch(Description):
    """A table of which of the survey's stars is which of the archive's.

    Parameters
    ----------
    files : tuple of str
        Candidate files (FITS) relative to the archive's root, and then by name beside the survey's
        file; the first found counts.
    hdu : int
        FITS extension with the table.
    own : str
        Its column with the survey's identifier, as the survey's `source_id` has it.
    source_id : str
        Its column with the archive's identifier, an integer or text: a star's, where the archive
        may have several spectra of one.
    distance : str, optional
        Its column of the distance between both, in whatever unit. Of several candidates the
        nearest counts, without it the first.
    largest_distance : float, optional
        A pair that is farther apart is none.
    """

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    hdu: Annotated[int, Field(ge=1)] = 1
    own: str
    source_id: str
    distance: str | None = None
    largest_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _what_is_limited_is_there(self) -> Self:
        if self.largest_distance is not None and self.distance is None:
            raise ValueError("largest_distance needs `distance`, the column it limits")
        return self


class LabelSurvey(Grown):
    """A label survey, as described in ``schemas/labels/<name>.yaml``.

    Parameters
    ----------
    name, title, credit : str
        Short name, title and the acknowledgement that goes into products.
    acknowledgement, references : str, tuple of Reference
        Words of thanks that the survey asks for, and what is to be cited.
    source_id_release : str
        Release to which the survey's identifiers of the archive's stars belong (those of the
        crossmatch, where there is one); they are no keys in another one.
    files : tuple of str
        Candidate files relative to the archive's root; the first found counts.
    hdu : int
        FITS extension with the table.
    source_id, sig_to_noise : str
        Columns of the identifier (0, negative or empty: none) and of the S/N.
    identifier : str, optional
        Column of the survey's own name of a star, or of a spectrum of it: text or an integer. It is
        published beside the labels of the stars that taught.
    text_ids : bool
        Whether the identifiers are words.
    crossmatch : CrossMatch, optional
        Where the survey's identifiers are its own: which star of the archive each is.
    null_values : tuple of float
        Numbers that mean "no value", beside NaN.
    labels : dict of str to LabelColumn
        By name, in the order that the labels have everywhere.
    declares : tuple of Label
        Labels that ``schemas/known_labels.yaml`` does not know.
    bits : dict of str to dict of str to int
        Bit numbers by column and bit name.
    cuts : tuple of Cut
        Applied in order; a star is counted under the first cut that rejects it.
    duplicates : {"best_sig_to_noise"}
        Which row of a star counts: best S/N, then the first in the file.
    download : DownloadFile, optional
        Where the file is published.
    """

    added: ClassVar[tuple[str, ...]] = ("crossmatch", "text_ids")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str
    credit: str
    # Not in any digest: words for users, which shape nothing.
    acknowledgement: Annotated[str, Field(exclude=True)] = ""
    references: Annotated[tuple[Reference, ...], Field(exclude=True)] = ()
    source_id_release: str
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    hdu: Annotated[int, Field(ge=1)]
    source_id: str
    text_ids: bool = False
    crossmatch: CrossMatch | None = None
    sig_to_noise: str
    # Not in the digest of a survey: nothing is learnt from it. Label stores are planned with it.
    identifier: Annotated[str | None, Field(exclude=True)] = None
    null_values: tuple[float, ...] = ()
    labels: dict[LabelName, LabelColumn]
    declares: tuple[Label, ...] = ()
    bits: dict[str, dict[str, Annotated[int, Field(ge=0, le=63)]]] = Field(default_factory=dict)
    cuts: tuple[Cut, ...] = ()
    duplicates: Literal["best_sig_to_noise"]
    download: DownloadFile | None = None

    @model_validator(mode="after")
    def _declares_what_is_new(self) -> Self:
        refuse_twice(label.name for label in self.declares)
        for label in self.declares:
            if label.name in known_labels():
                raise ValueError(
                    f"`declares` has {label.name}, which is known: leave it out, or give it"
                    " another name"
                )
            _refuse_what_no_column_can_have(label)
            _refuse_what_cannot_be_drawn(label)
        return self

    @model_validator(mode="after")
    def _units_are_those_of_the_labels(self) -> Self:
        for label in self.declared if set(self.labels) <= set(self._known) else ():
            unit = self.labels[label.name].unit
            meant = "dex" if label.in_dex and not label.unit else label.unit
            # Where an abundance has no unit in a file, it is in dex all the same.
            if not (same_unit(unit, meant) or (label.in_dex and unit in {"", "dex"})):
                raise ValueError(
                    f"labels.{label.name}.unit is {unit!r}, but the label is in {meant!r}: convert"
                    " the column, or declare another label"
                )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = self._known
        if unknown := sorted(set(self.labels) - set(known)):
            raise ValueError(
                f"`labels` names {', '.join(unknown)}, which is not declared; known are"
                f" {', '.join(known)}"
            )
        if not self.labels:
            raise ValueError(f"`labels` names none of {', '.join(known)}")
        names = [cut.name for cut in self.cuts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"cuts with the same name: {twice}")
        for cut in self.cuts:
            self._check_bits(cut)
            lost = () if cut.rejects == "star" else cut.rejects
            if unknown := sorted(set(lost) - set(known)):
                raise ValueError(f"cut {cut.name} rejects {', '.join(unknown)}: no such label")
        return self

    @property
    def _known(self) -> dict[str, Label]:
        return {**known_labels(), **{label.name: label for label in self.declares}}

    @property
    def declared(self) -> Labels:
        """The labels that it gives, in order."""
        known = self._known
        return Labels(known[name] for name in self.labels)

    @property
    def used_cuts(self) -> tuple[Cut, ...]:
        """Cuts that reject stars, or labels that the survey gives."""
        return tuple(
            cut for cut in self.cuts if cut.rejects == "star" or set(cut.rejects) & set(self.labels)
        )

    @property
    def needed_columns(self) -> frozenset[str]:
        """Columns of its file without which it cannot be read; optional cuts may lack theirs."""
        cuts = {cut.column for cut in self.used_cuts if not cut.optional}
        labels = {name for each in self.labels.values() for name in (each.column, each.error)}
        return frozenset({self.source_id, self.sig_to_noise} | cuts | labels)

    def _check_bits(self, cut: Cut) -> None:
        if cut.bits is None:
            return
        known: dict[str, Any] = self.bits.get(cut.bits.column, {})
        unknown = sorted(set(cut.bits.any_of) - set(known))
        if unknown:
            raise ValueError(
                f"cut {cut.name}: {cut.bits.column} has no bit {', '.join(unknown)}; `bits` "
                f"names {', '.join(known) or 'none for that column'}"
            )

    def bit_mask(self, test: BitTest) -> int:
        """Return the integer with the test's bits set, 0 <= mask < 2**64."""
        numbers = self.bits[test.column]
        return sum(1 << number for number in {numbers[name] for name in test.any_of})


def _refuse_what_no_column_can_have(label: Label) -> None:
    """Raise ValueError here, so that the survey is named and not the catalogue's schema."""
    for key, check in (("unit", standard_unit), ("ucd", controlled_ucd)):
        try:
            check(getattr(label, key))
        except ValueError as error:
            raise ValueError(f"{key} of {label.name}: {error}") from error


def _refuse_what_cannot_be_drawn(label: Label) -> None:
    """Raise ValueError if a symbol is no mathtext; that of known labels is in order."""
    if "$" not in label.tex:
        return
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(label.tex)
    except ValueError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"tex of {label.name}, {label.tex!r}, cannot be drawn: {reason}") from None


def load_survey(name_or_path: str | Path) -> LabelSurvey:
    """Load a label survey by its name in ``schemas/labels`` or from a YAML file.

    Raises
    ------
    ConfigError
        If it is not there or not valid; the message names the key.
    """
    return load_description(LabelSurvey, "labels", name_or_path)
