"""Words of a text, separated as in the training rows."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.tables import word_splitting
from toolkit.data.tables.word_splitting import USUAL, Splitting, joined, learned, places

TEXTS = st.text(st.sampled_from("aZé\u0301ß.,'’()\"-@# \t\n\u00a0👩\u200d🚀İ"), max_size=30)
ROWS = [
    ["It", "'s", "in", "Paris", ",", "is", "n't", "it", "?"],
    ["Ann", ",", "(", "Bo", ")", "'s", "n't", "?", "(", ")"],
]


def words(text: str, splitting: Splitting) -> list[str]:
    return [text[start:end] for start, end in places(text, splitting)]


@given(TEXTS, st.sampled_from([Splitting(), USUAL, learned(ROWS)]))
def test_places_cover_the_text_without_its_white_space(text: str, splitting: Splitting) -> None:
    found = places(text, splitting)
    assert all(start < end for start, end in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))
    assert "".join(words(text, splitting)) == "".join(text.split())
    assert not any(any(map(str.isspace, word)) for word in words(text, splitting))


@given(TEXTS)
def test_nothing_is_separated_without_training_rows(text: str) -> None:
    assert words(text, Splitting()) == text.split()
    assert words(text, Splitting.of({})) == text.split()


@given(st.lists(st.text(max_size=5)))
def test_places_in_joined_words(given_words: list[str]) -> None:
    text, found = joined(given_words)
    assert [text[start:end] for start, end in found] == given_words


def test_what_stands_alone_in_training_is_separated() -> None:
    splitting = learned(ROWS)
    assert words("(Anna isn't in Paris, is she?)", splitting) == [
        *("(", "Anna", "is", "n't", "in", "Paris", ",", "is", "she", "?", ")")
    ]
    assert words("Bo's Paris.", splitting) == ["Bo", "'s", "Paris."]  # no stop in the training rows
    assert Splitting.of(splitting.as_dict()) == splitting


def test_rows_of_texts_cut_at_white_space_separate_nothing() -> None:
    assert learned([["in", "Paris,", "and", "Rome,"], ["Bo,", ",", "@ann", "@"]]) == Splitting()


def test_names_that_begin_with_a_sign_stay_whole() -> None:
    splitting = learned([["@", "@", *[f"@user{n}" for n in range(9)], ":", ":"]])
    assert "@" not in splitting.before
    assert words("@ann:", splitting) == ["@ann", ":"]


def test_abbreviations_keep_their_stop() -> None:
    assert words("J. Smith left the U.S. today.", USUAL) == ["J.", "Smith", "left", "the", "U.S.", "today", "."]


def test_damaged_facts_separate_nothing() -> None:
    assert word_splitting.Splitting.of({"before": "(", "after": 3}) == Splitting()
