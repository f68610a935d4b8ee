"""The page, the JSON and the closing lines of `compare`; and what is refused."""

import json
import re

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from catalog_builder.cli.program import app
from catalog_builder.comparing.outside.draft import draft_mapping
from catalog_builder.comparing.outside.front import (
    Options,
    compare,
    compare_side,
    make_comparison,
    write,
)
from catalog_builder.comparing.outside.mapping import OtherTable
from catalog_builder.comparing.outside.words import closing_lines
from catalog_builder.comparing.sides import open_side
from catalog_builder.ground.errors import CatalogueError, ConfigError, InputError
from tests.unit.comparing.conftest import SIGMA
from tests.unit.labels.test_read import write as write_survey


@pytest.fixture
def ours(observed, side, outside_schema):
    simulated = {"simulated": True, "partitions": 2, "simulated_partitions": 2}
    return side(observed, simulated, schema=outside_schema)


@pytest.fixture
def gsp_spec(sky, tmp_path):
    """An archive with GSP-Spec of a third of the stars in two files."""
    folder = tmp_path / "archive/gdr3/Astrophysical_parameters/astrophysical_parameters"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    names = {"teff": "teff", "logg": "logg", "m_h": "mh", "alpha_m": "alphafe"}
    head = ["source_id", "flags_gspspec"]
    head += [f"{n}_gspspec{end}" for n in names.values() for end in ("", "_lower", "_upper")]
    for part in range(2):
        lines = [",".join(head)]
        for row in range(part * 1000, (part + 1) * 1000):
            cells = [str(sky.ids[row]), '"' + "0" * 41 + '"' if row % 2 else "null"]
            for label in names:
                sigma = 3 * SIGMA[label]
                value = sky.truth[label][row] + sigma * rng.normal()
                found = [value, value - sigma, value + sigma] if row % 2 else ["null"] * 3
                cells += [str(one) for one in found]
            lines.append(",".join(cells))
        name = f"AstrophysicalParameters_{part}-{part + 300_000}.csv"
        (folder / name).write_text("# %ECSV 1.0\n# ---\n" + HEADER + "\n".join(lines) + "\n")
    return tmp_path / "archive"


HEADER = (
    "# delimiter: ','\n# datatype:\n# - {name: source_id, datatype: int64}\n"
    "# - {name: teff_gspspec, datatype: float32, unit: K}\n"
)


def test_the_archives_own_labels_are_compared_by_one_option(ours, gsp_spec, tmp_path):
    found = compare_side(ours, gsp_spec, Options(profile="gsp-spec"))
    assert (found.stars, found.left_out["taught the model"]) == (1000, 0)
    page, document = write(found, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', text))
    assert text.count("<img ") == 4
    for words in ("Simulated", "Not checked against a published file", "none of our labels"):
        assert words in text
    assert "nan" not in re.sub(r'src="[^"]*"', "", text).lower()
    content = json.loads(document.read_text(encoding="utf-8"))
    assert content["pairs"] == 1000
    teff = content["labels"]["teff"]
    assert abs(teff["median"]) < 4 * teff["median_error"]
    assert sum(each["stars"] for each in teff["regimes"]["magnitude"].values()) == 1000
    assert closing_lines(found).count("\n") >= 6


def test_simulated_values_do_not_pass_for_others(ours, sky, tmp_path):
    path = tmp_path / "t.csv"
    head = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# meta: {SIMULATD: true}\n# datatype:\n"
    head += "# - {name: source_id, datatype: int64}\n"
    path.write_text(f"{head}source_id,teff\n{sky.ids[1]},5000\n")
    found = compare_side(ours, path, Options())
    assert found.simulated
    assert "The other table is simulated" in closing_lines(found)
    page, document = write(found, tmp_path / "out")
    assert "The other table is simulated." in page.read_text(encoding="utf-8")
    assert json.loads(document.read_text(encoding="utf-8"))["other"]["simulated"] is True
    path.write_text(f"source_id,teff\n{sky.ids[1]},5000\n")
    assert not compare_side(ours, path, Options()).simulated


def test_a_table_with_our_names_needs_no_profile(ours, sky, tmp_path):
    path = tmp_path / "benchmarks.csv"
    rows = [f"{star},{sky.truth['teff'][n]},30" for n, star in enumerate(sky.ids[:40])]
    path.write_text("source_id,Teff,e_Teff\n" + "\n".join(rows) + "\n")
    found = compare_side(ours, path, Options(taught=True))
    assert (found.stars, [*found.tallies]) == (40, ["teff"])
    assert found.tallies["teff"].numbers().with_error == 40
    made = write(found, tmp_path / "out")
    again = write(compare_side(ours, path, Options(taught=True)), tmp_path / "again")
    assert [p.read_bytes() for p in made] == [p.read_bytes() for p in again]


def test_a_known_table_is_known_by_its_columns(ours, sky, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"source_id,teff_xgboost,mh_xgboost,logg_xgboost\n{sky.ids[1]},5000,0.1,null\n")
    found = compare_side(ours, path, Options())
    assert found.mapping.name == "andrae-2023"
    assert found.tallies["logg"].numbers().stars == 0
    assert write(found, tmp_path / "out")  # with one star, and not a figure
    path.write_text(
        "source_id,teff_gspspec,logg_gspspec,mh_gspspec,alphafe_gspspec,flags_gspspec\n1,2,3,4,5,0\n"
    )
    with pytest.raises(ConfigError, match="gsp-spec or gsp-spec-best"):
        compare_side(ours, path, Options())


def test_an_archive_has_several_tables(ours, gsp_spec):
    with pytest.raises(ConfigError, match="--profile: gsp-phot, gsp-spec"):
        compare_side(ours, gsp_spec, Options())


def test_without_a_label_in_common_a_mapping_is_drafted(ours, sky, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"GaiaDR3,T_eff,err_T_eff,log_g,[Fe/H],remark\n{sky.ids[1]},5000,50,4,0,x\n")
    with pytest.raises(InputError, match="no label in common") as caught:
        compare_side(ours, path, Options(draft=tmp_path / "out"))
    for words in ("GaiaDR3, T_eff, err_T_eff, log_g, [Fe/H], remark", "is a draft of one"):
        assert words in str(caught.value)
    draft = tmp_path / "out/mapping.yaml"
    mapping = OtherTable.model_validate(yaml.safe_load(draft.read_text(encoding="utf-8")))
    assert mapping.source_id == "GaiaDR3"
    assert {n: v.column for n, v in mapping.labels.items()} == {
        "teff": "T_eff",
        "logg": "log_g",
        "fe_h": "[Fe/H]",
    }
    assert mapping.labels["teff"].error == "err_T_eff"
    found = compare_side(ours, path, Options(profile=draft))
    assert found.stars == 1
    draft.write_text("mine")
    with pytest.raises(InputError, match="a draft already"):
        compare_side(ours, path, Options(draft=tmp_path / "out"))
    assert draft.read_text() == "mine"


def test_the_wrong_profile_says_what_was_tried(ours, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_id,colour\n1,0.5\n")
    with pytest.raises(InputError, match="ids in source_id, labels in teff_gspspec"):
        compare_side(ours, path, Options(profile="gsp-spec"))


def test_a_draft_without_ids_is_left_to_the_reader(outside_schema):
    assert "source_id: ..." in draft_mapping({"star": "", "MH": "dex"}, outside_schema.labels)


def test_ids_of_another_release_are_refused(observed, side, outside_schema, gsp_spec):
    newer = side(observed, {"release": "dr4"}, schema=outside_schema)
    with pytest.raises(ConfigError, match="are of dr3, the catalogue is of dr4"):
        compare_side(newer, gsp_spec, Options(profile="gsp-spec"))
    found = compare_side(newer, gsp_spec, Options(profile="gsp-spec", same_ids=True))
    assert found.stars == 1000


def test_another_unit_in_the_file_is_refused(ours, gsp_spec):
    for path in gsp_spec.rglob("*.csv"):
        path.write_text(path.read_text().replace("unit: K", "unit: mK"))
    with pytest.raises(InputError, match="is in 'mK', the mapping says 'K'"):
        compare_side(ours, gsp_spec, Options(profile="gsp-spec"))


def test_apogee_is_read_as_it_teaches(ours, sky, tmp_path):
    rows = [{"id": int(star)} for star in sky.ids[1:4]]
    path = tmp_path / "allStar.fits"
    write_survey(path, [*rows, {"id": int(sky.ids[5]), "SNR": 3.0}, {"id": 0}])
    found = compare_side(ours, path, Options())
    assert found.mapping.name == "apogee-dr17"
    assert (found.stars, found.read.rows) == (3, 5)
    assert found.read.rejected == {"no_source_id": 1, "low_snr": 1}
    assert found.tallies["teff"].numbers().error == pytest.approx(50, rel=0.02)


def test_a_sealed_catalogue_gets_the_comparison_with_its_archive(
    observed, side, outside_schema, gsp_spec, tmp_path
):
    store = side(observed, schema=outside_schema).store
    for path in gsp_spec.rglob("*.csv"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:30]))
    made = make_comparison(gsp_spec, store, outside_schema, {"release": "dr3"})
    assert 15 < made["pairs"] < 25
    assert sorted(made["files"]) == ["compare-gsp-spec.html", "compare-gsp-spec.json"]
    assert all((store.parent / name).is_file() for name in made["files"])
    assert make_comparison(tmp_path / "none", store, outside_schema, {}) is None


def test_nothing_is_written_into_a_sealed_catalogue(ours, gsp_spec, tmp_path):
    found = compare_side(ours, gsp_spec, Options(profile="gsp-spec"))
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed/RELEASE.json").write_text("{}")
    with pytest.raises(CatalogueError, match="part of a sealed catalogue"):
        write(found, tmp_path / "sealed/more")


def test_no_star_in_common_is_told(pristine, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_id,teff\n3,5000\n,4000\n")
    with pytest.raises(InputError, match="1 no Gaia id; 1 not in the catalogue"):
        compare(pristine, path)


def test_the_command(pristine, tmp_path, monkeypatch):
    ids = open_side(pristine).read(0, ["source_id"])["source_id"]
    path = tmp_path / "t.csv"
    path.write_text("source_id,teff\n" + "".join(f"{star},1\n" for star in ids.tolist()))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", str(pristine), str(path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "compare/compare-own-names.html").is_file()
    assert "10 stars compared" in done.output
