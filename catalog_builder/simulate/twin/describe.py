"""The release description that fits a simulated archive: the draft, and what was decided."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import yaml

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.grids import GridSpec
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.simulate.twin import basis
from catalog_builder.simulate.twin.columns import FOLDERS, STEMS, TABLES
from catalog_builder.simulate.twin.recipe import Recipe
from catalog_builder.simulate.twin.tables import HAS_RVS

#: Name of the later release that can be simulated: its draft in ``schemas/releases``.
LATER: Final = "dr4"
#: Samples of the later RVS spectra.
GRID: Final = GridSpec(start=846.0, step=0.025, count=961, unit="nm")
#: Fainter RVS spectra are not to be used: nothing was trained on such.
_LEAST_USED: Final = 15.0
_FORMATS: Final = {"ranges": ["csv.gz"], "regions": ["parquet"]}
#: List of the checksums of a folder.
CHECKSUMS: Final = "_MD5SUM.txt"
_NEIGHBOURS: Final = "dr3_neighbourhood"
_XP_TABLE: Final = "xp_continuous_mean_spectrum"
_ORDINARY: Final = frozenset({"solution_id", "designation", "healpix_id"})


def file_of(name: str) -> str:
    """Return the file of the description in the archive's root."""
    return f"{name}-simulated.yaml"


def draft_of(name: str) -> dict[str, Any]:
    """Return the shipped draft of the later release.

    Raises
    ------
    ConfigError
        If it is another than the one whose tables can be simulated.
    """
    if name != LATER:
        raise ConfigError(
            f"--release {name} cannot be simulated as a twin.", f"Give --release {LATER}."
        )
    content = yaml.safe_load((schemas_dir() / "releases" / f"{name}.yaml").read_text())
    return dict(content)


def describe(
    draft: dict[str, Any], older: ReleaseSpec, recipe: Recipe, sha256: str
) -> dict[str, Any]:
    """Return the description of the archive without its traps.

    Parameters
    ----------
    draft : dict
        The shipped description; what the simulation decides is replaced, the rest stays.
    older : ReleaseSpec
        The older release: partition rule of ranges, and its name for the crosswalk.
    recipe : Recipe
        What was decided.
    sha256 : str
        Of the file with the matrices.
    """
    found = copy.deepcopy(draft)
    for key in ("download", "checksums"):
        found.pop(key, None)
    found |= {
        "name": f"{draft['name']}-simulated",
        "driving_tables": ["rvs_mean_spectrum", _XP_TABLE],
        "joined_tables": ["all_source_flags"],
        "partition": _partition(older, recipe),
        "parallax_zero_point": _zero_point(draft["parallax_zero_point"]),
        "crosswalks": {older.name: _crosswalk()},
    }
    if recipe.layout == "ranges":
        found["checksums"] = {"file_name": CHECKSUMS, "algorithm": "md5"}
    found["spectra"] = {
        "rvs": _rvs(draft["spectra"]["rvs"], recipe),
        "xp": _xp(draft["spectra"].get("xp", {}), sha256),
    }
    found["tables"] = {name: _table(name, draft, recipe) for name in _described(draft)}
    return found


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    """Write a description into the archive's root."""
    path = folder / file_of(name)
    says = (
        "# Simulated by catalog-builder: the layout of the archive in this folder.\n"
        f"# Made of schemas/releases/{name}.yaml; traps are not in it.\n"
    )
    text = yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
    path.write_text(says + text, encoding="utf-8")
    return path


def _partition(older: ReleaseSpec, recipe: Recipe) -> dict[str, Any]:
    rule = older.partition.model_dump(mode="json", exclude_unset=True)
    if recipe.layout == "ranges":
        return rule
    rule.pop("range_pattern", None)
    return {"layout": "regions", **rule}


def _zero_point(draft: dict[str, Any]) -> dict[str, Any]:
    if "fallback" in draft:
        return draft
    same = ("phot_g_mean_mag", "nu_eff_used_in_astrometry", "pseudocolour", "ecl_lat")
    inputs = dict(zip(same, same, strict=True))
    return {
        "rule": "column",
        "inputs": {"bias": "tentative_parallax_bias"},
        "fallback": {
            "rule": "lindegren2021",
            "inputs": inputs | {"astrometric_params_solved": "astrometric_params"},
        },
    }


def _crosswalk() -> dict[str, str]:
    return {
        "table": _NEIGHBOURS,
        "old": "dr3_source_id",
        "new": "source_id",
        "distance": "angular_distance",
        "magnitude_difference": "magnitude_difference",
        "probable": "probable_match",
    }


def _rvs(draft: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    by = {"column": "grvs_mag", "threshold": 12.0, "below": "pseudo_continuum"}
    said = {"table": "all_source_flags", "column": "has_rvs", "values": [HAS_RVS]}
    return draft | {
        "products": [{"table": "rvs_mean_spectrum", "announced_by": said}],
        "grid": GRID.model_dump(mode="json"),
        "medium": "vacuum",
        "frame": "rest",
        "normalisation": (
            {"fixed": "constant"}
            if recipe.normalised_by == "median"
            else {**by, "otherwise": "constant"}
        ),
        "sig_to_noise": "rvs_spec_sig_to_noise",
        "least_sig_to_noise": draft.get("least_sig_to_noise", _LEAST_USED),
    }


def _xp(draft: dict[str, Any], sha256: str) -> dict[str, Any]:
    return draft | {
        "kind": "low_resolution",
        "title": "XP",
        "products": [
            {
                "table": _XP_TABLE,
                "holds": "coefficients",
                "bands": {str(band): count for band, count in basis.COUNTS.items()},
                "basis": {"path": basis.FILE, "sha256": sha256},
                "announced_by": {"table": "all_source_flags", "column": "has_xp"},
            }
        ],
        "grid": {"start": 336.0, "step": 2.0, "count": 343, "unit": "nm"},
        "frame": "barycentric",
        "flux_unit": "W m-2 nm-1",
        "scale_window": [500.0, 900.0],
    }


def _described(draft: dict[str, Any]) -> list[str]:
    needed = ("gaia_source", "all_source_flags", "rvs_mean_spectrum", _XP_TABLE, _NEIGHBOURS)
    return list(dict.fromkeys((*needed, *(name for name in draft["tables"] if name in TABLES))))


def _table(name: str, draft: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Describe a table: the draft's columns that its files have, or all if the draft has none."""
    before = draft["tables"].get(name, {}).get("columns")
    in_files = {column.name: column for column in TABLES[name]}
    if before is None:
        columns = {column: _column(name, column) for column in in_files if column not in _ORDINARY}
    else:
        columns = {column: spec for column, spec in before.items() if column in in_files}
    return {
        "folders": [FOLDERS[name], name],
        "stem": STEMS[name],
        "formats": list(_FORMATS[recipe.layout]),
        "columns": columns,
    }


def _column(table: str, name: str) -> dict[str, Any]:
    column = next(one for one in TABLES[table] if one.name == name)
    if name == "source_id":
        return {"dtype": "int64", "required": True}
    found: dict[str, Any] = {"dtype": column.dtype}
    if column.unit:
        found["unit"] = column.unit.replace("**", "").replace(".", " ")
    if column.array:
        found |= {"length": _length(name), "required": True}
    return found


def _length(column: str) -> int:
    """Length of an array of coefficients or of their correlations."""
    count = next(k for band, k in basis.COUNTS.items() if column.startswith(band))
    return count * (count - 1) // 2 if column.endswith("correlations") else count
