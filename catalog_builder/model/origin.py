"""What a model was trained on: written into its document, and read by those who use it.

The document may come from anybody, so what it says of itself is bounded text; a model of version
0.1.0 says only part of it, and what is not there is `None`: not recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.grids import GridSpec
from catalog_builder.contract.inputs import Inputs
from catalog_builder.ground.digests import digest_json, in_order
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.layout3 import fact_of_today

#: Digits of a digest that a person is shown.
SHORT: Final = 12
#: What a fact begins with that is recorded by its digest.
_DIGEST: Final = "digest "
#: Characters of a value that is recorded as it is.
_SHORT_ENOUGH: Final = 80
#: Facts of the most spectra and tables that a release may have: one spectrum has some twenty.
_MOST_FACTS: Final = 2000
#: Facts of a spectrum that say what its numbers mean, by how they are spoken of.
_MEANING: Final = ("medium", "frame")
#: Parts of a description that say what a spectrum is; their facts are recorded one by one.
_IN_FULL: Final = ("spectra", "parallax_zero_point")
#: What is said of models whose sigma was fitted anew.
_RECALIBRATED: Final = ("parent", "calibrated_release", "calibrated_stars")


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return value


Name = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Credit = Annotated[str, Field(max_length=4000)]


class ModelOrigin(BaseModel):
    """What is known of how a model came about; `None` where it is not recorded.

    Attributes
    ----------
    release, release_title : str
        The archive release that its stars are of.
    release_digest : str
        Digest of that release's description.
    release_facts : dict of str to str
        What the description says, by key: to name what differs in another.
    survey, survey_title : str
        Where its labels are from.
    credit, release_credit : str
        Acknowledgements owed to that survey, and for the stars' spectra.
    archive : str
        Digest of the input files that its stars and labels are from: their names and checksums.
    partitions, stars : int
        How many of the archive have stars with labels, and how many these are.
    simulated : bool
        Whether any of the stars is simulated.
    parent, calibrated_release : str
        Of a model whose sigma was fitted anew: the digest of the one before, and on which release.
    calibrated_stars : int
        How many stars that took.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    release: Name | None = None
    release_title: Name | None = None
    release_digest: Name | None = None
    release_facts: Annotated[dict[Name, Name], Field(max_length=_MOST_FACTS)] | None = None
    survey: Name | None = None
    survey_title: Name | None = None
    credit: Credit = ""
    release_credit: Credit = ""
    archive: Name | None = None
    partitions: Annotated[int, Field(ge=0)] | None = None
    stars: Annotated[int, Field(ge=0)] | None = None
    simulated: bool | None = None
    parent: Name | None = None
    calibrated_release: Name | None = None
    calibrated_stars: Annotated[int, Field(ge=0)] | None = None

    @property
    def made_for(self) -> str | None:
        """The release whose stars sigma was fitted on."""
        return self.calibrated_release or self.release

    def said(self) -> dict[str, Any]:
        """Return it for RELEASE.json: what few models have only where it is."""
        said = self.model_dump(exclude={"credit", "release_credit", "release_facts"})
        return {k: v for k, v in said.items() if v is not None or k not in _RECALIBRATED}

    @property
    def in_words(self) -> str:
        """What it was trained on, in a few words; what is not recorded is called so."""
        count = "" if self.stars is None else f"{self.stars} "
        kind = "simulated " if self.simulated else ""
        archive = "archive not recorded"
        if self.archive is not None:
            archive = f"archive {self.archive[:SHORT]}, partitions: {self.partitions}"
        unknown = "; not recorded whether simulated" if self.simulated is None else ""
        anew = ""
        if self.parent is not None:
            anew = f"; sigma fitted anew on {self.calibrated_stars} of {self.calibrated_release}"
        return (
            f"{count}{kind}stars with labels of {self.survey or 'a survey not recorded'} in"
            f" {self.release or 'a release not recorded'} ({archive}{unknown}){anew}"
        )


def read_origin(provenance: Mapping[str, Any], model: Path) -> ModelOrigin:
    """Return what a model's document says of its origin.

    Raises
    ------
    ModelError
        If a fact is not what it should be; the message names the key.
    """
    try:
        return ModelOrigin.model_validate(dict(provenance))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{model / 'model.json'}: provenance.{key[:80]!s}: {first['msg']}.",
            "Take the model directory as it was made, or train again.",
        ) from error


def facts_of(release: ReleaseSpec) -> dict[str, str]:
    """Return what a release's description says of its spectra by key, and digests of the rest."""
    facts: dict[str, str] = {}
    for name, content in _said_by(release).items():
        if name in _IN_FULL and content is not None:
            facts.update(_flat(name, content))
        elif isinstance(content, str | float | int) and len(str(content)) <= _SHORT_ENOUGH:
            facts[name] = str(content)
        else:
            facts[name] = f"{_DIGEST}{digest_json(content)[:SHORT]}"
    for name, spectrum in release.spectra.items():
        for product in spectrum.products:
            if isinstance(product.basis, BasisFile):  # behind what is cut off a list of products
                facts[f"spectra.{name}.{product.table}.basis"] = product.basis.sha256
    return dict(sorted(facts.items()))


def description_digest(release: ReleaseSpec) -> str:
    """Return the digest of a release's description."""
    return digest_json(in_order(_said_by(release)))


def _said_by(release: ReleaseSpec) -> dict[str, Any]:
    """Return a description without where its matrices lie: they are what their digest says."""
    where = {"spectra": {"__all__": {"products": {"__all__": {"basis": {"path"}}}}}}
    said: dict[str, Any] = release.model_dump(mode="json", exclude=where)
    return said


def differences(origin: ModelOrigin, release: ReleaseSpec) -> dict[str, str]:
    """Return in what the description of a model's release differs from this one, by key.

    Empty where both are the same, and where the model does not record its own.
    """
    if origin.release_digest == description_digest(release) or origin.release_facts is None:
        return {}
    here, there = facts_of(release), origin.release_facts
    keys = {*here, *there}
    named = {fact_of_today(key): value for key, value in there.items()}
    if named.keys() != there.keys():
        # Version 0.1 recorded less, and other things under other names: what both have is compared.
        there = named
        keys = {*here} & {*there}
    return {
        key: _difference(key, here.get(key), there.get(key))
        for key in sorted(keys)
        if here.get(key) != there.get(key)
    }


def _difference(key: str, here: str | None, there: str | None) -> str:
    """Say how a fact differs; what is only known by its digest has no words of its own."""
    if not any(str(value).startswith(_DIGEST) for value in (here, there)):
        return f"{key} is {here or 'absent'} here, {there or 'absent'} for the model"
    if here is None or there is None:
        return f"{key} is absent {'here' if here is None else 'for the model'}"
    return f"{key} differs"


def refuse_other_meaning(
    differing: Mapping[str, str], model: Path, spectra: Collection[str]
) -> None:
    """Refuse a model whose spectra were something else than those of the archive.

    Parameters
    ----------
    differing : mapping of str to str
        From `differences`.
    model : Path
        The model directory.
    spectra : collection of str
        Names of those that it was trained on, and the archive has.

    Raises
    ------
    ModelError
        If wavelengths refer to another medium or another frame.
    """
    facts = [f"spectra.{name}.{fact}" for name in spectra for fact in _MEANING]
    wrong = [differing[key] for key in facts if key in differing]
    if wrong:
        raise ModelError(
            f"The model {model} was trained on other spectra: {'; '.join(wrong)}.",
            "Take a model that was trained on this release, or correct the description.",
        )


def refuse_other_inputs(
    inputs: Inputs, shared: Collection[str], release: ReleaseSpec, model: Path
) -> None:
    """Refuse a model whose inputs of the same names are other ones in this release.

    Parameters
    ----------
    inputs : Inputs
        Those that the model knows.
    shared : collection of str
        Names of those that it was trained on, and the archive has. The others are absent for every
        star, which every model can bear.
    release : ReleaseSpec
        Of the archive.
    model : Path
        The model directory.

    Raises
    ------
    ModelError
        If a spectrum is of another kind or on another grid, or magnitudes are of other columns; or
        if nothing is shared, so that no star would get an answer.
    """
    if not shared:
        raise ModelError(
            f"The model {model} knows {', '.join(inputs.names)}, and was trained on some of these;"
            f" release {release.name} has none of them, but {', '.join(release.inputs.names)}.",
            "Take a model that was trained on this release, or correct the description.",
        )
    if wrong := [each for name in shared for each in _other(name, inputs, release.inputs)]:
        raise ModelError(
            f"The model {model} was trained on other inputs: {'; '.join(wrong)}.",
            "Take a model that was trained on this release, or correct the description.",
        )


def _other(name: str, there: Inputs, here: Inputs) -> Iterator[str]:
    """Yield in what an input that both have is another one."""
    facts: dict[str, tuple[object, object]]
    if name in here.spectra and name in there.spectra:
        one, other = here.spectra[name], there.spectra[name]
        facts = {
            "kind": (one.kind, other.kind),
            "grid": (_grid_in_words(one.grid), _grid_in_words(other.grid)),
            "sig_to_noise": (one.sig_to_noise, other.sig_to_noise),
        }
    elif name in here.photometry and name in there.photometry:
        columns = {band: each.column for band, each in here.photometry[name].bands.items()}
        facts = {
            band: (columns.get(band, "absent"), each.column)
            for band, each in there.photometry[name].bands.items()
        }
    else:
        spectra = (name in here.spectra, name in there.spectra)
        groups = (name in here.photometry, name in there.photometry)
        facts = {"whether it is a spectrum": spectra, "whether it is photometry": groups}
    for fact, (mine, its) in facts.items():
        if mine != its:
            yield f"{fact} of {name} is {mine} here, {its} for the model"


def _grid_in_words(grid: GridSpec) -> str:
    return f"{grid.count} samples from {grid.start:.10g} in steps of {grid.step:.10g} {grid.unit}"


def _flat(prefix: str, content: object) -> dict[str, str]:
    if isinstance(content, Mapping) and content:
        found: dict[str, str] = {}
        for name, value in content.items():
            found.update(_flat(f"{prefix}.{name}", value))
        return found
    return {prefix: str(content)[:200]}
