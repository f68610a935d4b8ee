"""Reasons of many tasks in few words."""

from catalog_builder.runtime.tasks import grouped


def test_tasks_of_one_reason_stand_together():
    reasons = {"d": "dark", "a": "dark", "b": "dark", "c": "dark", "e": "cold"}
    assert grouped(reasons) == ["a, b, c and 1 more: dark", "e: cold"]


def test_more_reasons_than_asked_for_are_counted():
    reasons = {str(number): f"reason {number}" for number in range(4)}
    assert grouped(reasons, most=2) == ["0: reason 0", "1: reason 1", "and 2 more reasons"]


def test_nothing_is_nothing():
    assert grouped({}) == []
