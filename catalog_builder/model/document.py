"""`model.json`: what a model directory says of itself, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from catalog_builder.documents import DocumentError, parse_json
from catalog_builder.errors import ModelError
from catalog_builder.model.calibration import ANY_INPUTS, LabelFactors, inputs_key
from catalog_builder.model.files import COPY_AGAIN, read_whole
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.scaling import Scaling
from catalog_builder.model.settings import ModelSettings
from catalog_builder.schema import LABELS, MODALITIES

SELECTION_FILE: Final = "selection.safetensors"
FORMAT = "catalog-builder model, layout 3"
#: Settings that came after the layout, as models have them that do not name them.
_NOT_YET = {"untold_share": 0.0}
#: Bytes of a document: with the most regimes and knots that settings allow it has some 2 MB.
_LIMIT = 8 << 20
_RETRAIN = "Train the model again with this version of the program."
#: What is read of the measures of a label.
_MOST, _MOST_STARS = 1e300, 2**53
_MEASURES = ("stars", "robust_scatter", "bias", "coverage_68", "coverage_95")


def _rises(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"the least value {limits[0]:g} is above the greatest, {limits[1]:g}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_rises)]
Stars = Annotated[int, Field(ge=0, lt=_MOST_STARS)]


def member_file(number: int) -> str:
    """Return the name of the file of a member's weights."""
    return f"member-{number:02d}.safetensors"


class Weights(BaseModel):
    """One file of arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str


class ModelDocument(BaseModel):
    """The content of ``model.json``.

    Attributes
    ----------
    settings : ModelSettings
        Hyper-parameters; they fix the shapes of the weights.
    labels, trained_labels : tuple of str
        Order of the labels, and those that enough fit stars had. The others are never predicted.
    trained_inputs : tuple of str
        Inputs that any fit star had. The others are ignored in prediction.
    label_stars : dict of str to int
        Fit stars per label.
    label_range : dict of str to (float, float)
        Least and greatest value of each trained label among the fit stars.
    g_range, parallax_range : (float, float), optional
        The same of G [mag] and of the corrected parallax [mas].
    scaling : dict
        `Scaling.to_json`.
    calibration : dict
        Factors on sigma per label, for every subset of the inputs.
    training_digest, source_id_digest : str
        SHA-256 of the training arrays, and of the fit stars' source ids in order.
    metrics : dict
        Measured on the test stars.
    provenance : dict
        Given by the caller.
    weights : tuple of Weights
        The members' files.
    selection : Weights
        The file of the tests of strangeness.
    digest : str
        SHA-256 of all the above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: str = FORMAT
    settings: ModelSettings
    labels: tuple[str, ...]
    trained_labels: tuple[str, ...]
    trained_inputs: tuple[str, ...]
    label_stars: dict[str, Stars]
    label_range: dict[str, Range]
    g_range: Range | None
    parallax_range: Range | None
    scaling: dict[str, list[float]]
    calibration: dict[str, tuple[LabelFactors, ...]]
    training_digest: str
    source_id_digest: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    weights: tuple[Weights, ...]
    selection: Weights
    digest: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_what_is_newer(cls, content: Any) -> Any:
        """Say of an older model that it was trained without what came later."""
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            return {**content, "settings": {**_NOT_YET, **content["settings"]}}
        return content

    def content_digest(self) -> str:
        """Return the SHA-256 of everything but the digest itself, as hexadecimal digits."""
        return _content_digest(self.model_dump(mode="json"))

    def to_bytes(self) -> bytes:
        """Return the text of ``model.json``."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode()


def read_document(path: Path) -> ModelDocument:
    """Read and check ``model.json`` of a model directory.

    Raises
    ------
    ModelError
        If it is absent, not as described, asks for what no training makes, or was changed since it
        was written.
    """
    file = path / MODEL_JSON
    content = _read(file)
    try:
        document = ModelDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{file} is not a model of this program: {where or 'the file'}: {first['msg']}.",
            _RETRAIN,
        ) from error
    if document.format != FORMAT:
        raise ModelError(
            f"{file} has the layout {document.format!r}; this program reads {FORMAT!r}.", _RETRAIN
        )
    # Of what was written, not of what was understood: a later version of the program has settings
    # with defaults that an older model.json does not name.
    if document.digest != _content_digest(content):
        raise ModelError(
            f"{file} does not match its own digest: it was changed after training.", COPY_AGAIN
        )
    for problem in _problems(document):
        raise ModelError(f"{file} is not a model of this program: {problem}.", _RETRAIN)
    try:
        Scaling.from_json(document.scaling)
    except ModelError as error:
        raise ModelError(f"{file}: {error.problem}", _RETRAIN) from error
    return document


def _read(file: Path) -> Any:
    if not file.exists():
        raise ModelError(
            f"{file} cannot be read (there is no such file).",
            "Give the folder of a trained model: the one that holds model.json.",
        )
    try:
        content = parse_json(read_whole(file, _LIMIT), _LIMIT)
    except DocumentError as error:
        raise ModelError(f"{file} cannot be read: {error}.", COPY_AGAIN) from error
    for key in _not_finite(content):
        raise ModelError(
            f"{file} is not a model of this program: {key} is not a finite number.", _RETRAIN
        )
    return content


def _not_finite(value: Any, key: str = "") -> Iterator[str]:
    """Yield the keys of the numbers that are infinite or NaN; both can be spelt in JSON."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _not_finite(below, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _not_finite(below, f"{key}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield key


def _problems(document: ModelDocument) -> Iterator[str]:
    """Yield what no training of this program writes, though every value is of its type."""
    if document.labels != LABELS:
        yield f"labels are {_some(document.labels)}, not {LABELS}"
    for key, names, known in (
        ("trained_labels", document.trained_labels, LABELS),
        ("trained_inputs", document.trained_inputs, MODALITIES),
    ):
        if not names or names != tuple(name for name in known if name in names):
            yield f"{key} are {_some(names)}: none, one twice, or others than {known} in this order"
    if set(document.label_stars) != set(LABELS):
        yield f"label_stars is of {_some(document.label_stars)}, not of {LABELS}"
    if set(document.label_range) != set(document.trained_labels):
        yield f"label_range is of {_some(document.label_range)}, not of the trained_labels"
    yield from _calibration_problems(document)
    yield from _metric_problems(document.metrics)
    members = len(document.weights)
    if not 1 <= members <= document.settings.members:
        yield f"weights: {members} members of {document.settings.members} (settings.members)"
    files = (*document.weights, document.selection)
    for weights, name in zip(
        files, (*map(member_file, range(members)), SELECTION_FILE), strict=True
    ):
        # Any other name would lead to other files, outside of the directory perhaps.
        if weights.file != name:
            yield f"weights are in {weights.file[:100]!r}, not in {name}"


def _calibration_problems(document: ModelDocument) -> Iterator[str]:
    usable = [(name in document.trained_inputs, False) for name in MODALITIES]
    subsets = {inputs_key(np.array(used)) for used in product(*usable)} - {""}
    unknown = set(document.calibration) - subsets - {ANY_INPUTS}
    if unknown or ANY_INPUTS not in document.calibration:
        yield f"calibration lacks {ANY_INPUTS!r}, or has the unknown {_some(unknown)}"
    for key, labels in document.calibration.items():
        if len(labels) != len(LABELS):
            yield f"calibration.{key} is not calibrated for {len(LABELS)} labels"


def _metric_problems(metrics: dict[str, Any]) -> Iterator[str]:
    """Yield what the closing lines and the report could not show."""
    if "as_observed" not in metrics:
        yield "metrics are not given of the stars as_observed"
    for view, measured in metrics.items():
        if not isinstance(measured, dict) or set(measured) != {"all", "by_regime"}:
            yield f"metrics.{view} must hold `all` and `by_regime`"
            return
        regimes = measured["by_regime"]
        groups = [measured["all"], *regimes.values()] if isinstance(regimes, dict) else [None]
        for labels in groups:
            if not isinstance(labels, dict) or not set(labels) <= set(LABELS):
                yield f"metrics.{view} holds something else than labels"
                return
            if any(not _is_measured(measures) for measures in labels.values()):
                yield (
                    f"metrics.{view} lacks one of the measures {', '.join(_MEASURES)},"
                    " or has one that measures nothing"
                )


def _is_measured(measures: Any) -> bool:
    return (
        isinstance(measures, dict)
        and set(_MEASURES) <= set(measures)
        and all(type(value) in (int, float) for value in measures.values())
        # A float holds them all, and sums of them: JSON has integers of any size.
        and all(abs(value) < _MOST for value in measures.values())
        and type(measures["stars"]) is int
        and 0 <= measures["stars"] < _MOST_STARS
    )


def _some(names: Any) -> str:
    """Return a few of many names, shortened."""
    return ", ".join(repr(name[:40]) for name in list(names)[:8]) or "nothing"


def _content_digest(content: dict[str, Any]) -> str:
    sealed = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(sealed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
