"""How long a stage still takes: never less than nothing, less as work is done, and about right."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.runtime.estimate import AtWork, part_left, seconds_left

times = st.floats(0.0, 1e6)
work = st.floats(1e-3, 1e9)
done = st.lists(st.tuples(work, times), max_size=8)
at_work = st.lists(
    st.builds(AtWork, times, work, st.none() | times, st.booleans(), st.floats(0.0, 1.0)),
    min_size=1,
    max_size=8,
)


@given(done, at_work, st.integers(0, 5000), work, st.integers(0, 64))
def test_it_is_never_negative(done, at_work, waiting, rest, places):
    left = seconds_left(done, at_work, waiting, rest, places)
    assert left is None or left >= 0.0


@given(done, at_work, st.integers(0, 1500), st.integers(0, 50), work, st.integers(1, 64))
def test_more_tasks_that_wait_take_longer(done, at_work, waiting, more, each, places):
    few = seconds_left(done, at_work, waiting, waiting * each, places)
    many = seconds_left(done, at_work, waiting + more, (waiting + more) * each, places)
    assert many is None or (few is not None and many >= few * (1 - 1e-9))


@given(done, at_work, st.integers(0, 50), work, st.integers(1, 64), st.floats(1.0, 100.0))
def test_larger_tasks_that_wait_take_longer(done, at_work, waiting, rest, places, factor):
    small = seconds_left(done, at_work, waiting, rest, places)
    large = seconds_left(done, at_work, waiting, rest * factor, places)
    assert (small is None) == (large is None)
    assert large is None or large >= small * (1 - 1e-9)


@given(done, at_work, st.integers(0, 50), work, st.integers(1, 64), times)
def test_what_is_further_from_its_end_takes_longer(done, at_work, waiting, rest, places, more):
    known = AtWork(at_work[0].elapsed, at_work[0].work, left=10.0)
    further = AtWork(at_work[0].elapsed, at_work[0].work, left=10.0 + more)
    near = seconds_left(done, [known, *at_work[1:]], waiting, rest, places)
    far = seconds_left(done, [further, *at_work[1:]], waiting, rest, places)
    assert (near is None) == (far is None)
    assert far is None or far >= near * (1 - 1e-9)


def test_nothing_left_is_no_time():
    assert seconds_left([(1, 5)], [], 0, 0, 2) == 0.0


def test_four_side_by_side_end_together():
    """The issue's example: one of four is done after 2156 s, and the others are nearly so."""
    others = [AtWork(2156, left=30.0), AtWork(2156, left=35.0), AtWork(2156, left=20.0)]
    assert seconds_left([(1, 2156)], others, 0, 0, 4) == 35.0


def test_the_first_task_of_a_worker_does_not_stand_for_the_others():
    """`predict: 1/16` took 20 s for its imports; the rest take less than one each."""
    first = [AtWork(20.0, first=True)]
    assert seconds_left([(1, 20.0)], first, 14, 14, 2) is None  # and nothing is said
    assert seconds_left([(1, 20.0), (1, 20.0), (1, 0.6)], [AtWork(0.3)], 12, 12, 2) < 5


def test_long_first_tasks_do():
    left = seconds_left([(1, 7200.0)], [AtWork(7200.0, first=True)], 14, 14, 2)
    assert left == pytest.approx(7 * 7200, rel=0.1)


def test_members_that_wait_take_as_long_as_those_at_work():
    training = [AtWork(100, left=100.0), AtWork(100, left=100.0)]
    assert seconds_left([], training, 2, 2, 2) == pytest.approx(300)


def test_a_first_epoch_is_not_believed_against_a_whole_member():
    """Loading its data took as long as ten epochs do."""
    begun = [AtWork(12.0, left=39 * 12.0, share=1 / 40)]
    assert seconds_left([(1, 60.0), (1, 60.0), (1, 60.0)], begun, 0, 0, 2) < 70


def test_work_is_what_counts_not_the_number_of_tasks():
    finished = [(1, 1.0), (1, 1.0), (1, 1.0), (2, 2.0)]
    assert seconds_left(finished, [AtWork(0.0, work=50)], 0, 0, 2) == pytest.approx(50)
    assert seconds_left(finished, [AtWork(0.0, work=50)], 1, 100, 2) == pytest.approx(100)


@pytest.mark.parametrize("places", [1, 2, 3, 7])
@pytest.mark.parametrize("tasks", [8, 40, 3000])
def test_it_is_right_within_a_third_from_half_way_on(places, tasks):
    """A stage played through: equal tasks, of which the first on each worker imports for 5 s."""
    seconds = [2.0 + 5.0 * (number < places) for number in range(tasks)]
    free, ends, begun = [0.0] * places, [], []
    for each in seconds:
        begin = heapq.heappop(free)
        begun.append(begin)
        ends.append(begin + each)
        heapq.heappush(free, begin + each)
    whole = max(ends)
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        now = share * whole
        finished = sorted(
            (end, took) for end, took in zip(ends, seconds, strict=True) if end <= now
        )
        current = [
            AtWork(now - begin, first=number < places)
            for number, (begin, end) in enumerate(zip(begun, ends, strict=True))
            if begin <= now < end
        ]
        rest = tasks - len(finished) - len(current)
        left = seconds_left([(1, took) for _, took in finished], current, rest, rest, places)
        if len(finished) > places:
            assert left == pytest.approx(whole - now, rel=0.3, abs=0.5)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 1e4)), min_size=1, max_size=20),
    st.integers(0, 500),
    st.floats(0.0, 1e5),
)
def test_steps_take_what_they_took(steps, more, later):
    marks = [(0, 0.0)]
    for step, seconds in steps:
        marks.append((marks[-1][0] + step, marks[-1][1] + seconds))
    of, now = marks[-1][0] + more, marks[-1][1] + later
    left = part_left(marks, of, now)
    assert left >= 0.0
    assert part_left(marks, of + 1, now) >= left
    assert part_left(marks, of, now + 1.0) <= left


def test_the_first_epoch_pays_for_the_imports_and_the_others_do_not():
    assert part_left([(0, 0.0)], 10, 5.0) is None
    assert part_left([(0, 0.0), (1, 30.0)], 10, 30.0) == pytest.approx(270)
    assert part_left([(0, 0.0), (1, 30.0), (2, 32.0), (3, 34.0)], 10, 34.0) == pytest.approx(14)


def test_a_training_that_goes_on_counts_its_own_epochs_only():
    assert part_left([(50, 0.0), (51, 10.0)], 60, 10.0, begun_at=50) == pytest.approx(90)
