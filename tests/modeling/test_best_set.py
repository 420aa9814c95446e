"""The best-scoring set of options that exclude each other."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling import best_set_plmarker
from plmarker.modeling.best_set_plmarker import best_set


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[float], list[list[int]]]:
    gains = draw(st.lists(st.sampled_from([0.5, 1.0, 1.0, 1.5, 2.25, 3.0]), min_size=1, max_size=9))
    options = st.integers(0, len(gains) - 1)
    groups = draw(st.lists(st.lists(options, min_size=1, max_size=4, unique=True), max_size=8))
    return gains, [[option] for option in range(len(gains))] + groups


def highest_sum(gains: list[float], groups: list[list[int]]) -> float:
    masks = [sum(1 << option for option in group) for group in groups]
    allowed = (m for m in range(1 << len(gains)) if all((m & g).bit_count() <= 1 for g in masks))
    return max(sum(gain for n, gain in enumerate(gains) if m >> n & 1) for m in allowed)


@given(problems())
def test_no_other_set_gains_more(problem):
    gains, groups = problem
    chosen = best_set(gains, groups)
    assert chosen == sorted(set(chosen))
    assert all(len(set(chosen) & set(group)) <= 1 for group in groups)
    assert sum(gains[option] for option in chosen) == pytest.approx(highest_sum(gains, groups))


def test_the_highest_gain_first_is_not_always_best():
    # Two options of 2 exclude the one of 3.
    assert best_set([2.0, 3.0, 2.0], [[0, 1], [1, 2]]) == [0, 2]
    assert best_set([], []) == []


def test_a_search_that_ends_early_says_so(monkeypatch, caplog):
    # Five options in a ring: at most two. Prices of one half each cover 2.5, so that prices alone do not decide.
    gains, groups = [1.0] * 5, [[n, (n + 1) % 5] for n in range(5)]
    assert len(best_set(gains, groups)) == 2
    assert not caplog.records
    monkeypatch.setattr(best_set_plmarker, "MOST_WORK", 0)
    with caplog.at_level(logging.WARNING):
        assert len(best_set(gains, groups)) == 2
    assert "may exist" in caplog.text
