"""The catalogue beside other labels of the same stars that its archive has: sums, and a section."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.labelled import Edges, Labelled

State = Mapping[str, NDArray[Any]]

_PREFIX: Final = "other:"
#: Before the name of a table: sums of the stars that it has without cuts on columns which have no
#: value in a chunk.
LEFT_OUT: Final = "left-out/"
_COUNTED: Final = "counted"
#: Stars with our label, those with theirs, those with both, and of these those with an error of
#: theirs.
OURS, THEIRS, BOTH, KNOWN = 0, 1, 2, 3


class Other:
    """Sums over the stars of a catalogue, or of a part of it, and of another table's labels.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue.
    edges : Edges
        Of the regimes.

    Attributes
    ----------
    sums : Labelled
        Of stars that have both, their labels in the place of those of a survey.
    counted : ndarray of int64, shape (labels, regimes, 4)
        Stars with our label, with theirs, with both, and with both and their error, of those that
        did not teach the model.
    """

    def __init__(self, schema: CatalogSchema, edges: Edges) -> None:
        self.sums = Labelled(schema, edges)
        regimes = len(self.sums.divisions["regime"].cells)
        self.counted = np.zeros((len(self.sums.shown), regimes, 4), dtype=np.int64)

    def add(
        self,
        columns: Mapping[str, NDArray[Any]],
        labels: NDArray[np.float64],
        errors: NDArray[np.float64],
    ) -> None:
        """Add n rows, and the other table's labels, (n, labels); who taught is left out."""
        split = np.asarray(columns["training_split"])
        mine = np.flatnonzero((split < 1) | (split > 3))
        rows = {name: values[mine] for name, values in columns.items()}
        labels, errors = labels[mine], errors[mine]
        self.sums.add(rows, labels, errors)
        regime = self.sums.regime(rows)
        for place, name in enumerate(self.sums.shown):
            ours, theirs = np.isfinite(rows[name]), np.isfinite(labels[:, place])
            both = ours & theirs
            known = both & np.isfinite(errors[:, place])
            for at, some in ((OURS, ours), (THEIRS, theirs), (BOTH, both), (KNOWN, known)):
                np.add.at(self.counted[place, :, at], regime[some], 1)

    @property
    def labels(self) -> list[str]:
        """Return the labels that the other table has of ours."""
        given = self.counted[:, :, THEIRS].sum(axis=1) > 0
        return [name for name, there in zip(self.sums.shown, given, strict=True) if there]

    def state(self, name: str) -> dict[str, NDArray[Any]]:
        """Return all numbers that are not zero, under the name of the other table."""
        state = {**self.sums.state(), _COUNTED: self.counted}
        return {f"{_PREFIX}{name}:{key}": values for key, values in state.items()}

    def add_state(self, state: State) -> None:
        """Add what `state` returned, its keys as `states_of` gives them back.

        Raises
        ------
        StoreError
            If it is of other labels.
        """
        self.sums.add_state(state)
        self.counted += state[_COUNTED]

    def with_left_out(self, left_out: Other) -> Other:
        """Return sums over all rows and the stars that were left out, where this has no others.

        Parameters
        ----------
        left_out : Other
            What is under the name with `LEFT_OUT`: of the rows of some chunks alone.
        """
        whole = copy.copy(left_out)
        whole.counted = left_out.counted.copy()
        whole.counted[:, :, OURS] = self.counted[:, :, OURS]
        return whole


def states_of(state: State) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what `Other.state` left in a chunk's state, by the name of the other table."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for key, values in state.items():
        if key.startswith(_PREFIX):
            _, name, rest = key.split(":", 2)
            found.setdefault(name, {})[rest] = values
    return found
