"""The recipes of CONTRIBUTING.md that no other test follows, with the text that stands there."""

import re
import types

import numpy as np
import yaml

from catalog_builder.archive import rejects
from catalog_builder.contract.flags import FlagSchema
from catalog_builder.flags import predicates
from catalog_builder.flags.bits import compute_flags
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import default_contract
from catalog_builder.runtime.clusters import registry
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.workdir import Workdir
from tests.integration.documented import ROOT
from tests.unit.flags.test_bits import feature_columns

#: The reasons that stores have by number.
KEPT = (
    "malformed_row", "bad_source_id", "wrong_array_length", "bad_number", "all_nan_spectrum",
    "negative_or_zero_errors", "xp_band_missing", "duplicate_source_id", "outside_partition_range",
    "no_gaia_source_row", "no_usable_input", "unreadable_file", "checksum_mismatch",
    "truncated_file", "file_not_as_described", "no_positive_flux", "below_least_sig_to_noise",
)  # fmt: skip


def blocks(recipe):
    """Return the blocks of code of a recipe, in order."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split(f"## {recipe}\n")[1].split("\n## ")[0]
    return re.findall(r"```(?:python|yaml)\n(.*?)```", section, re.DOTALL)


def test_add_a_flag(tmp_path, monkeypatch):
    predicate, bit = blocks("Add a flag")
    names = vars(predicates).copy()
    exec(predicate, names)
    known = {**predicates.PREDICATES, "brighter_than": names["brighter_than"]}
    monkeypatch.setattr("catalog_builder.flags.bits.PREDICATES", known)
    content = yaml.safe_load((schemas_dir() / "flags.yaml").read_text(encoding="utf-8"))
    # The page's number is the next one only as long as nobody followed it.
    taken = {entry["bit"] for entry in content["bits"] if "bit" in entry}
    taken |= {number for entry in content["bits"] for number in entry.get("bits", {}).values()}
    (entry,) = yaml.safe_load(bit)
    assert entry["bits"].keys() == {"g"}
    assert entry["bits"]["g"] in {*taken, max(taken) + 1}
    content["bits"].append({**entry, "bits": {"g": max(taken) + 1}})
    file = tmp_path / "flags.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    before, contract = FlagSchema.of(default_contract()), default_contract()
    schema = FlagSchema.of(contract, file)
    assert schema.bits[:-1] == before.bits
    assert schema["g_bright"].bit == max(taken) + 1
    assert schema["g_bright"].sentence == (
        "phot_g_mean_mag is below 6 mag: spectra may be saturated."
    )
    stars = 2
    column, nothing = schema.test, np.full(stars, np.nan)
    context = predicates.FlagContext(
        contract=contract,
        mean=np.full((stars, len(contract.labels.names)), np.nan),
        inputs_used=np.zeros((stars, len(contract.inputs.names)), bool),
        features={
            **dict.fromkeys(feature_columns(), nothing),
            "phot_g_mean_mag": np.array([5.9, 6.1]),
        },
        distances=dict.fromkeys(
            (bit.parameters["distance"] for bit in before.bits if "distance" in bit.parameters),
            nothing,
        ),
    )
    flags = compute_flags(context, schema)
    assert column(flags, "g_bright").tolist() == [True, False]


def test_add_a_kind_of_cluster(tmp_path, monkeypatch):
    (module,) = blocks("Add a kind of cluster")
    (tmp_path / "threads_of_a_recipe.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.KINDS, "threads", ("threads_of_a_recipe", "Threads"))
    cluster = make_cluster(ClusterSettings(kind="threads"), Workdir(tmp_path / "work"))
    (finding,) = cluster.check()
    assert finding.text == "threads: 1 workers, 0 with the resource GPU"
    assert finding.error is None


def test_add_a_reject_reason():
    member, sentence = blocks("Add a reject reason")
    source = (ROOT / "catalog_builder" / "archive" / "rejects.py").read_text(encoding="utf-8")
    source = source.replace("\n    @property\n", f"{member}\n    @property\n", 1)
    source = source.replace("\n}\n\n#: Reasons", f"\n{sentence}}}\n\n#: Reasons", 1)
    module = types.ModuleType(rejects.__name__)
    exec(compile(source, "rejects.py", "exec"), vars(module))
    assert module.REASONS[:-1] == rejects.REASONS
    assert module.REASON_NUMBER["saturated_spectrum"] == len(rejects.REASONS)
    assert module.REASONS[-1].sentence == "Samples of the spectrum are saturated."


def test_reasons_keep_their_numbers():
    assert tuple(rejects.REASONS[: len(KEPT)]) == KEPT
