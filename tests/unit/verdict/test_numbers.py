"""Numbers beside what was expected."""

import math
from dataclasses import replace

import numpy as np
import pytest

from catalog_builder.verdict.judging import Question, judge
from catalog_builder.verdict.numbers import Few, Many, Number, errors_of, warn_errors

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


@pytest.mark.parametrize(
    "number",
    [
        Number("n", 3.0, 1.0, 0.5, 0.3),
        Number("n", 3.0, 1.0, 0.1, 0.2, log=True),
        Number("n", 0.4, 0.68, 0.06, 0.01, decimals=-2),
        Few("n", 20, 200, 0.25, 1.0),
        Many("n", 400, 60, 4.0, 1.0),
    ],
)
def test_what_is_said_to_pass_passes_what_is_said_to_fail_fails_and_the_rest_warns(number):
    def state_at(value):
        return state(replace(number, number=value))

    low, high = number.passes(warn_errors(1))
    below, above = number.limits(errors_of(RATE, 1))
    step = 1.0 if isinstance(number, Few | Many) else 1e-6
    for inner, outer, sign in ((low, below, -1), (high, above, 1)):
        if not 0 < outer < math.inf:
            continue
        assert state_at(inner - sign * step) == "pass"
        assert state_at(outer + 1.01 * sign * step) == "fail"
        assert state_at((inner + outer) / 2) == "warn"


def test_the_words_say_what_warns_and_what_fails():
    share = Number("teff", 0.6, 0.6827, 0.06, 0.02, 400, -2)
    check = judge(Question("x", "X", "within one sigma are", [share]), RATE)
    assert check.words == (
        "teff: within one sigma are 60.0 % (400 stars), expected 68.3 %; warns below 62.3 % or"
        " above 74.3 %, fails below 55.7 % or above 80.9 %."
    )
    limits = (check.low, check.warn_low, check.warn_high, check.high)
    assert limits == pytest.approx((0.557, 0.623, 0.743, 0.809), abs=5e-4)
    none = Number("S/N", 0.5, 0.0, 0.002, 0.0, 400, -2)
    words = judge(Question("x", "X", "in another bin are", [none]), RATE).words
    assert words.endswith("expected 0.0 %; fails above 0.2 %.")
    hole = Few("HEALPix pixel 3 of level 2", 0, 100, 0.25, 1.0)
    words = judge(Question("x", "X", "sources are", [hole]), RATE).words
    assert "warns below 25, fails below" in words
    heap = Many("teff 5000 to 5010", 400, 60, 4.0, 1.0)
    words = judge(Question("x", "X", "stars in one bin are", [heap]), RATE).words
    assert "warns above 240, fails above" in words


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
    assert "2 of 2 numbers are beyond the failing limit: also a: 5.000." in check.words
