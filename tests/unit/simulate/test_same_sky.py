"""The sky of today's descriptions stays the sky that it is: no draw is added, lost or moved."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from astropy.io import fits

from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import simulate

RECORD = Path(__file__).with_name("same_sky.json")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _numbers(values: np.ndarray) -> list[float]:
    """Return count, mean and spread: the same wherever last digits of sums differ."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return [0, 0.0, 0.0]
    return [len(known), float(known.mean()), float(known.std())]


def _csv(path: Path) -> dict[str, object]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = [line for line in lines if line.startswith("#")]
    types = dict(re.findall(r"name: (\w+)\n#   datatype: (\w+)", "\n".join(header)))
    frame = pl.read_csv(path, comment_prefix="#", infer_schema=False, null_values="null")
    found: dict[str, object] = {"header": _digest("\n".join(header)), "rows": frame.height}
    for name in frame.columns:
        column = frame[name].drop_nulls()
        if types[name].startswith("float"):
            found[name] = _numbers(column.cast(pl.Float64).to_numpy())
        elif column.str.starts_with("[").any():
            cells = column.str.strip_chars("[]").str.split(",").explode()
            found[name] = _numbers(cells.cast(pl.Float64).to_numpy())
        else:
            found[name] = _digest("\n".join(column.to_list()))
    return found


def fingerprint(out: Path) -> dict[str, dict[str, object]]:
    """Say of every file what is in it, in numbers that another processor gives, too."""
    found = {str(p.relative_to(out)): _csv(p) for p in sorted(out.rglob("*.csv.gz"))}
    rows = fits.getdata(next((out / "apogee").glob("*.fits")))
    labels = {
        name: _numbers(rows[name])
        if rows[name].dtype.kind == "f"
        else _digest("\n".join(map(str, rows[name])))
        for name in rows.dtype.names
    }
    truth = read_truth(out / "truth")
    true = {
        name: _numbers(truth[name].to_numpy())
        if truth[name].dtype.is_float()
        else _digest("\n".join(map(str, truth[name].to_list())))
        for name in truth.columns
    }
    return {**found, "labels": labels, "truth": true}


def test_the_sky_is_the_recorded_one(tmp_path):
    simulate("dr3", 120, 7, tmp_path / "sky")
    found = json.loads(json.dumps(fingerprint(tmp_path / "sky")))
    recorded = json.loads(RECORD.read_text())
    assert list(found) == list(recorded)
    for file, columns in recorded.items():
        assert list(found[file]) == list(columns), file
        for name, value in columns.items():
            where = f"{file}: {name}"
            if isinstance(value, list):
                # One star more or less noisy changes a mean of thousands by more.
                assert found[file][name] == pytest.approx(value, rel=1e-6, abs=1e-30), where
            else:
                assert found[file][name] == value, where
