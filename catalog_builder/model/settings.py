"""Every hyper-parameter of the model, with its default: the `model` section of the run config."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Weights of all members together, 4 bytes each: an ensemble of the defaults has 4 million.
MOST_WEIGHTS: Final = 250_000_000
#: Training stars that may mark out a space of spectra.
MOST_LANDMARKS: Final = 100_000
# Widths of inputs and outputs, in the order in which `ModelSettings.weights` meets them. They are
# spelt here because settings are read where torch is not: a test compares with the network.
_RVS, _XP, _INPUTS, _OUTPUTS = 800, 343, 4, 20
_TABLES: Final = (3, 3, 2)

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
    epochs: int = Field(80, ge=1, le=10_000, description="Passes over the fit stars at most.")
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
    xp_components: int = Field(
        80, ge=1, le=343, description="Principal components of the XP spectra, whitened."
    )
    xp_filters: Filters = Field(
        16, description="Filters of the first of the three convolutions over the XP spectra."
    )
    rvs_components: int = Field(
        60, ge=1, le=800, description="Principal components of the RVS spectra, whitened."
    )
    rvs_channels: tuple[Filters, Filters, Filters, Filters] = Field(
        (16, 32, 32, 32), description="Filters of the four strided convolutions over the RVS."
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
        description="Share of fit stars that show another star's RVS spectrum in a step: sigma "
        "learns to grow where inputs contradict each other.",
    )
    untold_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of fit stars in a step whose RVS normalisation the network is not told.",
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
    rvs_snr_edges: Edges = Field(
        (15.0, 25.0, 50.0, 100.0),
        description="RVS S/N that separate the regimes in which test stars with RVS are measured.",
    )
    g_edges: Edges = Field(
        (11.0, 13.0, 14.0, 15.0, 16.0, 17.0),
        description="G magnitudes that separate the regimes of test stars without RVS.",
    )

    false_flag_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Share of ordinary stars that each test of strangeness may flag; beyond the "
        "limit of `rvs_xp_conflict` sigma grows as well.",
    )
    map_stars: int = Field(
        3000,
        ge=100,
        le=MOST_LANDMARKS,
        description="Training stars that mark out the space of each kind of spectra at most.",
    )

    @property
    def weights(self) -> int:
        """Numbers that one network with all inputs has: weights, offsets, whitening axes."""
        width, filters, channels = self.width, self.xp_filters, (2, *self.rvs_channels)
        rvs = _RVS * (1 + self.rvs_components) + width * (self.rvs_components + 1)
        kernels = zip(channels, channels[1:], (9, 7, 5, 5), strict=False)
        rvs += sum(out * (given * size + 1) for given, out, size in kernels)
        # Halved four times by the strides, 50 of the 800 samples are left; of the 343 of XP, 15.
        rvs += width * (50 * channels[-1] + 1) + width * (2 + 1)
        xp = _XP * (1 + self.xp_components) + width * (self.xp_components + 1) + 2 * width
        xp += filters * 12 + 2 * filters * (7 * filters + 1) + 2 * filters * (10 * filters + 1)
        xp += width * (30 * filters + 1)
        tables = sum(width * (columns + 1) for columns in (*_TABLES, _INPUTS))
        block = 2 * width + 2 * width * (width + 1)
        return rvs + xp + tables + self.depth * block + 2 * width + _OUTPUTS * (width + 1)

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        together = self.members * self.weights
        if together > MOST_WEIGHTS:
            raise ValueError(
                f"the networks would have {together} weights together, at most {MOST_WEIGHTS} are"
                " allowed: lower members, width, depth or the numbers of filters"
            )
        for name in ("rvs_snr_edges", "g_edges"):
            edges = list(getattr(self, name))
            if edges != sorted(set(edges)):
                raise ValueError(f"{name} must rise from one to the next")
        return self

    def training(self) -> dict[str, object]:
        """Return, as JSON types, the settings that the weights of a member depend on."""
        others = {"members", "min_regime_stars", "rvs_snr_edges", "g_edges"}
        others |= {"false_flag_rate", "map_stars"}
        return self.model_dump(mode="json", exclude=others)
