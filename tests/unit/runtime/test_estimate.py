"""How long a stage still takes: never less than nothing, less as work is done, and about right."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.runtime.estimate import AtWork, Steps, seconds_left, steps_left

times = st.floats(0.0, 1e6)
work = st.floats(1e-3, 1e9)
done = st.lists(st.tuples(work, times), max_size=8)
at_work = st.lists(
    st.builds(AtWork, times, work, st.booleans()),
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


def test_nothing_left_is_no_time():
    assert seconds_left([(1, 5)], [], 0, 0, 2) == 0.0


def test_the_first_task_of_a_worker_does_not_stand_for_the_others():
    """`predict: 1/16` took 20 s for its imports; the rest take less than one each."""
    first = [AtWork(20.0, first=True)]
    assert seconds_left([(1, 20.0)], first, 14, 14, 2) is None  # and nothing is said
    assert seconds_left([(1, 20.0), (1, 20.0), (1, 0.6)], [AtWork(0.3)], 12, 12, 2) < 5


def test_long_first_tasks_do():
    left = seconds_left([(1, 7200.0)], [AtWork(7200.0, first=True)], 14, 14, 2)
    assert left == pytest.approx(7 * 7200, rel=0.1)


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


def member(done, pace=2.0, of=80, start=10.0, before=0):
    """A member that read its data for `start` seconds, and has done so many epochs since."""
    marks = [(before, 0.0)]
    marks += [(step, start + (step - before) * pace) for step in range(before + 1, done + 1)]
    return Steps(marks, of)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 1e4)), min_size=1, max_size=20),
    st.integers(0, 500),
    st.floats(0.0, 1e5),
    st.integers(0, 4),
)
def test_steps_are_never_negative_and_more_of_them_take_longer(steps, more, later, waiting):
    marks = [(0, 0.0)]
    for step, seconds in steps:
        marks.append((marks[-1][0] + step, marks[-1][1] + seconds))
    at_work, now = [Steps(marks, marks[-1][0] + more)], marks[-1][1] + later
    left = steps_left([], at_work, [None] * waiting, now, 2)
    assert left >= 0.0
    assert steps_left([], at_work, [None] * (waiting + 1), now, 2) >= left
    assert steps_left([], at_work, [None] * waiting, now + 1.0, 2) <= left


def test_nothing_is_said_before_the_first_epoch():
    assert steps_left([], [Steps([(0, 0.0)])], [None], 5.0, 2) is None
    assert steps_left([], [], [], 5.0, 2) == 0.0


def test_the_first_epoch_pays_for_the_imports_and_the_others_do_not():
    assert steps_left([], [Steps([(0, 0.0), (1, 30.0)], 10)], [], 30.0, 1) == pytest.approx(270)
    later = Steps([(0, 0.0), (1, 30.0), (2, 32.0), (3, 34.0)], 10)
    assert steps_left([], [later], [], 34.0, 1) == pytest.approx(14)


def test_four_side_by_side_end_together():
    """The issue's example: one of four is done after 2156 s, and the others are nearly so."""
    others = [member(78, 27.0), member(79, 27.0), member(77, 27.0)]
    now = max(each.marks[-1][1] for each in others)
    assert steps_left([member(80, 27.0)], others, [], now, 4) < 60


def test_members_that_wait_read_their_data_train_and_are_saved():
    ended = [member(80), member(80)]  # 170 s each
    left = steps_left(ended, [], [None, None, None], 170.0, 2)
    assert left == pytest.approx(2 * 170, rel=0.01)


def test_a_member_that_has_begun_is_worth_what_the_others_say():
    """Reading its data took as long as ten epochs do."""
    begun = Steps([(0, 200.0), (1, 220.0)], 80)
    left = steps_left([member(80)], [begun], [], 220.0, 1)
    assert left == pytest.approx(79 * 2, rel=0.05)


def test_a_training_that_goes_on_counts_its_own_epochs_only():
    ended = [member(80, before=70)]  # 30 s, of which 10 read the data
    left = steps_left(ended, [], [Steps([(60, 0.0)], 80), None], 30.0, 1)
    assert left == pytest.approx((10 + 20 * 2) + (10 + 80 * 2), rel=0.01)


def test_the_pace_is_that_of_as_many_steps_as_are_left():
    """A machine that something else keeps busy: four times slower for the last twenty epochs."""
    slower = list(member(50).marks)
    slower += [(step, slower[-1][1] + 8.0 * (step - 50)) for step in range(51, 71)]
    assert Steps(slower).took(10) == (10, pytest.approx(80))
    assert Steps(slower).took(50) == (50, pytest.approx(20 * 8 + 30 * 2))


def test_an_overdue_epoch_does_not_use_up_the_others():
    begun = member(70)
    assert steps_left([], [begun], [], begun.marks[-1][1] + 100.0, 1) == pytest.approx(9 * 2)


def test_a_task_that_tells_of_many_steps_at_once_is_at_as_many():
    told = Steps([(0, 0.0), (30, 3.0), (60, 6.0)], 100)
    assert steps_left([], [told], [], 6.0, 1) == pytest.approx(4.0)
    assert steps_left([], [told], [], 8.0, 1) == pytest.approx(2.0)
    assert steps_left([], [told], [], 99.0, 1) == pytest.approx(1.0)


def test_members_stop_early_where_others_did():
    ended = [member(60)]
    assert steps_left(ended, [], [None], 130.0, 1) == pytest.approx(130)


def test_the_longer_a_member_gets_no_better_the_surer_it_ends_for_that():
    best = 50
    members = [Steps([(done, 0.0)], 80, best + 20, (done - best) / 20) for done in (50, 60, 70)]
    lasts = [each.last(None) for each in members]
    assert lasts == [80, 75, 70]
    assert Steps([(50, 0.0)], 80, 70, 0.0).last(60) == 70  # patience lasts at least so long
