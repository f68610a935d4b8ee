"""Whether the metrics that a model's document holds can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from catalog_builder.contract.labels import Labels

#: What is read of the measures of a label.
_MOST: Final = 1e300
MOST_STARS: Final = 2**53
_MEASURES: Final = ("stars", "robust_scatter", "bias", "coverage_68", "coverage_95")


def metric_problems(metrics: dict[str, Any], declared: Labels) -> Iterator[str]:
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
            if not isinstance(labels, dict) or not set(labels) <= set(declared.names):
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
        and 0 <= measures["stars"] < MOST_STARS
    )
