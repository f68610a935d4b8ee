"""What the parts of a run know of the whole, so that they need not import it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog.origins import Model
from catalog_builder.contract.contract import Contract
from catalog_builder.features.counts import Count
from catalog_builder.inference.alarm_record import Comparison
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Stage, Task
from catalog_builder.runtime.workdir import Workdir


class Run(Protocol):
    """What of a run (`run.pipeline.Pipeline`) its parts use."""

    config: RunConfig
    driver: Driver
    wanted: frozenset[str]
    workdir: Workdir
    release: ReleaseSpec
    given_up: dict[str, str]
    counts: dict[str, Count]
    compared: Comparison | None
    taught: list[Receipt]
    matches: list[Receipt]

    @property
    def archive(self) -> str: ...  # noqa: D102
    @property
    def partitions(self) -> list[Partition]: ...  # noqa: D102
    @property
    def survey(self) -> LabelSurvey: ...  # noqa: D102
    @property
    def label_file(self) -> FileRef: ...  # noqa: D102
    @property
    def contract(self) -> Contract: ...  # noqa: D102
    @property
    def given(self) -> Model: ...  # noqa: D102
    @property
    def model(self) -> Model: ...  # noqa: D102
    @property
    def features(self) -> list[Receipt]: ...  # noqa: D102
    @property
    def labels(self) -> Receipt: ...  # noqa: D102
    @property
    def matched(self) -> list[Receipt]: ...  # noqa: D102
    @property
    def training(self) -> Receipt: ...  # noqa: D102
    @property
    def predictions(self) -> list[Receipt]: ...  # noqa: D102
    @property
    def measured(self) -> dict[str, Any] | None: ...  # noqa: D102
    def step(  # noqa: D102
        self, step: str, stage: Stage, context: Any, tasks: Sequence[Task], plugin: Any = None
    ) -> list[Receipt]: ...
