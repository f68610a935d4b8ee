"""The card of a model: what it was trained on, how far it reaches, how good it is, where it fails.

Made of nothing but its document, which stays as it is, so that older models have cards too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

CARD_FILE: Final = "MODELCARD.md"
#: Stars of a regime that is told by itself, and errors beyond which a coverage is called wrong.
_LEAST, _ERRORS = 20, 3.0
#: What honest sigma and interval hold.
_NOMINAL: Final = {"coverage_68": 0.6827, "coverage_95": 0.95}


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes
    ----------
    digest : str
        Of the model.
    facts : tuple of (str, str)
        What it was trained on, and of what it is made.
    ranges : tuple of tuple of str
        Quantity, fit stars, least, greatest, unit.
    tests : tuple of tuple of str
        Regime, label, stars, scatter, bias, shares within one sigma and in 95 %.
    failures : tuple of str
        Sentences.
    """

    digest: str
    facts: tuple[tuple[str, str], ...]
    ranges: tuple[tuple[str, ...], ...]
    tests: tuple[tuple[str, ...], ...]
    failures: tuple[str, ...]

    def markdown(self) -> str:
        """Return it as a page."""
        parts = [
            f"# Model {self.digest[:12]}",
            "Made of `model.json` when the model was; nothing reads it.",
            "## Trained on",
            *(f"- {title}: {value}" for title, value in self.facts),
            "## Ranges",
            "Beyond them answers are extrapolated, and flagged.",
            _table(RANGES_HEAD, self.ranges),
            "## On its test stars",
            "They took part neither in training nor in calibration. Regimes of fewer than"
            f" {_LEAST} stars are left out.",
            _table(TESTS_HEAD, self.tests),
            "## Known failures",
            *(f"- {failure}" for failure in self.failures),
        ]
        lines = []
        for one, following in zip(parts, [*parts[1:], ""], strict=True):
            lines.append(one)
            if not (one.startswith("- ") and following.startswith("- ")):
                lines.append("")
        return "\n".join(lines)


RANGES_HEAD: Final = ("Quantity", "Fit stars", "Least", "Greatest", "Unit")
TESTS_HEAD: Final = ("Regime", "Label", "Stars", "Scatter", "Bias", "Within 1 σ", "In 95 %")


def card_of(document: Mapping[str, Any]) -> Card:
    """Return the card of a model.

    Parameters
    ----------
    document : mapping
        The content of its ``model.json``, as JSON.
    """
    labels = {label["name"]: label for label in document["contract"]["labels"]}
    return Card(
        str(document["digest"]),
        tuple(_facts(document)),
        tuple(_ranges(document, labels)),
        tuple(_tests(document, labels)),
        tuple(_failures(document, labels)),
    )


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    origin, settings = document["provenance"], document["settings"]
    simulated = {True: "yes", False: "no"}.get(origin.get("simulated"), "not recorded")
    told = (
        ("stars of", origin.get("release_title") or origin.get("release")),
        ("labels of", origin.get("survey_title") or origin.get("survey")),
        ("stars with labels", origin.get("stars")),
        ("simulated", simulated),
        ("inputs", ", ".join(document["trained_inputs"])),
        ("labels", ", ".join(document["trained_labels"])),
        ("networks", settings.get("members")),
        ("models of folds, for stars that taught", settings.get("folds")),
        ("epochs at most", settings.get("epochs")),
        ("digest of the training arrays", document.get("training_digest")),
        ("sigma fitted anew on", origin.get("calibrated_release")),
    )
    for title, value in told:
        if value not in (None, ""):
            yield title, str(value)


def _ranges(document: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, (low, high) in document["label_range"].items():
        label = labels[name]
        digits = int(label["decimals"])
        stars = str(document["label_stars"].get(name, ""))
        yield name, stars, f"{low:.{digits}f}", f"{high:.{digits}f}", _unit(label)
    for name, unit in (("magnitude", "mag"), ("parallax", "mas")):
        if limits := document.get(f"{name}_range"):
            yield name, "", f"{limits[0]:.2f}", f"{limits[1]:.2f}", unit


def _measured(
    document: Mapping[str, Any], labels: Mapping[str, Any]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield regime, label and numbers, of all test stars and of regimes with enough of them."""
    own = document["metrics"].get("as_observed") or {}
    for regime, measured in (("all", own.get("all") or {}), *(own.get("by_regime") or {}).items()):
        for name in labels:
            values = measured.get(name)
            if values and values["stars"] >= _LEAST:
                yield regime, name, values


def _tests(document: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for regime, name, values in _measured(document, labels):
        digits = int(labels[name]["decimals"])
        yield (
            regime,
            f"{name} [{_unit(labels[name])}]",
            str(values["stars"]),
            f"{values['robust_scatter']:.{digits}f}",
            f"{values['bias']:+.{digits}f}",
            f"{100 * values['coverage_68']:.1f} %",
            f"{100 * values['coverage_95']:.1f} %",
        )


def _failures(document: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[str]:
    for name in labels:
        if name not in document["trained_labels"]:
            yield f"{name} is never answered: too few fit stars had it."
    for name in document["contract"]["inputs"].get("spectra") or {}:
        if name not in document["trained_inputs"]:
            yield f"{name} is never used: no fit star had it."
    for regime, name, values in _measured(document, labels):
        for what, nominal in _NOMINAL.items():
            error = math.sqrt(nominal * (1 - nominal) / values["stars"])
            if abs(values[what] - nominal) > _ERRORS * error:
                size = "too small" if values[what] < nominal else "too large"
                interval = "sigma" if what == "coverage_68" else "the interval of 95 %"
                yield (
                    f"{interval} of {name} is {size} ({regime}): it holds"
                    f" {100 * values[what]:.1f} % of {values['stars']} test stars."
                )
    if not document["settings"].get("folds"):
        yield "Stars that taught it have answers of networks that saw them: it has no folds."
    yield (
        "Answers are drawn to where labelled stars are many: at the ends of the ranges, hot stars"
        " and cool giants above all, bias and scatter are larger than the numbers above."
    )
    yield "A label that the survey has wrong is learnt with the others."


def _unit(label: Mapping[str, Any]) -> str:
    return "dex" if label.get("in_dex") else str(label.get("unit") or "1")


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)
