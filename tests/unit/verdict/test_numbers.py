"""Numbers beside what was expected."""

import math

import numpy as np
import pytest

from catalog_builder.verdict.judging import Question, judge
from catalog_builder.verdict.numbers import Few, Many, Number, errors_of

RATE = 0.001


def state(*numbers):
    return judge(Question("x", "X", "it is", numbers, "none"), RATE).state


def test_a_coverage_that_stood_unmarked_is_told():
    """60.8 % of 189 stars within one sigma, beside four labels that are right."""
    error = math.sqrt(0.6827 * 0.3173 / 189)
    good = [Number(f"l{n}", 0.681, 0.6827, 0.06, error, 189, -2) for n in range(4)]
    assert state(*good, Number("m_h", 0.608, 0.6827, 0.06, error, 189, -2)) == "pass"
    assert state(*good, Number("m_h", 0.588, 0.6827, 0.06, error, 189, -2)) == "warn"
    assert state(*good, Number("m_h", 0.4, 0.6827, 0.06, error, 189, -2)) == "fail"


def test_beyond_tolerance_by_chance_is_no_fail():
    assert state(Number("few stars", 0.4, 0.68, 0.05, 0.2)) == "pass"
    assert state(Number("sure", 0.6, 0.68, 0.05, 0.001)) == "fail"
    assert state(Number("tolerated", 0.64, 0.68, 0.05, 0.001)) == "pass"


def test_nothing_to_test_has_a_reason():
    check = judge(Question("x", "X", "it is", (), "no labels"), RATE)
    assert (check.state, check.words, check.number) == ("not tested", "no labels.", None)


@pytest.mark.parametrize(
    "number",
    [
        Number("n", 3.0, 1.0, 0.5, 0.3),
        Number("n", 3.0, 1.0, 0.1, 0.2, log=True),
        Few("n", 20, 200, 0.25, 1.0),
        Many("n", 400, 60, 4.0, 1.0),
    ],
)
def test_limits_are_where_it_begins_to_fail(number):
    errors = errors_of(RATE, 1)
    low, high = number.limits(errors)
    step = 1.0 if isinstance(number, Few | Many) else 1e-6
    for edge, sign in ((low, -1), (high, 1)):
        if not 0 < edge < math.inf:
            continue
        inside, outside = (
            type(number)("n", edge + sign * by, number.expected, number.tolerance, number.error,
                         log=number.log)
            for by in (-step, 1.01 * step)
        )  # fmt: skip
        assert inside.beyond <= errors < outside.beyond


def test_the_rate_of_false_fails_holds_for_many_numbers_together():
    rng, failed = np.random.default_rng(5), 0
    for _ in range(2000):
        numbers = [Number("n", value, 0.0, 0.0, 1.0) for value in rng.standard_normal(20)]
        failed += judge(Question("x", "X", "it is", numbers), 0.05).state == "fail"
    assert 60 < failed < 140  # of 100


def test_of_a_failed_check_the_worst_number_is_told():
    numbers = [Number("a", 5.0, 0.0, 0.1, 0.1, 30), Number("b", 9.0, 0.0, 0.1, 0.1, 40)]
    check = judge(Question("x", "X", "it is", numbers), RATE)
    assert (check.about, check.number, check.stars, check.tests) == ("b", 9.0, 40, 2)
    assert "2 of 2 numbers are so" in check.words
