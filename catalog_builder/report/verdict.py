"""What stands on top of the page: the verdict, and every check with its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog_builder.catalog.check_record import STATES, Check
from catalog_builder.report.html import Html, paragraph, table, text

#: Told apart by form, too, not by colour alone.
_MARKS: Final = {"pass": "✓", "warn": "!", "fail": "✗", "not tested": "–"}
_HEADS: Final = {
    "fail": "Not as it should be",
    "warn": "To be looked at",
    "pass": "As it should be",
}
#: What users of the catalogue do about a check that warns or fails.
_ADVICE: Final = {
    "accounting": "treat the sources that are missing as lost; do not take shares of all sources.",
    "coverage": "enlarge σ of these stars until 68 % of those with survey labels are within it.",
    "coverage_95": "enlarge the interval of these stars, or do not build on its ends.",
    "bias": "in work on these stars add the difference to σ, in quadrature.",
    "bias_along": "leave stars with these values out, or add the difference to their σ, in"
    " quadrature.",
    "scatter": "trust the scatter that is told here, not that of the model's test stars.",
    "fit_stars": "leave in_training_sample out wherever σ matters.",
    "columns": "do not use these columns before the run's log was read.",
    "sky": "take no counts of stars there.",
    "pile_up": "many answers of one value are the training stars' mean, not these stars' own: cut"
    " on prior_share, or do not use the label.",
    "inputs": "these stars are unlike the training archive's: look at their flags first.",
    "null_labels": "mind who has no label: a sample with labels is no fair sample of all.",
    "flags": "cut on this flag, or say which share of stars has it.",
    "tiers": "look which flags keep stars from their tier (section Tiers).",
    "members": "cut on member_disagreement: the networks were not made for such stars.",
    "drift": "do not mix this version with the one before.",
}


def checks_of(record: Mapping[str, Any]) -> list[Check]:
    """Return the checks of a catalogue; none of one that has none."""
    return [Check.model_validate(check) for check in record.get("checks") or ()]


def head(record: Mapping[str, Any]) -> str:
    """Return the verdict in a box: how many checks passed, and each that did not."""
    checks = checks_of(record)
    if not checks:
        return ""
    states = [one.state for one in checks]
    worst = next((state for state in ("fail", "warn") if state in states), "pass")
    counts = ", ".join(
        f"<b>{states.count(state)}</b> {_counted(state)}" for state in STATES if state in states
    )
    items = "".join(
        f"<li>{badge(one.state).markup} <strong>{_link(one)}</strong>: {text(one.words)}"
        f"{_advice(one)}</li>"
        for one in checks
        if one.state in {"fail", "warn"}
    )
    untested = [one for one in checks if one.state == "not tested"]
    rest = ""
    if untested:
        names = "; ".join(f"{one.title}: {one.words.rstrip('.')}" for one in untested)
        rest = f"<p>Not tested: {text(names)}.</p>"
    return (
        f'<div class="verdict {worst}" role="note"><p class="lead">{badge(worst).markup}'
        f" <strong>{_HEADS[worst]}.</strong> Of {len(checks)} checks {counts}."
        f' <a href="#checks">All checks</a></p>{f"<ul>{items}</ul>" if items else ""}{rest}</div>'
    )


def section(record: Mapping[str, Any]) -> str:
    """Return every check with what was found."""
    rows = [
        (badge(one.state), Html(f"<strong>{_link(one)}</strong>: {text(one.words)}{_advice(one)}"))
        for one in checks_of(record)
    ]
    words = paragraph(
        Html("<b>Fail</b>"),
        ": a number is beyond its tolerance by more than chance brings in one of a hundred"
        " catalogues with nothing wrong (checks.false_fail_rate), shared out among all checks and"
        " all their numbers. ",
        Html("<b>Warn</b>"),
        ": beyond its tolerance, and off by more than chance brings to one check in ten. ",
        Html("<b>Pass</b>"),
        ": neither. Each line has the number that is furthest off, and says beyond which numbers it"
        " would warn and fail. Tolerances are settings (checks.*); the program's documentation has"
        " their reasons.",
    )
    head = ("State", "Check, and what was found")
    return words + "\n" + table("Checks of this catalogue", head, rows, words=2)


def _advice(one: Check) -> str:
    """Return what users do about a check that warns or fails."""
    if one.state not in {"warn", "fail"} or one.name not in _ADVICE:
        return ""
    return f" <em>What to do: {_ADVICE[one.name]}</em>"


def badge(state: str) -> Html:
    """Return a state with its mark."""
    kind = state.replace(" ", "-")
    return Html(f'<span class="badge {kind}">{_MARKS[state]} {state}</span>')


def _link(one: Check) -> str:
    title = text(one.title)
    return f'<a href="#{text(one.figure)}">{title}</a>' if one.figure else title


def _counted(state: str) -> str:
    return {"fail": "failed", "warn": "warn", "not tested": "not tested", "pass": "passed"}[state]
