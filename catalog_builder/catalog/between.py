"""What RELEASE.json says where the model is of another release than the stars."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

#: Fields of catalogues with a model of another release, and of one whose sigma was fitted anew.
_OF_ANOTHER_RELEASE: Final = ("measured_here", "unverified")
_RECALIBRATED: Final = ("parent", "calibrated_release", "calibrated_stars")
#: Said of a model without folds alone.
_WITHOUT_FOLDS: Final = ("answers_seen",)


class MeasuredHere(BaseModel):
    """How good the labels of a model of another release are on this catalogue's own stars.

    Attributes
    ----------
    release, survey : str
        The catalogue's archive release, and whose labels it was measured on.
    stars, taught : int
        Stars with labels that did not teach the model, and those that did.
    metrics : dict
        Of the first, ``as_observed``, and of the others, ``without_their_fold``: answered by
        models that were trained without them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str
    survey: str
    stars: int = Field(ge=0)
    taught: int = Field(ge=0)
    metrics: dict[str, Any]


def leave_out(content: dict[str, Any]) -> None:
    """Leave out what only catalogues with a model of another release, or without folds, have."""
    facts = content.get("model") or {}
    labels = (content.get("incidents") or {}).get("labels") or {}
    for where, names in (
        (content, _OF_ANOTHER_RELEASE),
        (facts, (*_RECALIBRATED, *_WITHOUT_FOLDS)),
        (labels, ("crosswalk",)),
    ):
        for name in names:
            if where.get(name) is None:
                where.pop(name, None)
