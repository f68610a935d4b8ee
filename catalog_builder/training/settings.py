"""Settings of the training set."""

from __future__ import annotations

from pydantic import Field, model_validator

from catalog_builder.ground.settings import Fraction, Section


class TrainingSettings(Section):
    """Which stars teach, and which of them are kept back."""

    survey: str = Field(
        "apogee-dr17", description="Label survey: a name in `schemas/labels` or a YAML file."
    )
    validation: Fraction = Field(0.10, description="Share of stars that choose the epoch to keep.")
    calibration: Fraction = Field(
        0.20, description="Share of stars that calibrate sigma, with those of the validation."
    )
    test: Fraction = Field(0.10, description="Share of stars that only the final metrics see.")
    chunk_rows: int = Field(1024, ge=1, description="Rows per chunk of the training store.")

    @model_validator(mode="after")
    def _some_are_left_to_fit(self) -> TrainingSettings:
        if self.validation + self.calibration + self.test >= 1.0:
            raise ValueError("validation + calibration + test must leave some stars to fit (< 1)")
        return self
