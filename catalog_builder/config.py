"""The settings of a run: the only home of defaults, one sentence each.

A setting that changes what is computed enters the keys of the tasks that use it, so that changing
it recomputes those and nothing else. Where and with how many workers a run happens (``archive``,
``workdir``, ``cluster``) enters no key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catalog_builder.archive.fetch.settings import FetchSettings
from catalog_builder.catalog.exports import known_formats
from catalog_builder.documents import DocumentError, parse_yaml, read_document
from catalog_builder.errors import ConfigError
from catalog_builder.model.settings import ModelSettings
from catalog_builder.runtime.clusters.settings import ClusterSettings

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestSettings(Section):
    """How archive tables become features."""

    block_rows: int = Field(
        1024, ge=1, description="Rows of a spectra table held in memory at a time."
    )
    store_chunk_rows: int = Field(
        1024, ge=1, description="Rows per chunk of the feature stores of one partition."
    )
    min_pixel_coverage: Fraction = Field(
        0.5, description="A model pixel with a smaller usable part of its width is masked."
    )
    min_spectrum_coverage: Fraction = Field(
        0.5, description="A spectrum of lines with a smaller share of usable pixels is rejected."
    )
    max_rejected: Fraction = Field(
        0.1, description="The run stops when a larger share of the requested sources is rejected."
    )
    accept_lost: bool = Field(
        False,
        description="Seal a catalogue although of some partition nothing could be read, not even"
        " how many sources are lost with it.",
    )
    verify_checksums: bool = Field(
        True, description="Compare every input file with the archive's own checksum list, if any."
    )


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


class PredictSettings(Section):
    """How the model is applied."""

    batch_size: int = Field(
        1024,
        ge=1,
        description="Stars per forward pass, counted from the start of each partition, so that"
        " results do not depend on the number of workers.",
    )


class PublishSettings(Section):
    """How the catalogue is written."""

    chunk_rows: int = Field(
        65_536, ge=1, description="Rows per chunk of the catalogue's zarr store."
    )
    formats: tuple[str, ...] = Field(
        ("fits",),
        description="What is exported beside the zarr store: names of modules in"
        " `catalog_builder/catalog/exports`, or of entry points `catalog_builder.exports`.",
    )
    report: bool = Field(
        True, description="Draw `report.html`: some 4 s at the end of the run, however many rows."
    )

    @field_validator("formats")
    @classmethod
    def _formats_are_known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        known = known_formats()
        for name in formats:
            if name not in known:
                raise ValueError(f"{name!r} is no export format; known are {', '.join(known)}")
        if len(set(formats)) < len(formats):
            raise ValueError("a format is named twice")
        return formats


class DemoSettings(Section):
    """The sky that a `-demo` release simulates."""

    stars: int = Field(6000, ge=100, description="Stars of the simulated sky.")
    seed: int = Field(1, ge=0, description="Seed of the simulated sky.")


class RunConfig(Section):
    """All settings of a run."""

    release: str = Field(
        "dr3",
        description="A name in `schemas/releases` or a YAML file; NAME-demo simulates its archive.",
    )
    archive: str | None = Field(None, description="Path or URL of the archive.")
    labels: str | None = Field(
        None,
        description="Path or URL of the label survey's file; by default looked for in the archive.",
    )
    workdir: Path = Field(
        Path("catalog-workdir"), description="Folder that holds all that is made."
    )
    version: str = Field(
        "1.0",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._]*$",
        description="Name of the catalogue's version.",
    )
    model_path: str | None = Field(
        None, description="Predict with this model directory instead of training one."
    )
    ranges: tuple[str, ...] = Field(
        (),
        description="Only these partitions (`000000-023055`) or HEALPix level-8 pixels (`3111`).",
    )
    seed: int = Field(
        42, ge=0, lt=2**63, description="Seed of the split, the initial weights and the batches."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where training runs; `auto` takes a GPU if the worker has one."
    )
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    predict: PredictSettings = Field(default_factory=PredictSettings)
    fetch: FetchSettings = Field(default_factory=FetchSettings)
    demo: DemoSettings = Field(default_factory=DemoSettings)
    publish: PublishSettings = Field(default_factory=PublishSettings)

    @model_validator(mode="after")
    def _a_gpu_can_be_had(self) -> RunConfig:
        if self.device == "cuda" and self.cluster.submits and not self.cluster.offers_gpu:
            raise ValueError(
                f"device is cuda, but cluster.{self.cluster.kind} does not say where a GPU is to be"
                " had (gpu_queue)"
            )
        return self

    @property
    def training_device(self) -> str:
        """The device of training: where a GPU is asked for, only `gpu_fallback` allows a CPU."""
        must = self.cluster.offers_gpu and not self.cluster.gpu_fallback
        return "cuda" if self.device == "auto" and must else self.device

    @field_validator("ranges", mode="before")
    @classmethod
    def _accept_one_range(cls, value: Any) -> Any:
        return (str(value),) if isinstance(value, str | int) else value


def digest_json(value: Any) -> str:
    """Return a short sha256 of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_config(
    file: Path | None, assignments: Iterable[str], options: Mapping[str, Any]
) -> RunConfig:
    """Build the configuration from a YAML file, ``--set`` assignments and options.

    Later ones win: defaults < file < assignments < options. Options that are None are not set.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or a value is not allowed.
    """
    settings: dict[str, Any] = _read_yaml(file) if file else {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip(". "):
            lacks = "key" if separator else "'='"
            raise ConfigError(
                f"--set {assignment!r} has no {lacks}.", "Write --set section.key=value."
            )
        _assign(settings, key.strip(), _parse_value(assignment, text))
    for key, value in options.items():
        if isinstance(value, str) and not value.strip():
            raise ConfigError(
                f"The option for {key} is empty: a variable that is not set, perhaps?",
                "Give it a value, or leave it out.",
            )
        if value is not None:
            _assign(settings, key, value)
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(
            _explain(error, str(file) if file else "the command line"),
            "`catalog-builder run --print-config` shows every setting.",
        ) from None


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_document(file))
    except OSError as error:
        raise ConfigError(f"Cannot read {file}: {error.strerror}.", "Check --config.") from None
    except DocumentError as error:
        raise ConfigError(f"{file} is not taken: {error}.", "Correct the file.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file} must hold `key: value` pairs.", "See docs/configuration.md.")
    return content


def _parse_value(assignment: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except DocumentError as error:
        raise ConfigError(
            f"The value of --set {assignment[:80]!r} is not taken: {error}.", "Quote it."
        ) from None


def _assign(settings: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    place = settings
    for name in parents:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise ConfigError(f"{name!r} in {dotted!r} is not a section.", "Check the key.")
    place[last] = value


def _explain(error: ValidationError, source: str) -> str:
    """Say each wrong key in a line of words; an unknown key gets near ones, and those allowed."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            near = _near_settings(key)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            allowed = _allowed_keys(item["loc"][:-1])
            lines.append(f"{key}: unknown setting (allowed here: {', '.join(allowed)}){meant}")
        else:
            lines.append(f"{key}: {_in_words(item)} (got {item['input']!r})")
    return f"Wrong settings in {source}: " + "; ".join(lines) + "."


def _in_words(item: Mapping[str, Any]) -> str:
    if item["type"] == "string_type" and isinstance(item["input"], int | float):
        return (
            f"it is text: in YAML write '\"{item['input']}\"', with both quotes on a command line"
        )
    if item["type"] == "string_pattern_mismatch" and item["loc"] == ("version",):
        rule = "letters, digits, '.' and '_', the first a letter or a digit"
        return f"it must be of {rule} (pattern {item['ctx']['pattern']})"
    if item["type"] in {"model_type", "model_attributes_type"}:
        name = item["loc"][-1]
        return f"it is a section: set one of its keys, {name}.KEY=VALUE"
    return str(item["msg"]).removeprefix("Value error, ")


def _near_settings(key: str) -> list[str]:
    """Return settings that may have been meant: of the same last name, or spelt nearly so."""
    known = list(_dotted(RunConfig))
    last = key.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    return same[:3] or difflib.get_close_matches(key, known, n=2, cutoff=0.7)


def _dotted(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _dotted(field.annotation, f"{prefix}{name}.")


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = RunConfig
    for name in location:
        annotation = model.model_fields[str(name)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)


def to_yaml(config: RunConfig) -> str:
    """Return the resolved configuration as YAML with the sentence of each setting above it."""
    return "\n".join(_yaml_lines(config, indent=0)) + "\n"


def _yaml_lines(section: BaseModel, indent: int) -> list[str]:
    pad = " " * indent
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            lines += ["", f"{pad}{name}:", *_yaml_lines(value, indent + 2)]
            continue
        plain = section.model_dump(mode="json", include={name})[name]
        text = yaml.safe_dump(plain, default_flow_style=True, width=10_000).strip()
        lines += [f"{pad}# {field.description}"] if field.description else []
        lines.append(f"{pad}{name}: {text.removesuffix('...').strip()}")
    return lines
