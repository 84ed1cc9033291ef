"""When an uploaded file counts as complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd.models import SourceVersion
from nas_syncd.settle import Settling

V1 = SourceVersion(10, 1_000, 7)
V2 = SourceVersion(11, 2_000, 7)


@pytest.fixture
def settling() -> Settling:
    return Settling(2.0)


def test_what_was_never_seen_is_not_settled(settling):
    assert not settling.settled("a", V1, 100.0)


def test_a_seen_close_settles_at_once(settling):
    settling.observe("a", V1, True, 5.0, 0.1)

    assert settling.settled("a", V1, 5.0)


def test_a_close_settles_only_the_version_that_was_closed(settling):
    settling.observe("a", V1, True, 5.0)

    assert not settling.settled("a", V2, 100.0)


def test_another_version_after_the_close_starts_anew(settling):
    settling.observe("a", V1, True, 5.0)
    settling.observe("a", V2, False, 5.5)

    assert not settling.settled("a", V2, 7.4)
    assert not settling.settled("a", V1, 7.4)
    assert settling.settled("a", V2, 7.5)


def test_the_same_version_seen_again_stays_settled(settling):
    settling.observe("a", V1, True, 5.0)
    settling.observe("a", V1, False, 5.1, 0.1)

    assert settling.settled("a", V1, 5.1)


def test_unchanged_for_the_settling_time_counts_from_the_first_look(settling):
    settling.observe("a", V1, False, 5.0)
    settling.observe("a", V1, False, 6.9)

    assert not settling.settled("a", V1, 6.9)
    assert settling.settled("a", V1, 7.0)


def test_an_old_file_is_settled_at_first_sight(settling):
    settling.observe("a", V1, False, 5.0, 2.0)

    assert settling.settled("a", V1, 5.0)


def test_a_younger_file_settles_when_it_has_reached_the_age(settling):
    settling.observe("a", V1, False, 5.0, 1.5)

    assert not settling.settled("a", V1, 5.4)
    assert settling.settled("a", V1, 5.5)
    assert settling.settles_at("a", V1) == 5.5


def test_a_time_in_the_future_says_nothing(settling):
    settling.observe("a", V1, False, 5.0, -3600.0)

    assert not settling.settled("a", V1, 6.9)
    assert settling.settled("a", V1, 7.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 3)), max_size=200))
def test_memory_is_bounded_and_what_was_dropped_only_settles_later(observations):
    small, large = Settling(2.0, remembered=10), Settling(2.0)
    for now, (number, closed, size) in enumerate(observations):
        version = SourceVersion(size, 0, 0)
        for each in (small, large):
            each.observe(str(number), version, closed, float(now))

        assert len(small) <= 10
        for seen in range(31):
            if small.settled(str(seen), version, float(now)):
                assert large.settled(str(seen), version, float(now))
