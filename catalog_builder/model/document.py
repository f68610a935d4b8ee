"""`model.json`: what a model directory says of itself, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from catalog_builder.contract.contract import Contract
from catalog_builder.galaxy.relation import Relation
from catalog_builder.ground.digests import in_order
from catalog_builder.ground.documents import DocumentError, parse_json
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import ANY_INPUTS, LabelFactors
from catalog_builder.model.files import COPY_AGAIN, read_whole
from catalog_builder.model.layout3 import LAYOUT_3, from_layout_3
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.measures import MOST_STARS, metric_problems
from catalog_builder.model.population import Population
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.scaling import Scaling

SELECTION_FILE: Final = "selection.safetensors"
TAUGHT_FILE: Final = "taught.safetensors"
FORMAT: Final = "catalog-builder model, layout 4"
#: Bytes of a document: one of five labels and four inputs with the most regimes and knots that
#: settings allow has about 2 MB.
_LIMIT = 32 << 20
_RETRAIN = "Train the model again with this version of the program."


def _rises(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"the least value {limits[0]:g} is above the greatest, {limits[1]:g}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_rises)]
Stars = Annotated[int, Field(ge=0, lt=MOST_STARS)]


def member_file(number: int) -> str:
    """Return the name of the file of a member's weights."""
    return f"member-{number:02d}.safetensors"


def fold_folder(number: int) -> str:
    """Return the name of the folder of the model that was trained without a fold."""
    return f"fold-{number:02d}"


class Weights(BaseModel):
    """One file of arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str


class Taught(BaseModel):
    """The stars that taught a model, and the models that answer for them.

    Attributes
    ----------
    stars : Weights
        The file of their mixed ids.
    source_id_release : str
        The archive release whose identifiers they are; empty if none is known.
    folds : tuple of str
        Digests of the models that were trained without one fold each; there may be none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stars: Weights
    source_id_release: Annotated[str, Field(max_length=200)]
    folds: Annotated[tuple[str, ...], Field(max_length=64)]


class ModelDocument(BaseModel):
    """The content of ``model.json``.

    Attributes
    ----------
    settings : ModelSettings
        Hyper-parameters; they fix the shapes of the weights.
    contract : Contract
        Its labels, in their order, and its inputs: all that is needed to use it.
    trained_labels : tuple of str
        Labels that enough fit stars had. The others are never predicted.
    trained_inputs : tuple of str
        Inputs that any fit star had. The others are ignored in prediction.
    label_stars : dict of str to int
        Fit stars per label.
    label_range : dict of str to (float, float)
        Least and greatest value of each trained label among the fit stars.
    magnitude_range, parallax_range : (float, float), optional
        The same of the magnitude [mag] and of the corrected parallax [mas].
    scaling : dict
        `Scaling.to_json`.
    calibration : dict
        Factors on sigma per label, for every subset of the inputs.
    training_digest, source_id_digest : str
        SHA-256 of the training arrays, and of the fit stars' source ids in order.
    metrics, provenance : dict
        Measured on the test stars; given by the caller.
    weights, selection : tuple of Weights, Weights
        The members' files, and that of the tests of strangeness.
    taught : Taught, optional
        The stars that taught it.
    population : Population, optional
        A sample of its training archive; neither is of a model of version 0.1, or for a fold.
    luminosity : Relation, optional
        Absolute magnitudes as its stars taught them; not where good parallaxes were too few, or of
        an older model.
    digest : str
        Of all the above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: str = FORMAT
    settings: ModelSettings
    contract: Contract
    trained_labels: tuple[str, ...]
    trained_inputs: tuple[str, ...]
    label_stars: dict[str, Stars]
    label_range: dict[str, Range]
    magnitude_range: Range | None
    parallax_range: Range | None
    scaling: dict[str, list[float]]
    calibration: dict[str, tuple[LabelFactors, ...]]
    training_digest: str
    source_id_digest: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    weights: tuple[Weights, ...]
    selection: Weights
    taught: Taught | None = None
    population: Population | None = None
    luminosity: Relation | None = None
    digest: str = ""

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
        document = ModelDocument.model_validate(_upgraded(content))
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
        document.settings.refuse_too_large(document.contract)
        Scaling.from_json(document.scaling, document.contract)
    except ModelError as error:
        raise ModelError(f"{file}: {error.problem}", _RETRAIN) from error
    return document


def refuse_foreign_fold(folder: Path, whole: ModelDocument, digest: str) -> None:
    """Refuse what is not the model, with this digest, of a fold of another model.

    Raises
    ------
    ModelError
    """
    problem = "it is a symbolic link" if folder.is_symlink() else ""
    fold = read_document(folder)
    if fold.digest != digest:
        problem = "its digest differs"
    elif fold.taught is not None:
        problem = "it has folds of its own"
    elif fold.contract != whole.contract or fold.trained_labels != whole.trained_labels:
        problem = "it has other labels or inputs"
    elif fold.settings != whole.settings.of_fold():
        # Sizes are bounded for all networks together.
        problem = "it has other settings"
    if problem:
        raise ModelError(f"{folder} is not of the model that it lies in: {problem}.", COPY_AGAIN)


def _upgraded(content: Any) -> Any:
    """Return a document as one of this layout; what is of neither is left for its check."""
    if isinstance(content, dict) and content.get("format") == LAYOUT_3:
        return {**from_layout_3(content), "format": FORMAT}
    return content


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
    labels, inputs = document.contract.labels, document.contract.inputs
    for key, names, known in (
        ("trained_labels", document.trained_labels, labels.names),
        ("trained_inputs", document.trained_inputs, inputs.names),
    ):
        if not names or names != tuple(name for name in known if name in names):
            yield (
                f"{key} are {_some(names)}: none, one twice, or others than {_some(known)} in this"
                " order"
            )
    if set(document.label_stars) != set(labels.names):
        yield f"label_stars is of {_some(document.label_stars)}, not of {_some(labels.names)}"
    if set(document.label_range) != set(document.trained_labels):
        yield f"label_range is of {_some(document.label_range)}, not of the trained_labels"
    if document.luminosity is not None and not (
        set(document.luminosity.labels) <= set(document.trained_labels)
    ):
        yield f"luminosity is of {_some(document.luminosity.labels)}, which are not all trained"
    yield from _calibration_problems(document)
    yield from metric_problems(document.metrics, labels)
    members = len(document.weights)
    if not 1 <= members <= document.settings.members:
        yield f"weights: {members} members of {document.settings.members} (settings.members)"
    taught = document.taught
    files = (*document.weights, document.selection)
    names = (*map(member_file, range(members)), SELECTION_FILE)
    if taught is not None:
        files, names = (*files, taught.stars), (*names, TAUGHT_FILE)
        if len(taught.folds) not in {0, document.settings.folds}:
            yield f"taught.folds: {len(taught.folds)} of {document.settings.folds} (settings.folds)"
    for weights, name in zip(files, names, strict=True):
        # Any other name would lead to other files, outside of the directory perhaps.
        if weights.file != name:
            yield f"weights are in {weights.file[:100]!r}, not in {name}"


def _calibration_problems(document: ModelDocument) -> Iterator[str]:
    labels = len(document.contract.labels)
    known = [name for name in document.contract.inputs.names if name in document.trained_inputs]
    unknown = [key for key in document.calibration if key != ANY_INPUTS and not _is_of(key, known)]
    if unknown or ANY_INPUTS not in document.calibration:
        yield f"calibration lacks {ANY_INPUTS!r}, or has the unknown {_some(unknown)}"
    for key, factors in document.calibration.items():
        if len(factors) != labels:
            yield f"calibration.{key} is not calibrated for {labels} labels"


def _is_of(key: str, known: list[str]) -> bool:
    """Tell whether a key names some of the inputs, in their order."""
    names = set(key.split("+"))
    return key == "+".join(name for name in known if name in names)


def _some(names: Any) -> str:
    """Return a few of many names, shortened."""
    return ", ".join(repr(name[:40]) for name in list(names)[:8]) or "nothing"


def _content_digest(content: dict[str, Any]) -> str:
    sealed = {name: value for name, value in content.items() if name != "digest"}
    if "contract" in sealed:
        sealed["contract"] = in_order(sealed["contract"])
    text = json.dumps(sealed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
