"""The books balance, name examples, and refuse to lose a source in silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.rejects import REASON_NUMBER, RejectReason, RowRejects
from catalog_builder.features.ledger import REASONS, Ledger

TABLES = ["gaia_source", "rvs_mean_spectrum"]
RVS = "rvs_mean_spectrum"


def ledger():
    return Ledger(TABLES, [RVS])


def ids(*values):
    return np.array(values, np.int64)


def unread(table, reason, source_ids, detail="?"):
    return RowRejects(
        table,
        rows=np.arange(len(source_ids)),
        source_ids=ids(*source_ids),
        reasons=np.full(len(source_ids), REASON_NUMBER[reason], np.uint8),
        describe=lambda place: f"{detail} {place}",
    )


def test_only_driving_tables_ask_for_sources():
    books = ledger()
    books.request("gaia_source", ids(1, 2))
    books.request(RVS, ids(5, 3))
    books.request(RVS, ids(3))
    np.testing.assert_array_equal(books.requested, [3, 5])


def test_a_source_is_counted_under_its_first_reason():
    books = ledger()
    books.reject(RVS, RejectReason.ALL_NAN_SPECTRUM, ids(7, 8), ids(0, 1))
    books.reject("gaia_source", RejectReason.NO_GAIA_SOURCE_ROW, ids(7), ids(-1))
    counts = books.reasons_of(ids(7, 8), books.rejected_rows())
    assert counts == {"all_nan_spectrum": 2}


def test_a_source_lost_without_a_reason_is_a_defect():
    books = ledger()
    with pytest.raises(RuntimeError, match="without a reason"):
        books.reasons_of(ids(7), books.rejected_rows())
    books.reject(RVS, RejectReason.ALL_NAN_SPECTRUM, ids(8), ids(0))
    with pytest.raises(RuntimeError, match="without a reason"):
        books.reasons_of(ids(7), books.rejected_rows())


def test_announced_sources_without_a_row_are_absent():
    books = ledger()
    books.request(RVS, ids(1, 2))
    books.announce(RVS, ids(2, 3))
    books.announce(RVS, ids(3, 4))
    books.announce("gaia_source", ids(9))  # nobody is asked for there
    assert books.notes()["absent"] == {RVS: 2}
    assert books.requested.tolist() == [1, 2]
    assert ledger().absent() == {}


def test_announced_sources_that_no_row_asks_for_are_lost():
    books = ledger()
    books.request(RVS, ids(1, 2))
    books.announce(RVS, ids(4, 2, 3))
    assert books.announced(RVS).tolist() == [2, 3, 4]
    books.lose(RVS, RejectReason.TRUNCATED_FILE, books.announced(RVS))
    assert books.requested.tolist() == [1, 2, 3, 4]
    assert books.reasons_of(ids(3, 4), books.rejected_rows()) == {"truncated_file": 2}
    assert books.notes()["row_rejects"] == {}  # no row was seen
    assert books.absent() == {RVS: 2}


def test_rows_without_an_id_count_where_somebody_asked():
    books = ledger()
    for table in TABLES:
        books.reject_unread(table, unread(table, RejectReason.BAD_SOURCE_ID, [0]))
    assert books.nameless == {"bad_source_id": 1}
    assert books.reasons_of(ids(), books.rejected_rows()) == {"bad_source_id": 1}
    assert books.notes()["row_rejects"] == {table: {"bad_source_id": 1} for table in TABLES}
    assert books.rejected_rows()["source_id"].size == 0


def test_a_receipt_names_a_few_examples_of_many():
    books = ledger()
    rejects = unread(RVS, RejectReason.BAD_NUMBER, range(1, 51), "flux: element")
    books.reject_unread(RVS, rejects)
    examples = books.notes()["examples"][RVS]["bad_number"]
    assert examples == [
        {"row": n, "source_id": n + 1, "detail": f"flux: element {n}"} for n in range(3)
    ]
    assert books.notes()["row_rejects"] == {RVS: {"bad_number": 50}}


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(REASONS)), max_size=40),
    st.integers(0, 10),
)
def test_counts_add_up(rejected, nameless):
    books = ledger()
    for row, (source_id, reason) in enumerate(rejected):
        books.request(RVS, ids(source_id))
        books.reject(RVS, reason, ids(source_id), ids(row))
    books.reject_unread(RVS, unread(RVS, RejectReason.MALFORMED_ROW, [0] * nameless))
    counts = books.reasons_of(books.requested, books.rejected_rows())
    assert sum(counts.values()) == books.requested.size + nameless
    first = {}
    for source_id, reason in rejected:
        first.setdefault(source_id, reason)
    for reason in REASONS:
        expected = sum(r is reason for r in first.values())
        expected += nameless if reason is RejectReason.MALFORMED_ROW else 0
        assert counts.get(reason.value, 0) == expected


def test_repetitions_take_no_memory_and_are_counted():
    books = ledger()
    block = np.full(4096, 7)
    books.request(RVS, ids(7, 8, 9))
    books.reject(RVS, RejectReason.ALL_NAN_SPECTRUM, ids(9), ids(5))
    for number in range(300):
        books.request(RVS, block)
        rows = number * block.size + np.arange(block.size)
        books.reject(RVS, RejectReason.DUPLICATE_SOURCE_ID, block, rows)
    books.reject(RVS, RejectReason.ALL_NAN_SPECTRUM, ids(8), ids(6))
    held = books.rejected_rows()
    assert held["row"].size < 1 << 18  # of 1.2 million
    assert held["source_id"][[0, 1, -1]].tolist() == [9, 7, 8]  # in the order they were met
    assert held["row"][[0, 1, -1]].tolist() == [5, 0, 6]
    assert books.notes()["row_rejects"][RVS]["duplicate_source_id"] == 300 * block.size
    assert books.requested.tolist() == [7, 8, 9]
    assert books.reasons_of(ids(7, 8, 9), held) == {
        "all_nan_spectrum": 2,
        "duplicate_source_id": 1,
    }
