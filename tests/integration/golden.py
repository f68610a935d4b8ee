"""Fingerprints of what each stage makes, to notice that it makes something else.

Digests would be simpler, and differ between processors: networks are summed up in another order on
each. So every array is described by its shape, its type and a few moments that a change of the
numbers, of their order or of their nulls moves, and compared with room for rounding.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
import zarr
from numpy.typing import NDArray

from catalog_builder.runtime.receipts import read_receipt

FILE: Final = Path(__file__).with_name("golden.json")

#: Room for rounding, in deviations of an array: what follows from trained weights needs more.
_EXACT, _TRAINED = 1e-4, 2e-2
_OF_TRAINING: Final = ("train", "model", "predict", "publish-chunks", "publish")

Fingerprint = dict[str, list[Any]]


def fingerprints(workdir: Path) -> dict[str, dict[str, Any]]:
    """Return version and fingerprint of every stage of a finished run, by stage."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted((workdir / "receipts").iterdir()):
        receipts = [read_receipt(file) for file in sorted(folder.glob("*.json"))]
        whole = [receipt for receipt in receipts if receipt is not None]
        arrays: dict[str, list[NDArray[Any]]] = defaultdict(list)
        for receipt in whole:
            for name, values in _arrays(workdir / receipt.output):
                arrays[name].append(values)
        found[folder.name] = {
            "version": whole[0].stage_version,
            "rows": [
                sum(receipt.rows_in for receipt in whole),
                sum(receipt.rows_out for receipt in whole),
            ],
            "arrays": {name: _describe(parts) for name, parts in sorted(arrays.items())},
        }
    return found


def differences(stage: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Say what of a stage's output is not as it was recorded."""
    found = [] if now["rows"] == then["rows"] else [f"rows {now['rows']}, were {then['rows']}"]
    names = {*now["arrays"], *then["arrays"]}
    room = _TRAINED if stage in _OF_TRAINING else _EXACT
    for name in sorted(names):
        one, other = now["arrays"].get(name), then["arrays"].get(name)
        if one is None or other is None:
            found.append(f"{name} is {'new' if other is None else 'gone'}")
        elif not _alike(one, other, room):
            found.append(f"{name} is {one}, was {other}")
    return found


def recorded() -> dict[str, dict[str, Any]]:
    """Return what was recorded."""
    content: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return content


def record(now: Mapping[str, Mapping[str, Any]]) -> None:
    """Write fingerprints down, unless a stage makes something else under its old version."""
    then = recorded() if FILE.exists() else {}
    unsaid = [
        stage
        for stage, found in now.items()
        if (old := then.get(stage)) and old["version"] == found["version"]
        if differences(stage, found, old)
    ]
    if unsaid:
        raise SystemExit(
            f"These stages make something else: {', '.join(unsaid)}. Raise their versions, where"
            ' catalog_builder/ has `Stage("NAME", version=...)`, first.'
        )
    lines = json.dumps(now, indent=0, sort_keys=True)
    FILE.write_text(lines + "\n")


def _arrays(output: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield all arrays below a folder, columns that lie in one array one by one."""
    if output.suffix == ".safetensors":
        return
    for store in sorted({file.parent for file in output.rglob("zarr.json")}):
        node = zarr.open(store, mode="r")
        if not isinstance(node, zarr.Array):
            continue
        name = str(store.relative_to(output))
        columns = node.attrs.get("columns") or _packed(output).get(name)
        values = np.asarray(node[:])
        if columns:
            yield from zip(map(str, columns), values, strict=True)
        else:
            yield name, values
    for file in sorted(output.glob("*.safetensors")):
        tensors = safetensors.numpy.load_file(file)
        yield from ((f"{file.stem}:{name}", tensors[name]) for name in sorted(tensors))


def _packed(output: Path) -> Mapping[str, list[str]]:
    try:
        group = zarr.open_group(output, mode="r")
    except FileNotFoundError:
        return {}
    columns = group.attrs.get("columns")
    return columns if isinstance(columns, dict) else {}


def _describe(parts: list[NDArray[Any]]) -> list[Any]:
    """Return type, shape, and of the finite numbers how many, mean, deviation and order."""
    shape = [sum(len(part) for part in parts), *parts[0].shape[1:]] if parts[0].ndim else []
    values = np.concatenate([np.ravel(part) for part in parts])
    known = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.size, bool)
    numbers = values[known].astype(np.float64) if values.dtype.kind in "fiub" else np.empty(0)
    if not numbers.size:
        return [values.dtype.str, shape, 0]
    # Identifiers would drown everything else: their low bits tell them apart as well.
    numbers = np.where(np.abs(numbers) > 1e12, np.mod(numbers, 1e9), numbers)
    weights = np.cos(np.arange(numbers.size))
    moments = [numbers.mean(), numbers.std(), (numbers * weights).mean()]
    return [values.dtype.str, shape, int(known.sum()), *(float(f"{m:.7g}") for m in moments)]


def _alike(one: list[Any], other: list[Any], room: float) -> bool:
    if one[:3] != other[:3]:
        return False
    if len(one) == 3:
        return True
    scale = max(abs(other[4]), abs(other[3]) * 1e-3, 1e-12)
    return all(abs(a - b) <= room * scale for a, b in zip(one[3:], other[3:], strict=True))
