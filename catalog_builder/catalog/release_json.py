"""RELEASE.json: what a sealed catalogue was made from, how good it is, and what it must contain.

It is written last, and its presence is what makes a folder a catalogue. ``columns`` seals the
values, ``manifest`` (the SHA-256 of the file ``SHA256SUMS``) every file, and ``seal`` this record
itself. ``sha256sum -c SHA256SUMS`` checks the files without this program; docs/verify.md has two
lines for the parts that ``SHA256PARTS`` lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from catalog_builder.catalog.between import MeasuredHere, leave_out
from catalog_builder.catalog.check_record import Check
from catalog_builder.catalog.credit_record import Credit
from catalog_builder.catalog.incident_record import Incidents
from catalog_builder.catalog.layout import RELEASE_FILE
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.inference.alarm_record import Comparison

# What `seal` finds out by itself; the rest is told to it.
SEALED_FIELDS: Final = frozenset(
    {
        *("format", "schema_version", "schema_digest", "columns", "block_rows", "exports"),
        *("manifest", "seal", "tables"),
    }
)

# Fields that records of version 0.1.0 do not have.
_ADDED: Final = (
    *("release_digest", "simulated", "partitions", "simulated_partitions", "model", "exports"),
    *("alarms", "drift", "block_rows", "checks", "sun", "selection", "credit"),
    "tables",
)


class Accounting(BaseModel):
    """Every requested source is a row or a counted reject."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requested: int = Field(ge=0)
    published: int = Field(ge=0)
    rejected: dict[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.requested != self.published + sum(self.rejected.values()):
            raise ValueError(
                f"{self.requested} requested are not {self.published} published and "
                f"{sum(self.rejected.values())} rejected"
            )
        return self


class ModelFacts(BaseModel):
    """The model that made the labels, and whose test stars ``metrics`` is of.

    What is `None` the model does not record (:class:`catalog_builder.model.origin.ModelOrigin`).

    Attributes
    ----------
    trained_elsewhere : bool
        Whether the model was given: then its test stars are not of this catalogue's archive,
        unless ``archive`` says so.
    release, release_title, release_digest : str, optional
        The archive release of its stars, and the digest of that release's description.
    survey, survey_title : str, optional
        Where its labels are from.
    archive : str, optional
        Digest of the files that its stars and labels are from.
    partitions, stars : int, optional
        How many partitions have stars with labels, and how many these are.
    simulated : bool, optional
        Whether any of its stars is simulated.
    parent, calibrated_release, calibrated_stars : optional
        Where sigma was fitted anew: digest of the model before, release and number of stars.
    answers_seen : bool, optional
        True of a model without folds: stars that taught are answered by networks that saw them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained_elsewhere: bool
    release: str | None = None
    release_title: str | None = None
    release_digest: str | None = None
    survey: str | None = None
    survey_title: str | None = None
    archive: str | None = None
    partitions: int | None = None
    stars: int | None = None
    simulated: bool | None = None
    parent: str | None = None
    calibrated_release: str | None = None
    calibrated_stars: int | None = None
    answers_seen: Literal[True] | None = None


class Exported(BaseModel):
    """An export of the catalogue: its file, and what that is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    media_type: str


class DriftFacts(BaseModel):
    """The comparison with an older catalogue that is sealed with this one.

    Attributes
    ----------
    release, version, seal : str
        Of the older one.
    verdict : str
        In a sentence.
    files : dict of str to str
        SHA-256 of the page and of the JSON file, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str
    version: str
    seal: str
    verdict: str
    files: dict[str, str]


class SelectionFacts(BaseModel):
    """The counts of sources behind the selection function, in ``selection/``.

    Attributes
    ----------
    order : int
        HEALPix order of their pixels.
    sky : float
        Share of the sky all of whose sources were counted.
    totals : dict of str to int
        Sources of the archive there, those asked for, those published, and those of each tier.
    subset : bool
        Whether hardly a source of the archive was not asked for: then it is no list of all stars
        but one of those with spectra, and probabilities say nothing of others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: int = Field(ge=0, le=9)
    sky: float = Field(ge=0, le=1)
    totals: dict[str, int]
    subset: bool


class ReleaseRecord(BaseModel):
    """The content of RELEASE.json.

    Attributes
    ----------
    format : int
        Version of this record's layout.
    catalogue, release, version : str
        Name of the catalogue, the archive release it was made from, its version.
    schema_version, schema_digest : str
        Of the column declarations, which lie beside it in ``schema.json``.
    release_digest : str, optional
        Of the release's description, as it was used.
    simulated : bool, optional
        Whether any of the stars is simulated. Not in records of version 0.1.0.
    partitions, simulated_partitions : int, optional
        How many were asked for, and how many of them hold simulated stars.
    software : dict of str to str
        Versions of the program and of the libraries that numbers depend on.
    model_digest, config_digest : str
        Of the model directory and of the settings that enter the result.
    inputs : dict of str to str
        Digest of each input file.
    columns : dict of str to str
        Digest of each stored column (:mod:`catalog_builder.catalog.digest`).
    block_rows : int, optional
        Rows of the blocks of which they are made. Not in records of version 0.1.0, whose digests
        are each one SHA-256 over all rows.
    exports : dict of str to Exported, optional
        What lies beside the zarr store, by the name of its format. Not in records of version 0.1.
    manifest : str
        SHA-256 of ``SHA256SUMS``, which lists all other files, and with ``SHA256PARTS`` the parts
        of those that are too large for one digest.
    model : ModelFacts, optional
        What that model was trained on. Not in records of version 0.1.0.
    drift : DriftFacts, optional
        How far its answers are from those of an older catalogue, where that was asked for.
    selection : SelectionFacts, optional
        What the selection function is made of, if the catalogue has one.
    tables : dict of str to SideFacts, optional
        Tables that lie beside it, by name.
    metrics : dict
        How good that model's labels are on the test split of its own training set, which is no
        part of this catalogue if the model was trained elsewhere.
    measured_here : MeasuredHere, optional
        The same on stars of this catalogue, where the model is of another release.
    unverified : bool, optional
        True where that was not measured: nothing says how good the labels are on this release.
    accounting : Accounting
        Requested, published and rejected sources.
    incidents : Incidents, optional
        What was wrong with the input.
    alarms : Comparison, optional
        Whether the stars are as those that the model was made for. Not in records of version 0.1.
    checks : tuple of Check, optional
        Whether the catalogue is as good as it should be. Not in records of version 0.1.
    sun : dict of str to float, optional
        Place and velocity of the Sun behind Galactocentric columns, kpc and km/s. Not in records of
        version 0.1.
    acknowledgements : tuple of str
        Who is to be credited by users of the catalogue.
    credit : Credit, optional
        What they cite, and its licence. Not in records of version 0.1.
    seal : str
        SHA-256 of all of the above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    catalogue: str
    release: str
    version: str
    release_digest: str | None = None
    simulated: bool | None = None
    partitions: int | None = None
    simulated_partitions: int | None = None
    schema_version: str
    schema_digest: str
    software: dict[str, str]
    model_digest: str
    config_digest: str
    inputs: dict[str, str]
    columns: dict[str, str]
    block_rows: int | None = None
    exports: dict[str, Exported] | None = None
    manifest: str
    model: ModelFacts | None = None
    drift: DriftFacts | None = None
    selection: SelectionFacts | None = None
    tables: dict[str, SideFacts] | None = None
    metrics: dict[str, Any]
    measured_here: MeasuredHere | None = None
    unverified: Literal[True] | None = None
    accounting: Accounting
    incidents: Incidents | None = None
    alarms: Comparison | None = None
    checks: tuple[Check, ...] | None = None
    sun: dict[str, float] | None = None
    acknowledgements: tuple[str, ...] = ()
    credit: Credit | None = None
    seal: str = ""

    def expected_seal(self) -> str:
        """Return what ``seal`` must be."""
        content = self.model_dump(exclude={"seal"}, by_alias=True)
        # Records from before there were these fields keep their seals.
        for name in _ADDED:
            if content[name] is None:
                del content[name]
        leave_out(content)
        if self.incidents is None:
            del content["incidents"]
        else:
            content["incidents"] = self.incidents.model_dump(exclude_none=True)
        return hashlib.sha256(_canonical(content).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the file's text: indented, in the order of the fields above."""
        # Not pydantic's JSON: it turns NaN into null in silence.
        content = self.model_dump(by_alias=True)
        leave_out(content)
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def make_record(release: Mapping[str, Any], sealed: Mapping[str, Any]) -> ReleaseRecord:
    """Put a record together and seal it.

    Parameters
    ----------
    release : mapping
        All fields but those that the seal finds out.
    sealed : mapping
        ``schema_version``, ``schema_digest``, ``columns``, ``block_rows``, ``exports``,
        ``manifest``.

    Raises
    ------
    CatalogueError
        If a field is missing, unknown or wrong, or a metric is not a finite number.
    """
    try:
        record = ReleaseRecord.model_validate({**release, **sealed})
        return record.model_copy(update={"seal": record.expected_seal()})
    except ValidationError as error:
        raise CatalogueError(
            f"{RELEASE_FILE} cannot be written: {explain(error)}.", "Give the missing fact."
        ) from error
    except (TypeError, ValueError) as error:
        raise CatalogueError(
            f"{RELEASE_FILE} cannot be written: {error}.", "Write null for a metric without value."
        ) from error


def read_release(folder: Path) -> ReleaseRecord:
    """Read ``RELEASE.json`` of a catalogue; its seal is not checked here.

    Raises
    ------
    CatalogueError
        If it is absent, not JSON, or not such a record.
    """
    path = folder / RELEASE_FILE
    try:
        return ReleaseRecord.model_validate(parse_json(read_document(path)))
    except FileNotFoundError as error:
        raise CatalogueError(
            f"{folder} has no {RELEASE_FILE}: it is not a sealed catalogue.",
            "Publish it again, or give the folder of a version.",
        ) from error
    except ValidationError as error:
        raise CatalogueError(
            f"{path}: {explain(error)}.", "Publish the catalogue again."
        ) from error
    except DocumentError as error:
        raise CatalogueError(f"{path} is damaged: {error}.", "Restore it from a copy.") from error


def explain(error: ValidationError) -> str:
    """Return the first problem of a validation in words."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{key}: {first['msg']}" if key else first["msg"]


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
