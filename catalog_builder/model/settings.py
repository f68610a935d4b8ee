"""Every hyper-parameter of the model, with its default: the `model` section of the run config."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import SpectrumInput
from catalog_builder.ground.errors import ModelError
from catalog_builder.training.shapes import (
    FLUX_KERNELS,
    FLUX_STRIDES,
    LINE_KERNELS,
    LINE_STRIDES,
    samples_left,
    table_width,
    tables_of,
)

#: Weights of all members together, 4 bytes each: an ensemble of the defaults has 4 million.
MOST_WEIGHTS: Final = 250_000_000
#: Training stars that may mark out a space of spectra.
MOST_LANDMARKS: Final = 100_000
#: What settings were called when there were two spectra, each with its own.
RENAMED: Final = {
    "rvs_components": "line_components",
    "rvs_channels": "line_channels",
    "xp_components": "flux_components",
    "xp_filters": "flux_filters",
    "rvs_snr_edges": "snr_edges",
    "g_edges": "magnitude_edges",
}

Filters = Annotated[int, Field(ge=1, le=1024)]
#: Borders between regimes.
Edges = Annotated[tuple[float, ...], Field(max_length=50)]


class ModelSettings(BaseModel):
    """Hyper-parameters of the ensemble; unknown keys are refused.

    The defaults were chosen on the validation splits of a simulated sky with 42 000 labelled stars
    and of real XP spectra with APOGEE labels. Every number has bounds, far from anything sensible:
    a model directory from elsewhere carries settings too, and nothing is built before they fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(4, ge=1, le=64, description="Networks in the ensemble.")
    folds: int = Field(
        3,
        ge=0,
        le=64,
        description="Parts of the training sample; the labels of a star that taught come from "
        "networks that were trained without its part. 0 leaves such stars to the ensemble, which "
        "knows them by heart.",
    )
    fold_members: int = Field(
        2, ge=1, le=64, description="Networks for the stars of one part of the training sample."
    )
    epochs: int = Field(60, ge=1, le=10_000, description="Passes over the fit stars at most.")
    patience: int = Field(
        20,
        ge=1,
        le=10_000,
        description="Epochs without a better validation loss before a member stops.",
    )
    batch_size: int = Field(256, ge=8, le=65_536, description="Stars per optimiser step.")
    validation_batch_size: int = Field(
        1024,
        ge=1,
        le=65_536,
        description="Stars per forward pass in validation, calibration and test.",
    )
    learning_rate: float = Field(
        6e-3, gt=0, le=1e3, description="Peak step size of AdamW, reached after the warm-up."
    )
    warmup_epochs: float = Field(
        2.0,
        ge=0,
        le=10_000,
        description="Epochs of linear rise before the cosine decay of the step size.",
    )
    weight_decay: float = Field(
        1e-2, ge=0, le=1e3, description="Decoupled weight decay on weight matrices and kernels."
    )
    gradient_clip: float = Field(
        1.0, gt=0, le=1e9, description="Largest norm of the gradient of a step."
    )
    tail_freedom: float | None = Field(
        4.0,
        gt=2,
        le=1e6,
        description="Degrees of freedom of the Student t likelihood, whose tails keep label "
        "outliers from steering the fit; null for a Gaussian.",
    )
    average_decay: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Decay per step of the running mean of the weights that is kept; 0 keeps "
        "the weights themselves.",
    )
    width: int = Field(
        256, ge=8, le=4096, description="Units of the trunk and of every branch's output."
    )
    depth: int = Field(3, ge=1, le=64, description="Residual blocks of the trunk.")
    flux_components: int = Field(
        80,
        ge=1,
        le=4096,
        description="Principal components of each kind of low-resolution spectra, whitened; as "
        "many as samples where those are fewer.",
    )
    flux_filters: Filters = Field(
        16,
        description="Filters of the first of three convolutions over a low-resolution spectrum.",
    )
    line_components: int = Field(
        60,
        ge=1,
        le=4096,
        description="Principal components of each kind of spectra of lines, whitened; as many as "
        "samples where those are fewer.",
    )
    line_channels: tuple[Filters, Filters, Filters, Filters] = Field(
        (16, 32, 32, 32),
        description="Filters of the four strided convolutions over a spectrum of lines.",
    )
    dropout: float = Field(0.05, ge=0, lt=1, description="Share of trunk units left out per step.")
    modality_dropout: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of fit stars that show only a random subset of their inputs in a step.",
    )
    swap_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of fit stars that show another star's spectrum of lines in a step: "
        "sigma learns to grow where inputs contradict each other.",
    )
    untold_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of fit stars in a step of whose spectrum of lines the network is not "
        "told the normalisation.",
    )
    noise_share: float = Field(
        0.5, ge=0, le=1, description="Share of fit stars whose spectra get extra noise in a step."
    )
    noise_factor: float = Field(
        2.0,
        ge=0,
        le=1e3,
        description="Largest extra noise, in units of a star's own flux errors; its errors are "
        "raised to match.",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Torch threads of one network on a CPU; fixed, for sums depend on it.",
    )
    min_label_stars: int = Field(
        1000,
        ge=1,
        le=10**9,
        description="Fit stars below which a label is neither trained nor predicted.",
    )
    min_regime_stars: int = Field(
        200,
        ge=10,
        le=10**9,
        description="Calibration stars per knot of the curves that scale sigma; with fewer than "
        "twice as many for a subset of the inputs it is scaled by one number.",
    )
    snr_edges: Edges = Field(
        (15.0, 25.0, 50.0, 100.0),
        description="S/N that separate the regimes in which test stars with the first spectrum of "
        "lines are measured.",
    )
    magnitude_edges: Edges = Field(
        (11.0, 13.0, 14.0, 15.0, 16.0, 17.0),
        description="Magnitudes, in the first band, that separate the regimes of test stars "
        "without it.",
    )

    false_flag_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Share of ordinary stars that each test of strangeness may flag; beyond the "
        "limit of a conflict of two spectra sigma grows as well.",
    )
    map_stars: int = Field(
        3000,
        ge=100,
        le=MOST_LANDMARKS,
        description="Training stars that mark out the space of each kind of spectra at most.",
    )

    def components(self, spectrum: SpectrumInput) -> int:
        """Return how many principal components of a spectrum a network sees."""
        wanted = self.line_components if spectrum.kind == "lines" else self.flux_components
        return min(wanted, spectrum.samples)

    def weights(self, contract: Contract) -> int:
        """Return how many numbers one network with all inputs has: weights, offsets, axes."""
        width, inputs = self.width, contract.inputs
        total = sum(
            self._line_weights(spectrum)
            if spectrum.kind == "lines"
            else self._flux_weights(spectrum)
            for spectrum in inputs.spectra.values()
        )
        columns = [len(inputs.names), *(table_width(inputs, name) for name in tables_of(inputs))]
        total += sum(width * (count + 1) for count in columns)
        block = 2 * width + 2 * width * (width + 1)
        return total + self.depth * block + 2 * width + contract.outputs * (width + 1)

    def _whitened(self, spectrum: SpectrumInput) -> int:
        components = self.components(spectrum)
        return spectrum.samples * (1 + components) + self.width * (components + 1)

    def _line_weights(self, spectrum: SpectrumInput) -> int:
        channels = (2, *self.line_channels)
        kernels = zip(channels, channels[1:], LINE_KERNELS, strict=False)
        convolutions = sum(out * (given * size + 1) for given, out, size in kernels)
        left = samples_left(spectrum.samples, LINE_STRIDES)
        out = self.width * (left * channels[-1] + 1) + self.width * (2 + 1)
        return self._whitened(spectrum) + convolutions + out

    def _flux_weights(self, spectrum: SpectrumInput) -> int:
        channels = (1, self.flux_filters, 2 * self.flux_filters, 2 * self.flux_filters)
        kernels = zip(channels, channels[1:], FLUX_KERNELS, strict=False)
        convolutions = sum(out * (given * size + 1) for given, out, size in kernels)
        left = samples_left(spectrum.samples, FLUX_STRIDES)
        out = self.width * (left * channels[-1] + 1) + 2 * self.width
        return self._whitened(spectrum) + convolutions + out

    def refuse_too_large(self, contract: Contract) -> None:
        """Refuse networks that no memory holds, before one is built.

        Raises
        ------
        ModelError
            If all members together have more than `MOST_WEIGHTS` numbers.
        """
        together = (self.members + self.folds * self.fold_members) * self.weights(contract)
        if together > MOST_WEIGHTS:
            raise ModelError(
                f"The networks would have {together} weights together, at most {MOST_WEIGHTS} are"
                " allowed: lower members, width, depth, folds or the numbers of filters and"
                " components.",
                "They are settings of the model.",
            )

    @model_validator(mode="before")
    @classmethod
    def _name_what_was_renamed(cls, content: Any) -> Any:
        old = [name for name in RENAMED if isinstance(content, dict) and name in content]
        if old:
            meant = ", ".join(f"{RENAMED[name]} for {name}" for name in old)
            raise ValueError(f"settings have new names: write {meant}")
        return content

    @model_validator(mode="after")
    def _several_folds(self) -> Self:
        if self.folds == 1:
            raise ValueError("one fold leaves nothing to train on: give 0, or 2 or more")
        return self

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        for name in ("snr_edges", "magnitude_edges"):
            edges = list(getattr(self, name))
            if edges != sorted(set(edges)):
                raise ValueError(f"{name} must rise from one to the next")
        return self

    def of_fold(self) -> ModelSettings:
        """Return the settings of the model that is trained without a fold.

        Which labels are learnt is decided on the whole sample, so that none is lost there.
        """
        one = {"members": self.fold_members, "folds": 0, "min_label_stars": 1}
        return self.model_copy(update=one)

    def training(self) -> dict[str, object]:
        """Return, as JSON types, the settings that the weights of a member depend on."""
        others = {
            "members",
            "folds",
            "fold_members",
            "min_regime_stars",
            "snr_edges",
            "magnitude_edges",
        }
        others |= {"false_flag_rate", "map_stars"}
        return self.model_dump(mode="json", exclude=others)
