"""Part `real_flaws`: does training on spectra with the flaws of the synthesis help on real ones?

Synthetic spectra are wrong in known ways. Networks that read RVS alone are trained on the same
stars with the same settings: on spectra as simulated, on the same where half of the stars are not
told their normalisation (that of the real stars is not known), and on these with errors of the
synthesis drawn at random for each star. All are asked about the real RVS stars.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.archive.release import load_release
from catalog_builder.features.lines import UNKNOWN
from catalog_builder.features.store import Block
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.document import read_document
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import Scaling, Split, TrainingArrays
from catalog_builder.training.split import uniform_hash
from catalog_builder.training.store import load_training
from tests.benchmarks.science import real
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.measures import MAD_TO_SIGMA
from tests.benchmarks.science.views import hide

LABELS = default_contract().labels.names

Float = NDArray[np.float64]

#: A small ensemble: the question is what differs, not how good it can become.
_MEMBERS, _EPOCHS, _FIT_STARS, _TEST_STARS = 2, 15, 40_000, 3000
_SEED = 41
#: Of which stars are used: not a run's, whose draws are the splits.
_CHOICE_SEED = 1041
_OTHERS = ("xp", "photometry", "parallax")
_CALCIUM = np.array([850.036, 854.444, 866.452])  # vacuum nm
_BLEND = 850.42
WAVELENGTHS = default_contract().inputs.spectra["rvs"].grid.nanometres()
_X = (WAVELENGTHS - 858.0) / 12.0
#: Raised when the flaws or the training change: networks that are kept are then trained anew.
_VERSION = 3


def measure(context: Context) -> dict[str, Any]:
    """Train with and without flaws; predict the real RVS stars and clean and flawed test stars.

    Returns
    -------
    dict
        ``rvs``: a row per training and star as in part `real_stars`; ``test``: per training, kind
        of test spectra and label the scatter about the truth; ``epochs``, ``members``.
    """
    if context.real is None:
        raise InputError("No folder of real data is given.", "Name it with --real.")
    settings = read_document(context.run.model).settings.model_copy(
        update={"members": _MEMBERS, "epochs": _EPOCHS, "untold_share": 0.0}
    )
    data, scaling = load_training(context.run.training_store(), default_contract())
    data = _some(data)
    data = replace(data, block=hide(data.block, _OTHERS))
    half = replace(data, block=_untold(data.block))
    flawed = replace(data, block=_flawed(half.block))
    trainings = {"as simulated": data, "normalisation untold": half, "with flaws": flawed}
    stars = real._rvs_stars(context.real / "real-dr3", load_release(context.run.config["release"]))
    test, truth = _test_stars(context)
    rows, scatter = [], []
    store = context.run.training_store().name
    for name, sample in trainings.items():
        key = digest_json([_VERSION, name, store, settings.model_dump(mode="json")])[:12]
        folder = context.out / f"flaws-{key}"
        estimator = _trained(sample, scaling, settings, folder)
        rows += [{"training": name} | row for row in real._predictions(estimator, stars)]
        for kind, block in (("clean", test), ("with flaws", _flawed(test))):
            d = estimator.predict(block, 1024).mean - truth
            for k, label in enumerate(LABELS):
                value = float(MAD_TO_SIGMA * np.nanmedian(np.abs(d[:, k])))
                scatter.append(
                    {"training": name, "spectra": kind, "label": label, "scatter": value}
                )
    return {
        "rvs": rows,
        "test": scatter,
        "stars": len(truth),
        "fit_stars": int((data.split == Split.FIT).sum()),
        "epochs": _EPOCHS,
        "members": _MEMBERS,
    }


def add_flaws(flux: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw errors of synthesis and reduction for spectra (n, 800) on the model grid.

    Cores of the calcium triplet and the blend at 850.42 nm less deep by up to 0.08; all lines
    stronger or weaker by about 5 %; level, slope and curvature of the continuum off by about 0.6 %;
    resolution wrong by up to a tenth, wavelengths by about 1.5 km/s; each line somewhat wrong: 1 %
    rms, the size of the residuals of real stars.
    """
    n = len(flux)

    def normal(scale: float) -> Float:
        return scale * rng.standard_normal((n, 1))

    depth = (1.0 - flux.astype(np.float64)) * np.exp(normal(0.05))
    blurred = np.diff(np.pad(depth, ((0, 0), (1, 1)), mode="edge"), n=2, axis=1)
    # A Gaussian wider by 10 % than that of R = 11 500 is half a squared width of 0.24 pixels.
    depth = depth + rng.uniform(-0.12, 0.12, (n, 1)) * blurred
    depth = depth + normal(0.17) * np.gradient(depth, axis=1)
    offsets = WAVELENGTHS[:, None] - _CALCIUM
    width = rng.uniform(0.04, 0.15, (n, 1, 1))
    cores = np.exp(-0.5 * (offsets / width) ** 2).sum(axis=2)
    depth = depth - rng.uniform(0.0, 0.08, (n, 1)) * cores
    depth = depth - rng.uniform(0.0, 0.08, (n, 1)) * np.exp(
        -0.5 * ((WAVELENGTHS - _BLEND) / 0.05) ** 2
    )
    noise = rng.standard_normal((n, depth.shape[1] + 4))
    smooth = sum(noise[:, k : k + depth.shape[1]] for k in range(5)) / np.sqrt(5.0)
    # Where there is no line, little can be wrong.
    depth = depth + 0.04 * np.clip(depth, 0.05, 0.5) * smooth
    continuum = 1.0 + normal(0.006) + normal(0.006) * _X + normal(0.006) * (_X**2 - 0.33)
    return ((1.0 - depth) * continuum).astype(np.float32)


def _some(data: TrainingArrays) -> TrainingArrays:
    """Return some of the labelled stars, those of each split in proportion."""
    share = min(1.0, _FIT_STARS / int((data.split == Split.FIT).sum()))
    chosen = uniform_hash(np.asarray(data.block["source_id"], np.int64), _CHOICE_SEED) < share
    return data.take(np.flatnonzero(chosen))


def _flawed(block: Block) -> Block:
    """Return the stars with flaws in their RVS spectra."""
    rng = np.random.default_rng(_SEED)
    flux = np.array(block["rvs_flux"])
    for start in range(0, len(flux), 1024):
        rows = slice(start, start + 1024)
        flux[rows] = add_flaws(flux[rows], rng)
    return {**block, "rvs_flux": flux * np.asarray(block["rvs_mask"])}


def _untold(block: Block) -> Block:
    """Return the stars, half of those with an RVS spectrum with its normalisation unknown."""
    chosen = uniform_hash(np.asarray(block["source_id"], np.int64), _SEED) < 0.5
    classes = np.where(chosen & block["has_rvs"], UNKNOWN, block["rvs_normalisation"])
    return {**block, "rvs_normalisation": classes.astype(np.uint8)}


def _trained(
    data: TrainingArrays, scaling: Scaling, settings: ModelSettings, folder: Path
) -> Estimator:
    """Train and calibrate an ensemble, or load the one that was made before."""
    model = folder / "model"
    if not (model / MODEL_JSON).is_file():
        members = [folder / f"member-{number}" for number in range(settings.members)]
        for number, path in enumerate(members):
            path.mkdir(parents=True, exist_ok=True)
            fit_member(data, scaling, settings, member=number, seed=_SEED, out=path)
        assemble(members, data, scaling, settings, {}, model)
    return Estimator.load(model)


def _test_stars(context: Context) -> tuple[Block, Float]:
    """Some test stars like the training ones as RVS alone shows them, and their true labels."""
    frame = context.predictions.filter(pl.col("true.like_training") & pl.col("has_rvs"))
    order = uniform_hash(frame["source_id"].to_numpy(), _SEED)
    frame = frame.with_columns(pl.Series("order", order)).sort("order").head(_TEST_STARS)
    blocks = list(context.sky.read(np.sort(frame["source_id"].to_numpy())))
    block = {name: np.concatenate([one[name] for one in blocks]) for name in blocks[0]}
    place = frame.select("source_id").with_row_index("row")
    ids = pl.DataFrame({"source_id": np.asarray(block["source_id"])})
    rows = ids.join(place, on="source_id", maintain_order="left")["row"].to_numpy()
    truth = np.column_stack([frame[f"true.{label}"].to_numpy() for label in LABELS])[rows]
    return hide(block, _OTHERS), truth
