import copy

import numpy as np
import pytest
import yaml

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir


def _set(content, path, value):
    *parents, last = path.split(".")
    for part in parents:
        content = content[part]
    content[last] = value


def test_dr3_grid_and_lengths(dr3):
    wavelengths = dr3.spectra["rvs"].grid.wavelengths()
    assert wavelengths.shape == (2401,)
    assert wavelengths[0] == 846.0
    assert wavelengths[3] == 846.03
    assert wavelengths[-1] == 870.0
    assert dr3.spectra["xp"].grid.wavelengths()[[0, -1]].tolist() == [336.0, 1020.0]
    columns = dr3.tables["xp_continuous_mean_spectrum"].columns
    assert columns["bp_coefficient_correlations"].length == 55 * 54 // 2


def test_text_beside_the_catalogue_has_no_null(dr3, tmp_path):
    content = yaml.safe_load((schemas_dir() / "releases" / "dr3.yaml").read_text())
    columns = content["beside"]["parameters"]["columns"]
    columns["flags_gspspec"]["null_meaning"] = "no value of GSP-Spec in the archive"
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"flags_gspspec.*null_meaning.*say in `description`"):
        load_release(file)
    declared = {one.name: one for one in dr3.beside["parameters"].declared("x").columns}
    assert "Empty where there is none" in declared["flags_gspspec"].description


def test_dr3_partition_rule(dr3):
    # Documentation of DR3: level 12 is the id over 34 359 738 368, level 8 over 8 796 093 022 208.
    assert 2**dr3.partition.position_shift == 34_359_738_368
    assert 2**dr3.partition.source_id_shift == 8_796_093_022_208
    assert dr3.partition.n_pixels == 786_432


def test_every_table_is_joined_by_source_id(dr3):
    for table in dr3.tables.values():
        assert table.columns["source_id"].numpy_dtype == np.int64


def test_a_release_is_only_data(tiny):
    assert tiny.tables["gaia_source"].native_names("snr") == ("rvs_snr", "snr")
    assert tiny.tables["gaia_source"].native_names("ra") == ("ra",)


def test_a_renamed_column_is_read_under_its_key(read):
    release = load_release("rave-dr6")
    assert release.tables["parameters"].native_names("radial_velocity") == ("hrv", "hrv_sparv")
    row = "rave_obs_id,raveid,ra,dec,hrv_sparv\nA,a,1,2,-3.5\n"
    (block,) = read(row, "parameters", release=release)
    assert block.columns["radial_velocity"].tolist() == [-3.5]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tables.gaia_source.columns.ra.unit", "degg", r"columns\.ra\.unit: 'degg' is not a unit"),
        ("tables.gaia_source.columns.ra.unitt", "deg", r"ra\.unitt: unknown key\. Allowed here: c"),
        (
            "spectra.rvs.grid.strt",
            1.0,
            r"\.rvs\.grid\.strt: unknown key\. Allowed here: count, start",
        ),
        ("colour", "red", r"colour: unknown key\. Allowed here: .*reference_epoch"),
        ("spectra.rvs.grid.unit", "s", r"spectra\.rvs\.grid: unit 's' is not a length"),
        ("spectra.rvs.grid.count", 5, r"flux\.length is 4, but the grid .* says 5"),
        ("spectra.rvs.medium", "water", r"spectra\.rvs\.medium: Input should be 'vacuum' or 'air'"),
        (
            "spectra.rvs.sig_to_noise",
            "missing",
            r"rvs\.sig_to_noise names missing, which is no",
        ),
        ("tables.gaia_source.formats", ["xls"], r"formats\.0: Input should be 'csv\.gz'"),
        ("tables.gaia_source.columns.source_id.dtype", "int32", "must hold `source_id`"),
        ("tables.gaia_source.columns.params.length", 3, "must have dtype float32 or float64"),
        ("driving_tables", [], "driving_tables"),
        ("driving_tables", ["xp_sampled_mean_spectrum"], "does not describe"),
        ("partition.range_pattern", "(", "not a regular expression"),
        ("partition.range_pattern", "[0-9]+", "needs the groups"),
        ("partition.source_id_shift", 58, "the shifts and levels disagree"),
        ("parallax_zero_point.rule", "lindegren2021", "needs exactly the inputs"),
        ("parallax_zero_point.rule", "guess", "lindegren2021"),
        ("checksums.algorithm", "crc", "md5"),
        (
            "tables.gaia_source.columns.grvs_mag.dtype",
            "int16",
            r"grvs_mag\.dtype is int16, .* but spectra\.rvs\.normalisation\.column takes it",
        ),
        (
            "tables.rvs_mean_spectrum.columns.flux.unit",
            "W m-2 nm-1",
            r"flux\.unit is 'W m-2 nm-1', but spectra\.rvs are lines",
        ),
    ],
)
def test_a_wrong_key_is_named(tiny_yaml, tmp_path, path, value, message):
    content = copy.deepcopy(tiny_yaml)
    _set(content, path, value)
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message) as caught:
        load_release(file)
    assert str(file) in str(caught.value)


def test_a_missing_key_is_named(tiny_yaml, tmp_path):
    content = {key: value for key, value in tiny_yaml.items() if key != "credit"}
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="credit: this key is missing"):
        load_release(file)


def test_an_unknown_release_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match="dr3"):
        load_release("dr99")
    with pytest.raises(ConfigError, match="no description"):
        load_release(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="no description"):
        load_release("../releases/dr3")


@pytest.mark.parametrize("text", ["[1, 2", "just text", "!!python/object/apply:os.getcwd []", ""])
def test_what_is_no_description(tmp_path, text):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_release(file)


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("phot_g_mean_mag", {"dtype": "int16"}, "a null is 0"),
        ("phot_bp_mean_mag", {"unit": "mmag"}, "takes 'mag'"),
        ("parallax", {"unit": "arcsec"}, "takes 'mas'"),
        ("parallax_error", {"dtype": "int32"}, "a null is 0"),
        ("rvs_spec_sig_to_noise", {"dtype": "int32"}, "a null is 0"),
    ],
)
def test_a_quantity_is_what_it_is_taken_for(tmp_path, column, change, message):
    content = yaml.safe_load((schemas_dir() / "releases" / "dr3.yaml").read_text())
    content["tables"]["gaia_source"]["columns"][column] |= change
    path = tmp_path / "dr3.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigError, match=rf"gaia_source\.columns\.{column}\..*{message}"):
        load_release(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tables.gaia_source.columns.parallax.dtype", "int64", "a null is 0, but parallax: true"),
        ("tables.gaia_source.columns.phot_g_mean_mag.dtype", "int16", r"bands\.g\.column takes it"),
        ("tables.gaia_source.columns.grvs_mag.dtype", "int16", r"normalisation\.column takes it"),
        ("tables.gaia_source.columns.rvs_spec_sig_to_noise.dtype", "int16", "rvs.sig_to_noise"),
        ("tables.gaia_source.columns.labels", {"dtype": "float32"}, "columns.labels has the name"),
        ("tables.gaia_source.columns.rvs_wavelength", {"dtype": "float32"}, "has the name of a"),
        ("tables.gaia_source.columns.has_rvs.dtype", "int16", r"values is \[True\], but .* int16"),
        ("spectra.xp.low_sig_to_noise", 5.0, "low_sig_to_noise needs sig_to_noise"),
        ("photometry.photometry.colours", [["bp", "rp"], ["g", "rp"], ["g", "g"]], "says nothing"),
        ("spectra.xp.title", "RVS", "rvs and xp are both called RVS"),
        ("spectra.any", None, "can be called any: the program has something of that name"),
    ],
)
def test_what_would_go_wrong_without_a_word_is_refused(tmp_path, path, value, message):
    content = yaml.safe_load((schemas_dir() / "releases" / "dr3.yaml").read_text())
    _set(content, path, content["spectra"]["rvs"] if value is None else value)
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigError, match=message):
        load_release(file)
