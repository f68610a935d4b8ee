"""What a comparison of a run with its model's archive found: for RELEASE.json and for people."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Alarm(BaseModel):
    """One thing in which a run is far from the archive that its model was made for.

    Attributes
    ----------
    about : str
        What: a flag, a tier, a column.
    here, expected : float
        Its share (or, of the zero point, its median in mas), and that of the model's archive.
    words : str
        The same as a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    about: str
    here: float
    expected: float
    words: str


class Comparison(BaseModel):
    """What was compared, and found.

    Attributes
    ----------
    stars : int
        Of the run, as far as they were counted.
    reference : int
        Of the model's archive, as far as it holds counts.
    tests : int
        Comparisons.
    alarms : tuple of Alarm
        What is far off.
    remarks : tuple of str
        What is otherwise, as it may be, and explains what is compared.
    not_compared : str, optional
        Why nothing was compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stars: Annotated[int, Field(ge=0)]
    reference: Annotated[int, Field(ge=0)] = 0
    tests: Annotated[int, Field(ge=0)] = 0
    alarms: tuple[Alarm, ...] = ()
    remarks: tuple[str, ...] = ()
    not_compared: str | None = None

    def lines(self) -> list[str]:
        """Say all of it, a sentence a line."""
        head = (
            f"Compared with {self.reference} stars of the model's training archive in"
            f" {self.tests} ways: {_counted(len(self.alarms))}."
        )
        if self.not_compared is not None:
            head = f"Not compared with the model's training archive: {self.not_compared}."
        return [
            head,
            *(f"ALARM: {alarm.words}." for alarm in self.alarms),
            *(f"Otherwise, as it may be: {remark}." for remark in self.remarks),
        ]


def _counted(alarms: int) -> str:
    return {0: "no alarm", 1: "1 alarm"}.get(alarms, f"{alarms} alarms")
