"""Does `prior_share` say how much information was lost? Measured where the truth is known.

    python -m tests.benchmarks.prior_share MODEL ARCHIVE

ARCHIVE is a simulated sky of another seed than the model's. It is ingested into a temporary folder
and answered as observed, with inputs hidden, with noise added to its spectra, and with spectra that
are another star's, or whose samples change places. Tables of docs/prior-share.md are printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import Block
from catalog_builder.model.ensemble import Estimator
from catalog_builder.model.judged import judged
from catalog_builder.model.prior import Prior
from catalog_builder.training.design import design_labels
from tests.benchmarks.science.sky import TestSky
from tests.benchmarks.science.views import VIEWS, hide

BATCH = 1024
#: Stars of a group, at least; edges of its groups.
LEAST, RATIOS, MAGNITUDES = 60, (1, 15, 25, 50, 100), (11, 12, 13, 14)
#: Answers off by more than this share of a training label's deviation are called wrong.
WRONG = 0.5
SPECTRA = ("rvs", "xp")


def noisier(block: Block, factor: float) -> Block:
    """Return stars whose spectra have so many times the noise."""
    rng, made = np.random.default_rng(5), dict(block)
    for name in SPECTRA:
        flux, error = block[f"{name}_flux"], block[f"{name}_flux_error"]
        known = np.isfinite(error) & np.asarray(block[f"has_{name}"])[:, None]
        extra = np.sqrt(factor**2 - 1) * error * rng.standard_normal(error.shape)
        made[f"{name}_flux"] = (flux + np.where(known, extra, 0.0)).astype("f4")
        made[f"{name}_flux_error"] = (error * factor).astype("f4")
    made["rvs_spec_sig_to_noise"] = (block["rvs_spec_sig_to_noise"] / factor).astype("f4")
    return made


def exchanged(block: Block, name: str) -> Block:
    """Return stars with each other's spectra of a kind."""
    rows = np.flatnonzero(block[f"has_{name}"])
    other, made = np.roll(rows, 1 + len(rows) // 3), dict(block)
    for key in (f"{name}_flux", f"{name}_flux_error", f"{name}_mask", f"{name}_normalisation"):
        if key in block:
            made[key] = block[key].copy()
            made[key][rows] = block[key][other]
    return made


def scrambled(block: Block, name: str) -> Block:
    """Return stars whose spectra of a kind have their samples in another order."""
    order = np.random.default_rng(6).permutation(block[f"{name}_flux"].shape[1])
    keys = (f"{name}_flux", f"{name}_flux_error", f"{name}_mask")
    return {**block, **{key: block[key][:, order] for key in keys if key in block}}


class Measured:
    """What a model says of stars, and how far off it is on the network's scale."""

    def __init__(self, estimator: Estimator, truth: np.ndarray, block: Block) -> None:
        schema = CatalogSchema.of(estimator.contract)
        begin = time.process_time()
        found = estimator.predict(block, BATCH)
        self.seconds = time.process_time() - begin
        self.share = found.prior_share
        declared = estimator.contract.labels
        answered, true = (
            design_labels(values, np.zeros(values.shape), declared)[0]
            for values in (found.mean, truth)
        )
        self.error = (answered - true) / estimator._scaling.labels_std
        split = {
            "in_training_sample": np.zeros(len(truth), bool),
            "training_split": np.zeros(len(truth), np.uint8),
        }
        flags = judged({**split, **block}, found, estimator, schema)
        names = [b.name for b in schema.flags.active if "distance" in b.parameters]
        self.flagged = np.any([schema.flags.test(flags, name) for name in names], axis=0)
        self.known = np.isfinite(self.share)

    def groups(self, ratio: np.ndarray, magnitude: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows of stars of similar S/N and magnitude."""
        cell = 10 * np.digitize(np.nan_to_num(ratio), RATIOS) + np.digitize(magnitude, MAGNITUDES)
        for one in np.unique(cell):
            rows = np.flatnonzero((cell == one) & self.known)
            if len(rows) >= LEAST:
                yield rows


def lost(error: np.ndarray, prior: np.ndarray) -> tuple[float, float]:
    """Return the information that is lost of some answers, twice.

    Half the logarithm of the determinant of their true covariance over that of the training labels
    (nats), and the mean share of a label's variance that is left.
    """
    low, high = np.percentile(error, [1, 99], axis=0)
    error = np.clip(error, low, high)
    about = error.T @ error / len(error)
    size, directions = np.linalg.eigh(prior)
    whiten = directions / np.sqrt(np.maximum(size, 0.01))
    nats = np.log(np.linalg.eigvalsh(whiten.T @ about @ whiten)).sum() / 2
    return float(nats), float(np.mean(np.diagonal(about) / np.diagonal(prior)))


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("archive", type=Path)
    asked = parser.parse_args()
    estimator = Estimator.load(asked.model)
    prior = np.array(estimator.document.label_covariance)
    with tempfile.TemporaryDirectory(prefix="prior-") as folder:
        stores = ingested(asked.archive, Path(folder))
        sky = TestSky(asked.archive, tuple(stores))
        parts = list(sky.blocks())
        block = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        truth = sky.truth()
    block, labels = usual(block, truth, estimator)
    report(estimator, prior, block, labels)


def ingested(archive: Path, folder: Path) -> Iterator[Path]:
    """Ingest an archive; yield its feature stores."""
    release = load_release("dr3")
    for part in list_partitions(str(archive), release):
        ingest_partition(part, release, IngestSettings(), folder / part.name)
        yield folder / part.name


def usual(block: Block, truth, estimator: Estimator) -> tuple[Block, np.ndarray]:
    """Return stars like those that teach, without anomalies, and their true labels."""
    truth = truth.filter(truth["like_training"]).sort("source_id")
    order = np.argsort(block["source_id"])
    kept = order[np.isin(block["source_id"][order], truth["source_id"].to_numpy())]
    truth = truth.filter(truth["source_id"].is_in(block["source_id"][kept]))
    names = estimator.contract.labels.names
    labels = np.stack([truth[name].to_numpy() for name in names], axis=1).astype(float)
    return {name: values[kept] for name, values in block.items()}, labels


def report(estimator: Estimator, prior: np.ndarray, block: Block, labels: np.ndarray) -> None:
    """Print what was measured."""
    ratio, magnitude = block["rvs_spec_sig_to_noise"], block["phot_g_mean_mag"]
    views = {name: hide(block, hidden) for name, hidden in VIEWS.items()}
    views |= {f"noise x {by}": noisier(block, by) for by in (3, 10, 30)}
    found, rows = {}, []
    print(f"{len(labels)} stars\n\n| inputs | share, 16, 50 and 84 % | variance left |\n|-|-|-|")
    for name, one in views.items():
        found[name] = measured = Measured(estimator, labels, one)
        low, middle, high = np.nanpercentile(measured.share, [16, 50, 84])
        _, left = lost(measured.error[measured.known], prior)
        print(f"| {name} | {low:.3f}, {middle:.3f}, {high:.3f} | {left:.3f} |")
        for some in measured.groups(ratio, magnitude):
            rows.append((np.median(measured.share[some]), *lost(measured.error[some], prior)))
    share, nats, left = np.array(rows).T
    print(
        f"\n{len(rows)} groups: rank correlation with information lost"
        f" {spearmanr(share, nats)[0]:.3f}, with variance left {spearmanr(share, left)[0]:.3f}"
    )
    usual_share = np.nanpercentile(found["all"].share, [50, 84])
    for what, change in (("another star's", exchanged), ("scrambled", scrambled)):
        for name in SPECTRA:
            bad = Measured(estimator, labels, change(block, name))
            said(f"{name} {what}", bad, block[f"has_{name}"], usual_share)
    timed(estimator, found["all"].seconds, len(labels))


def said(what: str, bad: Measured, has: np.ndarray, usual_share: np.ndarray) -> None:
    """Print how many stars with a wrong spectrum look as if all was well."""
    wrong = has & (np.abs(bad.error).max(axis=1) > WRONG)
    words = []
    for limit in usual_share:
        quiet = has & ~bad.flagged & (bad.share < limit)
        words.append(f"below {limit:.3f} {quiet.sum()}, of these wrong {(quiet & wrong).sum()}")
    print(
        f"{what}: {has.sum()} stars, {wrong.sum()} answers wrong, {(has & bad.flagged).sum()}"
        f" flagged; without a flag {'; '.join(words)}"
    )


def timed(estimator: Estimator, seconds: float, stars: int) -> None:
    """Print what the column costs of a prediction."""
    labels = len(estimator.document.trained_labels)
    covariance = np.broadcast_to(0.1 * np.eye(labels), (stars, labels, labels))
    prior = Prior(np.array(estimator.document.label_covariance))
    begin = time.process_time()
    for _ in range(10):
        prior.share(covariance)
    each = (time.process_time() - begin) / 10
    print(f"{1e6 * each / stars:.1f} us a star, {100 * each / seconds:.2f} % of a prediction")


if __name__ == "__main__":
    main()
