"""A comparison as JSON: all that the page shows, for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from catalog_builder.comparing import verdict
from catalog_builder.comparing.changes import Departures
from catalog_builder.comparing.engine import Comparison, total_rows
from catalog_builder.comparing.sides import Side
from catalog_builder.comparing.sketch import STEP
from catalog_builder.comparing.tally import Numbers, Tally

FORMAT: Final = 1
#: What RELEASE.json says of a catalogue that a comparison names.
_FACTS: Final = ("catalogue", "release", "version", "seal", "schema_version", "model_digest")


def content(comparison: Comparison) -> dict[str, Any]:
    """Return what a comparison found, as values of JSON; what is unknown is null."""
    rows = total_rows(comparison)
    found: dict[str, Any] = {
        "format": FORMAT,
        "verdict": verdict.in_words(comparison),
        "rules": {
            "median_in_sigma": verdict.MEDIAN,
            "share_within_1": verdict.SHARE,
            "errors": verdict.ERRORS,
            "errors_of_regimes": verdict.REGIME_ERRORS,
            "least_stars": verdict.LEAST_STARS,
            "resolution": f"differences in bins of {STEP:.0%} of their size",
        },
        "old": {**facts_of(comparison.old), "rows": rows[0]},
        "new": {**facts_of(comparison.new), "rows": rows[1]},
        "matched_by": comparison.matched_by,
        "pairs": comparison.stars,
        "correlation": dict(comparison.correlation),
        "labels": {name: _label(comparison, tally) for name, tally in comparison.tallies.items()},
        "labels_only_old": list(comparison.only_old),
        "labels_only_new": list(comparison.only_new),
        "flags": _flags(comparison),
        "tiers": None if comparison.changes.tiers is None else comparison.changes.tiers.tolist(),
        "lost": _departures(comparison, comparison.changes.lost),
        "gained": _departures(comparison, comparison.changes.gained),
    }
    result: dict[str, Any] = plain(found)
    return result


def to_json(comparison: Comparison) -> str:
    """Return the text of the file."""
    return json.dumps(content(comparison), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def facts_of(side: Side) -> dict[str, Any]:
    """Return what a document says of a catalogue."""
    facts: Mapping[str, Any] = getattr(side, "facts", {})
    known = {key: facts[key] for key in _FACTS if facts.get(key)}
    return {"title": side.title, **known, "accounting": facts.get("accounting")}


def _label(comparison: Comparison, tally: Tally) -> dict[str, Any]:
    judged = verdict.judge(tally)
    needed, error = tally.needed_correlation()
    regimes = {}
    for division in comparison.divisions:
        first = comparison.first_cell(division)
        regimes[division.name] = {
            regime: _judged(verdict.judge(tally, first + place))
            for place, regime in enumerate(division.regimes)
            if tally.numbers(first + place).stars
        }
    return {
        **_judged(judged),
        "correlation": tally.correlation,
        "needed_correlation": needed,
        "needed_correlation_error": error,
        "nulls": vars(tally.nulls),
        "regimes": regimes,
    }


def _judged(judged: verdict.Judgement) -> dict[str, Any]:
    state = {"state": judged.state, "reasons": list(judged.reasons)}
    return {**state, **_numbers(judged.numbers)}


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {
        "stars": numbers.stars,
        "unchanged": numbers.unchanged,
        "median": numbers.median,
        "median_error": numbers.median_error,
        "median_in_sigma": numbers.pull,
        "scatter": numbers.scatter,
        "sigma_old": numbers.sigma_old,
        "sigma_new": numbers.sigma_new,
        "least_within_1": numbers.least_within_1,
        "shares": {
            name: {
                "within_1": share.within_1,
                "beyond_1": 1 - share.within_1,
                "beyond_3": share.beyond_3,
            }
            for name, share in numbers.shares.items()
        },
    }


def _flags(comparison: Comparison) -> dict[str, Any]:
    changes = comparison.changes
    bits = {
        name: {"both": bit.both, "set": bit.set, "unset": bit.unset}
        for name, bit in changes.bits.items()
    }
    return {"bits": bits, "only_old": list(changes.only_old), "only_new": list(changes.only_new)}


def _departures(comparison: Comparison, who: Departures) -> dict[str, Any]:
    regimes = {
        division.name: {
            regime: int(count)
            for regime, count in zip(division.regimes, who.regimes[division.name], strict=True)
            if count
        }
        for division in comparison.divisions
        if division.name in who.regimes
    }
    return {"stars": who.stars, "reasons": dict(who.reasons), "regimes": regimes}


def plain(value: Any) -> Any:
    """Return a value without NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
