"""The settings of a run: the only home of defaults, one sentence each.

A setting that changes what is computed enters the keys of the tasks that use it, so that changing
it recomputes those and nothing else. Where and with how many workers a run happens (``archive``,
``workdir``, ``cluster``) enters no key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from catalog_builder.features.settings import IngestSettings
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.documents import DocumentError, parse_yaml, read_document
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.settings import Section
from catalog_builder.inference.settings import AlarmSettings, PredictSettings
from catalog_builder.model.settings import ModelSettings
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.simulate.settings import DemoSettings
from catalog_builder.training.settings import TrainingSettings
from catalog_builder.verdict.settings import CheckSettings

#: A release of this name means: simulate the release before the suffix, then run on that.
DEMO_SUFFIX: Final = "-demo"


class RunConfig(Section):
    """All settings of a run."""

    release: str = Field(
        "dr3",
        description="A name in `schemas/releases` or a YAML file; NAME-demo simulates its archive.",
    )
    several_spectra: Literal["one_row_each", "combined"] | None = Field(
        None,
        description="What becomes of several spectra of one star; null: what the release says.",
    )
    archive: str | None = Field(None, description="Path or URL of the archive.")
    labels: str | None = Field(
        None,
        description="Path or URL of the label survey's file; by default looked for in the archive.",
    )
    workdir: Path = Field(
        Path("catalog-workdir"), description="Folder for everything that is made."
    )
    version: str = Field(
        "1.0",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._]*$",
        description="Name of the catalogue's version.",
    )
    model_path: str | None = Field(
        None, description="Predict with this model directory instead of training one."
    )
    recalibrate: bool = Field(
        False,
        description="Fit sigma of the model in `model_path` anew on this archive's labels.",
    )
    unverified_model: bool = Field(
        False,
        description=(
            "Accept a model of another release without measuring it on this one's labels; the"
            " catalogue says so."
        ),
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
    alarms: AlarmSettings = Field(default_factory=AlarmSettings)
    checks: CheckSettings = Field(default_factory=CheckSettings)
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

    @model_validator(mode="after")
    def _a_model_is_recalibrated(self) -> RunConfig:
        if self.recalibrate and self.model_path is None:
            raise ValueError("recalibrate: which model? Give model_path (--model)")
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


def load_config(
    file: Path | None, assignments: Iterable[str], options: Mapping[str, Any]
) -> RunConfig:
    """Build the configuration from a YAML file, ``--set`` assignments and options.

    Later ones win: defaults < what a demonstration needs < file < assignments < options. Options
    that are None are not set.

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
    _add_needs_of_demo(settings)
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(
            _explain(error, str(file) if file else "the command line"),
            "`catalog-builder run --print-config` shows every setting.",
        ) from None


def _add_needs_of_demo(settings: dict[str, Any]) -> None:
    """Set what the demonstration of a release needs, and nobody has set."""
    release = settings.get("release")
    if not isinstance(release, str) or not release.endswith(DEMO_SUFFIX):
        return
    if settings.get("archive") is not None:
        return  # It simulates one of its own: the run says so.
    # Needed by demonstrations alone.
    from catalog_builder.archive.release import load_release
    from catalog_builder.simulate.simulation import simulation_of

    # By the name that the description has: it may be given as a file, or be a part of a release.
    name = load_release(release.removesuffix(DEMO_SUFFIX)).name
    for dotted, value in simulation_of(name).demo.items():
        *parents, last = dotted.split(".")
        place: Any = settings
        for name in parents:
            place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.setdefault(last, value)


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
        plain = section.model_dump(mode="json", include={name}).get(name)  # left out: null
        text = yaml.safe_dump(plain, default_flow_style=True, width=10_000).strip()
        lines += [f"{pad}# {field.description}"] if field.description else []
        lines.append(f"{pad}{name}: {text.removesuffix('...').strip()}")
    return lines
