"""Every hyper-parameter of the model, with its default: the `model` section of the run config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ModelSettings(BaseModel):
    """Hyper-parameters of the ensemble; unknown keys are refused.

    The defaults were chosen on the validation splits of a simulated sky with 42 000 labelled stars
    and of real XP spectra with APOGEE labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: int = Field(4, ge=1, le=64, description="Networks in the ensemble.")
    epochs: int = Field(80, ge=1, description="Passes over the fit stars at most.")
    patience: int = Field(
        20, ge=1, description="Epochs without a better validation loss before a member stops."
    )
    batch_size: int = Field(256, ge=8, description="Stars per optimiser step.")
    validation_batch_size: int = Field(
        1024, ge=1, description="Stars per forward pass in validation, calibration and test."
    )
    learning_rate: float = Field(
        6e-3, gt=0, description="Peak step size of AdamW, reached after the warm-up."
    )
    warmup_epochs: float = Field(
        2.0, ge=0, description="Epochs of linear rise before the cosine decay of the step size."
    )
    weight_decay: float = Field(
        1e-2, ge=0, description="Decoupled weight decay on weight matrices and kernels."
    )
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient of a step.")
    tail_freedom: float | None = Field(
        4.0,
        gt=2,
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
    width: int = Field(256, ge=8, description="Units of the trunk and of every branch's output.")
    depth: int = Field(3, ge=1, description="Residual blocks of the trunk.")
    xp_components: int = Field(
        80, ge=1, le=343, description="Principal components of the XP spectra, whitened."
    )
    xp_filters: int = Field(
        16, ge=1, description="Filters of the first of the three convolutions over the XP spectra."
    )
    rvs_components: int = Field(
        60, ge=1, le=800, description="Principal components of the RVS spectra, whitened."
    )
    rvs_channels: tuple[int, int, int, int] = Field(
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
        description="Largest extra noise, in units of a star's own flux errors; its errors are "
        "raised to match.",
    )
    threads: int = Field(
        1,
        ge=1,
        description="Torch threads of one network on a CPU; fixed, for sums depend on it.",
    )
    min_label_stars: int = Field(
        1000, ge=1, description="Fit stars below which a label is neither trained nor predicted."
    )
    min_regime_stars: int = Field(
        200,
        ge=10,
        description="Calibration stars per knot of the curves that scale sigma; with fewer than "
        "twice as many for a subset of the inputs it is scaled by one number.",
    )
    rvs_snr_edges: tuple[float, ...] = Field(
        (15.0, 25.0, 50.0, 100.0),
        description="RVS S/N that separate the regimes in which test stars with RVS are measured.",
    )
    g_edges: tuple[float, ...] = Field(
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
        description="Training stars that mark out the space of each kind of spectra at most.",
    )

    def training(self) -> dict[str, object]:
        """Return, as JSON types, the settings that the weights of a member depend on."""
        others = {"members", "min_regime_stars", "rvs_snr_edges", "g_edges"}
        others |= {"false_flag_rate", "map_stars"}
        return self.model_dump(mode="json", exclude=others)
