"""`model.json`: what a model directory says of itself, and its digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from catalog_builder.errors import ModelError
from catalog_builder.model.calibration import LabelFactors
from catalog_builder.model.settings import ModelSettings

MODEL_JSON = "model.json"
FORMAT = "catalog-builder model, layout 3"
#: Settings that came after the layout, as models have them that do not name them.
_NOT_YET = {"untold_share": 0.0}


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

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    settings: ModelSettings
    labels: tuple[str, ...]
    trained_labels: tuple[str, ...]
    trained_inputs: tuple[str, ...]
    label_stars: dict[str, int]
    label_range: dict[str, tuple[float, float]]
    g_range: tuple[float, float] | None
    parallax_range: tuple[float, float] | None
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
        If it is absent, not as described, or was changed since it was written.
    """
    file = path / MODEL_JSON
    try:
        text = file.read_bytes()
        document = ModelDocument.model_validate_json(text)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read ({error.strerror}).",
            "Give the folder of a trained model: the one that holds model.json.",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{file} is not a model of this program: {where or 'the file'}: {first['msg']}.",
            "Train the model again with this version of the program.",
        ) from error
    if document.format != FORMAT:
        raise ModelError(
            f"{file} has the layout {document.format!r}; this program reads {FORMAT!r}.",
            "Train the model again with this version of the program.",
        )
    # Of what was written, not of what was understood: a later version of the program has settings
    # with defaults that an older model.json does not name.
    if document.digest != _content_digest(json.loads(text)):
        raise ModelError(
            f"{file} does not match its own digest: it was changed after training.",
            "Copy the model directory again from where it was made, or train again.",
        )
    return document


def _content_digest(content: dict[str, Any]) -> str:
    sealed = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(sealed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
