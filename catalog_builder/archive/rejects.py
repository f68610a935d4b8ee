"""The closed list of reasons for which input is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import overload

import numpy as np
from numpy.typing import NDArray


class RejectReason(StrEnum):
    """Why a row, a source or a file of the archive is not used.

    Stores keep a reason by its place in this list: append to it, never reorder it.
    """

    MALFORMED_ROW = "malformed_row"
    BAD_SOURCE_ID = "bad_source_id"
    WRONG_ARRAY_LENGTH = "wrong_array_length"
    BAD_NUMBER = "bad_number"
    ALL_NAN_SPECTRUM = "all_nan_spectrum"
    NEGATIVE_OR_ZERO_ERRORS = "negative_or_zero_errors"
    BAND_MISSING = "xp_band_missing"  # a word of released catalogues
    DUPLICATE_SOURCE_ID = "duplicate_source_id"
    OUTSIDE_PARTITION_RANGE = "outside_partition_range"
    NO_GAIA_SOURCE_ROW = "no_gaia_source_row"
    NO_USABLE_INPUT = "no_usable_input"
    UNREADABLE_FILE = "unreadable_file"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    TRUNCATED_FILE = "truncated_file"
    FILE_NOT_AS_DESCRIBED = "file_not_as_described"
    NO_POSITIVE_FLUX = "no_positive_flux"
    BELOW_LEAST_SIG_TO_NOISE = "below_least_sig_to_noise"
    NO_WAVELENGTHS = "no_wavelengths"

    @property
    def sentence(self) -> str:
        """What the reason means, for people."""
        return _SENTENCES[self]


_SENTENCES: dict[RejectReason, str] = {
    RejectReason.MALFORMED_ROW: "The row has too many fields, too few, or an open quote.",
    RejectReason.BAD_SOURCE_ID: "The source_id is null, no integer, or not positive.",
    RejectReason.WRONG_ARRAY_LENGTH: "A required array has more or fewer elements than described.",
    RejectReason.BAD_NUMBER: "A required array holds something that is neither number nor null.",
    RejectReason.ALL_NAN_SPECTRUM: "Not one sample of the spectrum is a finite number.",
    RejectReason.NEGATIVE_OR_ZERO_ERRORS: "Too few samples of the spectrum have a positive error.",
    RejectReason.BAND_MISSING: "The spectrum lacks one of its bands, or part of it.",
    RejectReason.DUPLICATE_SOURCE_ID: "The table has an earlier row with the same source_id.",
    RejectReason.OUTSIDE_PARTITION_RANGE: "The source_id is outside the range of its file.",
    RejectReason.NO_GAIA_SOURCE_ROW: "The source table has no row for the spectrum.",
    RejectReason.NO_USABLE_INPUT: "None of the source's spectra can be used.",
    RejectReason.UNREADABLE_FILE: "The file cannot be opened or is not in the format of its name.",
    RejectReason.CHECKSUM_MISMATCH: "The file differs from the archive's checksum list.",
    RejectReason.TRUNCATED_FILE: "The file ends before its compressed stream or table is complete.",
    RejectReason.FILE_NOT_AS_DESCRIBED: "The file's header contradicts the release description.",
    RejectReason.NO_POSITIVE_FLUX: "The spectrum's mean flux is not positive: it has no scale.",
    RejectReason.BELOW_LEAST_SIG_TO_NOISE: (
        "The spectrum is fainter than least_sig_to_noise of the release description."
    ),
    RejectReason.NO_WAVELENGTHS: "The wavelengths of the samples are not finite, or do not rise.",
}

#: Reasons in the order in which stores and readers keep them as numbers.
REASONS: tuple[RejectReason, ...] = tuple(RejectReason)

#: The number of each reason.
REASON_NUMBER: dict[RejectReason, int] = {reason: n for n, reason in enumerate(REASONS)}


@dataclass(frozen=True)
class RowReject:
    """One row of a file that is not used.

    Parameters
    ----------
    row : int
        Number of the row in its file, the first data row being 0.
    source_id : int or None
        The row's source_id, None where it cannot be read.
    table : str
        Logical name of the table.
    reason : RejectReason
        Why.
    detail : str
        What was seen, naming the column.
    """

    row: int
    source_id: int | None
    table: str
    reason: RejectReason
    detail: str


@dataclass(frozen=True)
class RowRejects(Sequence[RowReject]):
    """Rows of a file that are not used, as columns: a million of them cost no object each.

    As a sequence it gives a `RowReject` for each, made when it is asked for.

    Parameters
    ----------
    table : str
        Logical name of the table.
    rows : ndarray of int64 (n,)
        Number of each row in its file.
    source_ids : ndarray of int64 (n,)
        Source_id of each row, 0 where it cannot be read.
    reasons : ndarray of uint8 (n,)
        Place of each row's reason in `REASONS`.
    describe : callable
        What was seen in the n-th of these rows.
    """

    table: str
    rows: NDArray[np.int64]
    source_ids: NDArray[np.int64]
    reasons: NDArray[np.uint8]
    describe: Callable[[int], str]

    def __len__(self) -> int:
        return int(self.rows.size)

    @overload
    def __getitem__(self, place: int) -> RowReject: ...
    @overload
    def __getitem__(self, place: slice) -> list[RowReject]: ...
    def __getitem__(self, place: int | slice) -> RowReject | list[RowReject]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        source_id = int(self.source_ids[number])
        return RowReject(
            row=int(self.rows[number]),
            source_id=source_id if source_id > 0 else None,
            table=self.table,
            reason=REASONS[int(self.reasons[number])],
            detail=self.describe(number),
        )

    def take(self, chosen: NDArray[np.bool_]) -> RowRejects:
        """Return some of the rows."""
        places = np.flatnonzero(chosen)
        return RowRejects(
            self.table,
            self.rows[places],
            self.source_ids[places],
            self.reasons[places],
            lambda place: self.describe(int(places[place])),
        )
