"""The trained ensemble at work: feature block in, labels with honest sigmas out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.contract.contract import Contract
from catalog_builder.galaxy.relation import Relation
from catalog_builder.model.calibrate.factors import coordinates, factors
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95
from catalog_builder.model.checkpoint import check_tensors, read_tensors
from catalog_builder.model.document import (
    ModelDocument,
    fold_folder,
    read_document,
    refuse_foreign_fold,
)
from catalog_builder.model.fit.member import torch_threads
from catalog_builder.model.net.answers import Contradictions, believed
from catalog_builder.model.net.mixture import Mixture, Spectral, mixture
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.net.packed import pack
from catalog_builder.model.net.slices import SLICE, whole_slices
from catalog_builder.model.prediction import Prediction, no_prediction
from catalog_builder.model.prior import Prior
from catalog_builder.model.select.selection import Selection, Strangeness
from catalog_builder.model.taught import TaughtStars, taught_by
from catalog_builder.training.arrays import batches, completed
from catalog_builder.training.design import Block, Scaling, Stars, network_columns, physical_labels

Array = NDArray[np.float64]


class Estimator:
    """An ensemble ready to predict.

    Use `Estimator.load`; the constructor is for an ensemble that is not on disk yet.

    Parameters
    ----------
    networks : sequence of HybridNet
        The members; on a CPU they are packed, and then can no longer be trained or saved.
    document : ModelDocument
        What they are.
    selection : Selection, optional
        Tests of strangeness, on the same device; without it no star is tested.
    device : str
        Where torch computes.
    taught : TaughtStars, optional
        The stars that taught it.
    folds : sequence of Estimator
        Trained without one fold of these stars each; `predict` does not ask them.
    """

    def __init__(
        self,
        networks: Sequence[HybridNet],
        document: ModelDocument,
        selection: Selection | None = None,
        device: str = "cpu",
        taught: TaughtStars | None = None,
        folds: Sequence[Estimator] = (),
    ) -> None:
        self.networks = [pack(network.to(device).eval()) for network in networks]
        self.contract: Contract = document.contract
        labels = self.contract.labels
        self._scaling = Scaling.from_json(document.scaling, self.contract)
        self._untrained = np.array([name not in document.trained_labels for name in labels.names])
        known = [labels.place(name) for name in document.trained_labels]
        self._trained = torch.tensor(known, device=device)
        self._prior = _prior_of(document)
        self._selection = selection or Selection(self.contract.inputs)
        self._device = device
        self.document = document
        self.taught, self.folds = taught, tuple(folds)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Estimator:
        """Load a model directory.

        Raises
        ------
        ModelError
            If anything in it is missing, was changed, or does not fit this program.
        """
        document = read_document(path)
        most = 4 * document.settings.weights(document.contract)
        networks = []
        for weights in document.weights:
            file = path / weights.file
            tensors, _ = read_tensors(file, most, sha256=weights.sha256)
            networks.append(build_network(file, tensors, document))
        tests = document.selection
        selection = Selection.load(
            path / tests.file,
            document.contract.inputs,
            device,
            most_landmarks=document.settings.map_stars,
            sha256=tests.sha256,
        )
        stars = None if document.taught is None else taught_by(path)
        return cls(networks, document, selection, device, stars, cls._folds(path, document, device))

    @classmethod
    def _folds(cls, path: Path, document: ModelDocument, device: str) -> list[Estimator]:
        """Load the models of a model's folds; each must go with the whole."""
        folds = []
        for number, digest in enumerate(document.taught.folds if document.taught else ()):
            folder = path / fold_folder(number)
            # Looked at first: it must not lead to folds of its own, and so on.
            refuse_foreign_fold(folder, document, digest)
            folds.append(cls.load(folder, device))
        return folds

    def calibrated_as(self, document: ModelDocument) -> Estimator:
        """Return the same networks and tests with the calibration of another document."""
        other = copy.copy(self)
        other.document = document
        return other

    def before_calibration(self) -> Estimator:
        """Return the same networks with sigma as they say it, and no tests of strangeness."""
        bare = self.calibrated_as(self.document.model_copy(update={"calibration": {}}))
        bare._selection = Selection(self.contract.inputs)
        return bare

    @property
    def digest(self) -> str:
        """SHA-256 of the model: its weights and all that ``model.json`` says."""
        return self.document.digest

    @property
    def label_range(self) -> dict[str, tuple[float, float]]:
        """Least and greatest value of each trained label among the fit stars."""
        return self.document.label_range

    @property
    def magnitude_range(self) -> tuple[float, float] | None:
        """Least and greatest magnitude of the fit stars, in the first band, mag."""
        return self.document.magnitude_range

    @property
    def luminosity(self) -> Relation | None:
        """Absolute magnitudes by labels, if it has learnt them."""
        return self.document.luminosity

    @property
    def parallax_range(self) -> tuple[float, float] | None:
        """Least and greatest corrected parallax of the fit stars, mas."""
        return self.document.parallax_range

    def predict(self, block: Block, batch_size: int) -> Prediction:
        """Predict the labels of a feature block's stars.

        The block is cut in batches from its first star on; with the same cuts a star gets the
        same bits, whatever runs beside it.

        Parameters
        ----------
        block : mapping of str to numpy.ndarray
            Feature block of n stars; any of their inputs may be absent. An input of the model
            whose arrays the block does not have is absent for all; what the model does not know
            is not looked at.
        batch_size : int
            Stars per forward pass.

        Raises
        ------
        ModelError
            If an input that is said to be present is not finite.
        """
        block = completed(block, self.contract.inputs)
        # A star whose inputs or answer overflow gets what is not finite, and no warning.
        with np.errstate(all="ignore"):
            parts = [self._predict_batch(part) for part in self._cut(block, batch_size)]
        if not parts:
            return no_prediction(self.contract)
        names = Prediction.__dataclass_fields__
        return Prediction(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        )

    def contradictions(self, block: Block, batch_size: int) -> Contradictions:
        """Return what the networks say against each other about a feature block's stars."""
        block = completed(block, self.contract.inputs)
        with torch.no_grad(), torch_threads(self.document.settings.threads):
            parts = [
                self._mixture(self._stars(part)).contradictions
                for part in self._cut(block, batch_size)
            ]
        return Contradictions(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def _cut(self, block: Block, batch_size: int) -> Iterator[Block]:
        """Yield whole batches; on a CPU what is left comes slice by slice (see `slices`)."""
        for part in batches(block, batch_size):
            whole = len(part["source_id"]) == batch_size or self._device != "cpu"
            yield from [part] if whole else batches(part, SLICE)

    def _stars(self, block: Block) -> Stars:
        wanted = self.document.trained_inputs
        return Stars.from_block(
            block, self.contract.inputs, self._device, wanted, may_overflow=True
        )

    def _predict_batch(self, block: Block) -> Prediction:
        with torch.no_grad(), torch_threads(self.document.settings.threads):
            stars = self._stars(block)
            said = self._mixture(stars, spectral=self.luminosity is not None)
            strangeness = self._selection.judge(stars, said.contradictions)
        used = said.used
        mean, unit = self._physical(said.mean)
        unknown = self._untrained[None, :] | (used.sum(axis=1)[:, None] == 0)
        mean[unknown] = np.nan
        covariance = said.aleatoric + said.epistemic
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        deviation = np.sqrt(variance)
        places = coordinates(block, mean, deviation * unit, used, self.contract)
        on_sigma, on_interval = factors(
            self.document.calibration, used, places, self.contract.inputs
        )
        parts = (said.aleatoric, said.epistemic)
        variances = (np.diagonal(part, axis1=1, axis2=2) for part in parts)
        from_data, from_members = (np.sqrt(part) * unit * on_sigma for part in variances)
        interval95 = GAUSSIAN_95 * deviation * unit * on_interval
        # Contradictions come after the calibration: it has seen next to none, and would take back
        # what they add.
        covariance = _contradicted(covariance, said.either, strangeness)
        mixed = np.diagonal(covariance, axis1=1, axis2=2)
        contradicted = np.sqrt(np.maximum(mixed - variance, 0.0)) * unit
        from_members = np.hypot(from_members, contradicted)
        interval95 = np.hypot(interval95, GAUSSIAN_95 * contradicted)
        deviation = np.sqrt(mixed)
        correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
        correlation[unknown[:, :, None] | unknown[:, None, :]] = np.nan
        for values in (from_data, from_members, interval95):
            values[unknown] = np.nan
        spectral_mean, spectral_covariance, spectral_share = self._of_spectra(
            block, said.spectral, len(mean)
        )
        sigma = np.hypot(from_data, from_members)
        return Prediction(
            mean=mean,
            sigma=sigma,
            sigma_aleatoric=from_data,
            sigma_epistemic=from_members,
            interval95=interval95,
            correlation=correlation,
            inputs_used=used,
            distances=strangeness.distances,
            map_position=strangeness.position,
            prior_share=self._prior_share(correlation, sigma / unit),
            spectral_mean=spectral_mean,
            spectral_covariance=spectral_covariance,
            spectral_share=spectral_share,
        )

    def _prior_share(self, covariance: Array, scale: Array) -> Array:
        """Return the prior's share of answers, (n,).

        Their covariance, (n, l, l), times these numbers, (n, l), is on the network's scale.
        """
        if self._prior is None:
            return np.full(len(scale), np.nan)
        places = np.flatnonzero(~self._untrained)
        scale, covariance = scale[:, places], covariance[:, places][:, :, places]
        return self._prior.share(covariance * scale[:, :, None] * scale[:, None, :])

    def _physical(self, scaled: Array) -> tuple[Array, Array]:
        """Return labels in their units, and the size of a unit of the network's there, (n, l)."""
        learnt = scaled * self._scaling.labels_std + self._scaling.labels_mean
        mean, unit = physical_labels(learnt, self.contract.labels)
        return mean, unit * self._scaling.labels_std

    def _mixture(self, stars: Stars, *, spectral: bool = False) -> Mixture:
        count = len(stars)
        if count % SLICE:
            stars = stars.take(whole_slices(torch.arange(count, device=stars.present.device)))
        columns = network_columns(stars, self._scaling, self.document.trained_inputs)
        return mixture(
            self.networks, columns, stars.present, self._trained, count, spectral=spectral
        )

    def _of_spectra(
        self, block: Block, said: Spectral | None, stars: int
    ) -> tuple[Array, Array, Array]:
        """Return labels, their covariance and the prior's share; NaN where nothing was asked."""
        if said is None:
            labels = len(self.contract.labels)
            shapes = (stars, labels), (stars, labels, labels), (stars,)
            mean, covariance, share = (np.full(shape, np.nan) for shape in shapes)
            return mean, covariance, share
        mean, unit = self._physical(said.mean)
        unknown = self._untrained[None, :] | (said.used.sum(axis=1)[:, None] == 0)
        mean[unknown] = np.nan
        deviation = np.sqrt(np.diagonal(said.covariance, axis1=1, axis2=2))
        places = coordinates(block, mean, deviation * unit, said.used, self.contract)
        on_sigma, _ = factors(self.document.calibration, said.used, places, self.contract.inputs)
        size = unit * on_sigma
        share = self._prior_share(said.covariance, on_sigma)
        return mean, said.covariance * size[:, :, None] * size[:, None, :], share


def _prior_of(document: ModelDocument) -> Prior | None:
    covariance = document.label_covariance
    return None if covariance is None else Prior(np.array(covariance))


def _contradicted(covariance: Array, either: Array, strangeness: Strangeness) -> Array:
    """Return the covariance, (n, l, l), mixed with that of stars of which one spectrum is wrong.

    Where several pairs of spectra contradict each other it is believed of the pair with the largest
    conflict over its limit: a wrong spectrum is in conflict with all right ones, and one of them
    says where the truth is.
    """
    conflicts = strangeness.conflicts
    if not conflicts.shape[1]:
        return covariance
    stars, worst = np.arange(len(conflicts)), conflicts.argmax(axis=1)
    weight = believed(conflicts[stars, worst])[:, None, None]
    return np.asarray((1.0 - weight) * covariance + weight * either[worst, stars])


def build_network(file: Path, tensors: dict[str, Tensor], document: ModelDocument) -> HybridNet:
    """Build a member from its weights; raises ModelError where they do not fit the settings."""
    with torch.device("meta"):
        wanted = HybridNet(
            document.settings, document.contract, document.trained_inputs
        ).state_dict()
    check_tensors(file, tensors, wanted)
    network = HybridNet(document.settings, document.contract, document.trained_inputs)
    network.load_state_dict(tensors)
    return network
