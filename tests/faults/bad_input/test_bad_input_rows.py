"""A bad row is left out with a reason and an example; its source stays if another spectrum does."""

import numpy as np
import pytest

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"


def with_both_spectra(archive):
    """Return the row of the RVS table of a source that has XP, too."""
    others = archive.ids(XP)
    ids = [int(source_id) for source_id in archive.text(RVS).column("source_id")]
    return next(row for row, source_id in enumerate(ids) if source_id in others)


def lists(value, count):
    return f"[{','.join([value] * count)}]"


@pytest.mark.parametrize(
    ("column", "value", "reason", "seen"),
    [
        ("flux", lists("1.0", 2400), "wrong_array_length", "2400 elements, expected 2401"),
        ("flux_error", lists("0.1", 2402), "wrong_array_length", "2402 elements, expected 2401"),
        ("flux", "[]", "wrong_array_length", "flux"),
        ("flux", lists("NaN", 2401), "all_nan_spectrum", "finite"),
        ("flux", "null", "all_nan_spectrum", "finite"),
        ("flux_error", lists("-0.1", 2401), "negative_or_zero_errors", "positive error"),
        ("flux_error", lists("0", 2401), "negative_or_zero_errors", "positive error"),
        ("flux_error", lists("null", 2401), "negative_or_zero_errors", "positive error"),
        ("flux", f"[abc,{lists('1.0', 2400)[1:]}", "bad_number", "flux: element 0"),
        ("flux", "abc", "bad_number", "flux"),
        ("flux", f"[{lists('1.0', 2401)}", "bad_number", "flux"),
        ("flux", lists("1.0", 2401)[:-1], "bad_number", "flux"),
    ],
)
def test_a_bad_rvs_spectrum_costs_only_itself(bench, column, value, reason, seen):
    row = with_both_spectra(bench.archive)
    source_id = bench.archive.set(RVS, row, column, value)
    books = bench.ingest()
    assert books.rows == {RVS: {reason: 1}}
    (example,) = books.examples[RVS][reason]
    assert (example["row"], example["source_id"]) == (row, source_id)
    assert seen in example["detail"]
    assert books.has["rvs"] == bench.clean_books.has["rvs"] - 1
    assert (books.rows_out, books.rejected) == (bench.clean_books.rows_out, {})


def test_absurd_fluxes_leave_no_infinity_behind(bench):
    from catalog_builder.features.store import FeatureStore

    row = with_both_spectra(bench.archive)
    bench.archive.set(RVS, row, "flux", lists("3.4e38", 2401))
    bench.archive.set(RVS, row, "flux_error", lists("3.4e38", 2401))
    books = bench.ingest()
    store = FeatureStore(bench.workdir / books.receipt["output"])
    block = store.read(slice(0, len(store)))
    assert np.isfinite(block["rvs_flux"]).all()
    assert np.isfinite(block["rvs_flux_error"]).all()
    assert (block["rvs_flux_error"][block["rvs_mask"]] > 0).all()
    assert books.rejected == {}


@pytest.mark.parametrize("band", ["bp", "rp"])
def test_a_missing_xp_band(bench, band):
    bench.archive.remove(SAMPLED)
    text = bench.archive.text(XP)
    for name in ("coefficients", "coefficient_errors", "coefficient_correlations"):
        text.set(0, f"{band}_{name}", "null")
    bench.archive.write(XP, text)
    books = bench.ingest()
    assert books.rows == {XP: {"xp_band_missing": 1}}
    assert books.has["xp"] == len(text.rows) - 1


def test_xp_coefficients_replaced_by_the_sampled_spectrum(bench):
    source_id = bench.archive.set(XP, 0, "bp_coefficients", "[1,2,3]")
    assert source_id in bench.archive.ids(SAMPLED)
    books = bench.ingest()
    assert books.rows == {XP: {"wrong_array_length": 1}}
    assert books.has["xp"] == bench.clean_books.has["xp"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("flux", lists("-1e-16", 343), "no_positive_flux"),
        ("flux", lists("0", 343), "no_positive_flux"),
        ("flux_error", lists("0", 343), "negative_or_zero_errors"),
        ("flux", lists("nan", 343), "all_nan_spectrum"),
        ("flux", f"[nan,{lists('1e-16', 342)[1:]}", "xp_band_missing"),
    ],
)
def test_a_bad_sampled_spectrum(bench, column, value, reason):
    bench.archive.remove(XP)
    bench.archive.set(SAMPLED, 0, column, value)
    books = bench.ingest()
    assert books.rows == {SAMPLED: {reason: 1}}
    assert books.has["xp"] == len(bench.archive.ids(SAMPLED)) - 1


def test_a_source_without_any_usable_spectrum_is_rejected_for_its_first_reason(bench):
    bench.archive.remove(XP)
    bench.archive.remove(SAMPLED)
    bench.archive.set(RVS, 0, "flux", lists("nan", 2401))
    books = bench.ingest()
    assert books.rejected == {"all_nan_spectrum": 1}
    assert books.rows_out == len(bench.archive.ids(RVS)) - 1


@pytest.mark.parametrize("value", ["null", "", "abc", "-5", "0", "1.5", "99999999999999999999"])
def test_a_row_without_an_id_was_asked_for_by_nobody_knows_whom(bench, value):
    text = bench.archive.text(RVS)
    lost = text.source_id(0)
    text.set(0, "source_id", value)
    bench.archive.write(RVS, text)
    books = bench.ingest()
    assert books.rows == {RVS: {"bad_source_id": 1}}
    assert books.rejected == {"bad_source_id": 1}
    assert books.rows_in == len(bench.archive.ids(XP, SAMPLED) | set_of(text, lost)) + 1
    (example,) = books.examples[RVS]["bad_source_id"]
    assert (example["row"], example["source_id"]) == (0, None)


def set_of(text, lost):
    return {int(value) for value in text.column("source_id")[1:]} - {lost}


@pytest.mark.parametrize("table", [RVS, XP, SAMPLED])
def test_a_source_twice_in_one_table(bench, table):
    text = bench.archive.text(table)
    text.rows.append(text.rows[0])
    bench.archive.write(table, text)
    books = bench.ingest()
    assert books.rows == {table: {"duplicate_source_id": 1}}
    assert books.examples[table]["duplicate_source_id"][0]["row"] == len(text.rows) - 1
    assert (books.rows_in, books.rejected) == (bench.clean_books.rows_in, {})


def test_a_source_twice_in_the_source_table(bench):
    text = bench.archive.text(GAIA)
    text.rows.insert(1, text.rows[0])
    bench.archive.write(GAIA, text)
    books = bench.ingest()
    assert books.rows == {GAIA: {"duplicate_source_id": 1}}
    assert books.rejected == {}


def test_a_source_in_two_partitions_counts_where_it_belongs(bench):
    text = bench.archive.text(RVS)
    stranger = bench.archive.text(RVS, bench.archive.second).rows[0]
    text.rows.append(stranger)
    bench.archive.write(RVS, text)
    books = bench.ingest()
    assert books.rejected == {"outside_partition_range": 1}
    assert books.rows_out == bench.clean_books.rows_out


def test_an_id_outside_its_files_range(bench):
    bench.archive.remove(XP)
    bench.archive.remove(SAMPLED)
    bench.archive.set(RVS, 0, "source_id", "1")
    books = bench.ingest()
    assert books.rejected == {"outside_partition_range": 1}
    assert books.examples[RVS]["outside_partition_range"][0]["source_id"] == 1


def test_a_source_that_the_source_table_lacks(bench):
    text = bench.archive.text(GAIA)
    wanted = bench.archive.ids()
    row = next(n for n, value in enumerate(text.column("source_id")) if int(value) in wanted)
    del text.rows[row]
    bench.archive.write(GAIA, text)
    books = bench.ingest()
    assert books.rejected == {"no_gaia_source_row": 1}
    assert books.rows_out == bench.clean_books.rows_out - 1


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda line: line.rsplit(b",", 1)[0], b"fields"),
        (lambda line: line + b",1", b"fields"),
        (lambda line: line.replace(b'"[', b'"[[', 1), b"flux"),
        (lambda line: b",,,", b"fields"),
        (lambda line: b"\x00\xff\xfe garbage", b"fields"),
    ],
    ids=["a field too few", "a field too many", "brackets", "commas", "binary"],
)
def test_a_malformed_row(bench, change, seen):
    lines = bench.archive.text(RVS).to_bytes().splitlines()
    lines[-1] = change(lines[-1])
    bench.archive.write_text(RVS, b"\n".join(lines) + b"\n")
    books = bench.ingest()
    assert sum(books.rows[RVS].values()) == 1
    (example,) = (e for reason in books.examples[RVS].values() for e in reason)
    assert seen.decode() in example["detail"]
    assert books.rows_out == bench.clean_books.rows_out - (
        0 if not books.rejected or books.rows_in > bench.clean_books.rows_in else 1
    )


def test_a_lost_quote_costs_one_row(bench):
    lines = bench.archive.text(RVS).to_bytes().splitlines()
    place = len(lines) - 3
    assert lines[place].count(b'"') == 4
    lines[place] = lines[place][::-1].replace(b'"', b"", 1)[::-1]  # the last one
    bench.archive.write_text(RVS, b"\n".join(lines) + b"\n")
    assert bench.ingest().rows == {RVS: {"malformed_row": 1}}


def test_every_row_bad_costs_no_memory_and_counts_each(bench):
    text = bench.archive.text(RVS)
    for row in range(len(text.rows)):
        text.set(row, "flux", "abc")
        text.set(row, "flux_error", "[]")
    text.rows *= 500
    bench.archive.write(RVS, text)
    books = bench.ingest()
    assert books.rows == {RVS: {"bad_number": len(text.rows)}}
    assert len(books.examples[RVS]["bad_number"]) == 3
