"""Ids of a later release: who keeps one, who gets another, who is two, who is no more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.simulate.twin.ids import CHANGED, MERGED, SPLIT, TAKEN_IN, renumber
from catalog_builder.simulate.twin.recipe import Recipe


@st.composite
def _skies(draw):
    pixels = draw(st.lists(st.integers(0, (12 << 24) - 1), min_size=1, max_size=60, unique=True))
    old = np.sort(np.array([(pixel << 35) | (1 << 7) for pixel in pixels], dtype=np.int64))
    share = st.floats(0.0, 0.2)
    recipe = Recipe(changed=draw(share), split=draw(share), merged=draw(share))
    return old, recipe, draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 20))


@given(_skies())
def test_every_star_is_found_and_no_id_is_given_twice(sky):
    old, recipe, seed, block = sky
    ids = renumber(np.random.default_rng(seed), old, recipe, block)
    stays = ids.stays
    given_now = np.concatenate([ids.new[stays], ids.second[ids.second != 0]])
    assert len(np.unique(given_now)) == len(given_now)
    assert (np.diff(ids.new[stays]) > 0).all()
    same = ids.fate == ""
    np.testing.assert_array_equal(ids.new[same], old[same])
    assert not np.isin(given_now, old[~same]).any()
    # Who is in a place of the sky stays there.
    np.testing.assert_array_equal(ids.new[stays] >> 35, old[stays] >> 35)


@given(_skies())
def test_fates_are_what_their_names_say(sky):
    old, recipe, seed, block = sky
    ids = renumber(np.random.default_rng(seed), old, recipe, block)
    gone = np.flatnonzero(ids.fate == TAKEN_IN)
    assert set(gone - 1) == set(np.flatnonzero(ids.fate == MERGED))
    np.testing.assert_array_equal(ids.new[gone], ids.new[gone - 1])
    assert (gone % block != 0).all()  # they are written with who took them in
    np.testing.assert_array_equal(ids.second != 0, ids.fate == SPLIT)
    assert set(np.unique(ids.fate)) <= {"", CHANGED, SPLIT, MERGED, TAKEN_IN}


def test_shares_are_those_of_the_recipe():
    old = np.arange(1, 40_001, dtype=np.int64) << 36
    ids = renumber(np.random.default_rng(3), old, Recipe(), 400)
    share = {fate: float((ids.fate == fate).mean()) for fate in (CHANGED, SPLIT, MERGED, TAKEN_IN)}
    assert abs(share[CHANGED] - 0.05) < 0.005
    assert abs(share[SPLIT] - 0.01) < 0.002
    assert abs(share[MERGED] - 0.01) < 0.002
    assert share[TAKEN_IN] == share[MERGED]


def test_nothing_happens_where_no_share_is_asked_for():
    old = np.arange(1, 1001, dtype=np.int64) << 36
    ids = renumber(np.random.default_rng(3), old, Recipe(changed=0, split=0, merged=0), 400)
    np.testing.assert_array_equal(ids.new, old)
    assert ids.stays.all()
