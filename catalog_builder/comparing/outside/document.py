"""A comparison with another table as JSON: all that the page shows, for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from catalog_builder.comparing.document import facts_of, plain
from catalog_builder.comparing.outside.engine import Beside
from catalog_builder.comparing.outside.outliers import BEYOND, Outliers
from catalog_builder.comparing.outside.words import in_words, left_out
from catalog_builder.comparing.sides import rows_of

FORMAT: Final = 1


def content(found: Beside) -> dict[str, Any]:
    """Return what was found, as values of JSON; what is unknown is null."""
    mapping = found.mapping
    whole: Mapping[str, Any] = {
        "format": FORMAT,
        "words": in_words(found),
        "catalogue": {**facts_of(found.side), "rows": rows_of(found.side)},
        "other": {
            "profile": mapping.name,
            "title": mapping.title,
            "cite": list(mapping.cite),
            "files": [path.name for path in found.files],
            "files_passed_over": found.passed_over,
            "calibration": found.calibration,
            "simulated": found.simulated,
            "to_be_checked": mapping.to_be_checked,
            "rows": found.read.rows,
        },
        "matched_by": found.matched_by,
        "pairs": found.stars,
        "with_training_stars": found.taught,
        "left_out": dict(left_out(found)),
        "values_left_out": {name: n for name, n in found.read.nulled.items() if n},
        "outlier_beyond": BEYOND,
        "labels": {name: _label(found, name) for name in found.tallies},
        "labels_only_ours": list(found.only_ours),
        "labels_only_theirs": list(found.only_theirs),
    }
    result: dict[str, Any] = plain(whole)
    return result


def to_json(found: Beside) -> str:
    """Return the text of the file."""
    return json.dumps(content(found), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _label(found: Beside, name: str) -> dict[str, Any]:
    tally = found.tallies[name]
    regimes, slopes = {}, {}
    for axis in found.axes:
        first = found.first_cell(axis)
        regimes[axis.name] = {
            regime: asdict(tally.numbers(first + place))
            for place, regime in enumerate(axis.regimes)
            if tally.numbers(first + place).stars
        }
        if axis.has_slope:
            slopes[axis.name] = {**asdict(found.slope(name, axis)), "per": axis.unit}
    return {
        **asdict(tally.numbers()),
        "slopes": slopes,
        "regimes": regimes,
        "outliers": _outliers(found.outliers[name]),
    }


def _outliers(found: Outliers) -> dict[str, Any]:
    return {
        "stars": found.stars,
        "of": found.pairs,
        "flags": {name: n for name, n in found.flags.items() if n},
        "flags_of_all": {name: n for name, n in found.of_all.items() if n},
        "listed": [
            {**asdict(each), "source_id": str(each.source_id), "flags": list(each.flags)}
            for each in found.listed
        ],
    }
