"""Whether a release's own parallax bias is what its description takes it for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.zero_point import ZeroPointFallback
from catalog_builder.features.parallax import zero_point
from catalog_builder.inspecting.columns import LEAST_STARS
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.view import Ids, View

#: Zero points of Gaia are some -0.03 mas: a median above this, mas, with its error, is one to add.
_CLEARLY_POSITIVE: Final = 0.01
_SIGMAS: Final = 3.0
#: No zero point is as large, mas: such numbers are in another unit.
_TOO_LARGE: Final = 1.0


def check_bias(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note a column of biases that runs against the parallaxes of earlier releases.

    A description that states the sign is believed.
    """
    rule = release.parallax_zero_point
    home = None if rule.bias is None else release.home_of(rule.bias)
    if not release.parallax or home is None or home not in view.tables:
        return
    seen = view.tables[home]
    ids = seen.columns.get("source_id", np.empty(0, np.int64))
    values = view.looked_up(str(rule.bias), ids, release)
    if values is None or np.isfinite(values).sum() < LEAST_STARS:
        return
    median, error = _median(values)
    words = f"{seen.file.name}: the median of {rule.bias} is {median:+.3f} +- {error:.3f} mas"
    published = _of_fallback(rule.fallback, ids[np.isfinite(values)], view, release)
    looked.facts["parallax_zero_point.sign"] = words + published
    if abs(median) > _TOO_LARGE:
        looked.add(
            f"tables.{home}.columns.{rule.bias}.unit",
            home,
            f"{words}, and no zero point is as large.",
            "Look whether it is in microarcseconds, or another quantity.",
        )
        return
    subtracted = median if rule.sign == "subtract" else -median
    if "sign" not in rule.model_fields_set and subtracted > _CLEARLY_POSITIVE + _SIGMAS * error:
        looked.add(
            "parallax_zero_point.sign",
            home,
            f"{words}{published}, and it would be subtracted. Parallaxes of Gaia are too small by"
            " about 0.03 mas: what is subtracted is negative.",
            "Write `sign: add` there, or `sign: subtract` if the release's documentation says that"
            " it is subtracted all the same: a stated sign is believed.",
        )


def _median(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median of the finite values, and its error from their scatter."""
    known = values[np.isfinite(values)]
    median = float(np.median(known))
    scatter = 1.4826 * float(np.median(np.abs(known - median)))
    return median, 1.2533 * scatter / float(np.sqrt(known.size))


def _of_fallback(
    fallback: ZeroPointFallback | None, ids: Ids, view: View, release: ReleaseSpec
) -> str:
    """Say what the fallback would give the same stars."""
    if fallback is None or fallback.rule == "none":
        return ""
    columns = {column: view.looked_up(column, ids, release) for column in fallback.inputs.values()}
    known = {column: values for column, values in columns.items() if values is not None}
    if known.keys() != columns.keys():
        return ""
    found = zero_point(fallback, known, ids.size)
    if np.isfinite(found).sum() < LEAST_STARS:
        return ""
    return f" ({_median(found)[0]:+.3f} by {fallback.rule} for the same stars)"
