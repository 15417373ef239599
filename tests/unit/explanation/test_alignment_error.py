"""The alignment error rate, on cases that can be counted by hand, and its properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.errors import DataError, SourceError
from toolkit.explanation.translations import error_rate
from toolkit.explanation.translations.error_rate import Gold

LINKS = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1)


def gold(sure, possible=()):
    return Gold(frozenset(sure), frozenset({*sure, *possible}))


def rate(links, truth):
    return float(error_rate.error_rate(error_rate.counts(links, truth)))


def test_the_rate_is_that_of_och_and_ney():
    """|A ∩ S| = 2, |A ∩ P| = 3, |A| = 4, |S| = 3: 1 - 5 / 7."""
    truth = gold({(0, 0), (1, 1), (2, 2)}, {(3, 2)})
    assert rate([(0, 0), (1, 1), (3, 2), (0, 3)], truth) == pytest.approx(1 - 5 / 7)


@given(LINKS, LINKS)
def test_it_is_nothing_for_the_gold_itself_and_one_for_nothing_in_common(sure, others):
    truth = gold(sure, others)
    assert rate(sure, truth) == rate(sure | others, truth) == 0
    assert rate({(source + 9, target) for source, target in others}, truth) == 1


@given(LINKS, LINKS)
def test_without_possible_links_it_is_one_minus_f1(made, sure):
    right = len(made & sure)
    assert rate(made, gold(sure)) == pytest.approx(1 - 2 * right / (len(made) + len(sure)))


def test_sentences_are_summed_and_not_averaged():
    truths = [gold({(0, 0)}), gold({(0, 0), (1, 1), (2, 2)})]
    made = [[(0, 1)], [(0, 0), (1, 1), (2, 2)]]
    result = error_rate.interval(made, truths, confidence=0.95, resamples=200, seed=1)
    assert result.value == pytest.approx(1 - 6 / 8)
    assert result.low <= result.value <= result.high


def test_pharaoh_format(write):
    first, second, third = error_rate.read_gold(write("gold.txt", "0-0 1?2 2p1\n\n10-3\n"))
    assert first == gold({(0, 0)}, {(1, 2), (2, 1)})
    assert second == gold(())
    assert third == gold({(10, 3)})


@pytest.mark.parametrize("line", ["0-", "a-b", "0-0,1-1", "1"])
def test_what_is_no_link_is_named_with_its_line(write, line):
    with refused(DataError, "data.malformed-gold", "gold.txt, line 2", f"`{line}"):
        error_rate.read_gold(write("gold.txt", f"0-0\n{line}\n"))


def test_a_gold_file_that_is_not_there(tmp_path):
    with refused(SourceError, "source.file-missing", "gold.txt", "--gold"):
        error_rate.read_gold(tmp_path / "gold.txt")


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_diagonal_links_every_word_and_never_turns_back(source, target):
    links = error_rate.diagonal(source, target)
    assert [place for _, place in links] == list(range(target))
    assert all(0 <= place < source for place, _ in links)
    assert [place for place, _ in links] == sorted(place for place, _ in links)
    if source == target:
        assert all(place == other for place, other in links)


def test_chance_is_right_once_in_so_many_words():
    truths = [gold({(place, place) for place in range(4)})] * 20
    assert error_rate.random_rate([(4, 4)] * 20, truths, seed=1) == pytest.approx(0.75, abs=0.02)
