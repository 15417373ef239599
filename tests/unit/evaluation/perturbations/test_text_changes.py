"""Perturbations preserve the meaning, and make their change."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.errors import ConfigError
from toolkit.evaluation.checks.bias import LEAST_ROWS
from toolkit.evaluation.perturbations.text_changes import load_lists, perturbations, replace, typos

LISTS = load_lists(None)
CHANGES = {one.name: one for one in perturbations(LISTS)}


def changed(name: str, text: str) -> str:
    return CHANGES[name].change(text, random.Random(0))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lower_case", "A Fine Film", "a fine film"),
        ("upper_case", "A Fine Film", "A FINE FILM"),
        ("no_punctuation", "Fine, really ! Or not ... 3.5 stars.", "Fine really Or not 3.5 stars"),
        ("contractions", "Do not go. It is bad, IT IS", "Don't go. It's bad, IT'S"),
        ("full_forms", "Don't go, it's dull", "Do not go, it is dull"),
    ],
)
def test_each_change_does_what_it_says(name, text, expected):
    assert changed(name, text) == expected


def test_neutral_sentences_surround_the_text():
    assert changed("prefix", "fine").endswith(" fine")
    assert changed("suffix", "fine").startswith("fine ")


@given(st.text(alphabet="abcdefg .", max_size=120), st.integers(0, 99))
def test_typos_keep_words_apart_and_their_ends(text, seed):
    new = typos(text, random.Random(seed))
    old_words, new_words = text.split(), new.split()
    assert len(new_words) == len(old_words)
    different = [(a, b) for a, b in zip(old_words, new_words, strict=True) if a != b]
    assert all(a[0] == b[0] and a[-1] == b[-1] and abs(len(a) - len(b)) <= 1 for a, b in different)
    long = sum(len(word) > 3 and word.isalpha() for word in old_words)
    assert len(different) <= max(1, round(long / 8))
    assert new == typos(text, random.Random(seed))


def test_a_typo_is_made_where_there_is_a_long_word():
    assert sum(typos("wonderful", random.Random(seed)) != "wonderful" for seed in range(50)) >= 45


def test_only_whole_words_are_replaced_and_capitals_stay():
    assert replace("He said the hero, HE, he's", [("he", "she")]) == "She said the hero, SHE, he's"


def test_lists_of_ones_own_are_added(write):
    path = write("mine.yaml", "things: [car]\nidentity:\n  age:\n    groups:\n      old: [old]\n      young: [young]\n")
    lists = load_lists(str(path))
    assert lists["things"] == [*LISTS["things"], "car"]
    assert set(lists["identity"]) == {*LISTS["identity"], "age"}
    assert lists["identity"]["gender"] == LISTS["identity"]["gender"]
    with refused(ConfigError, "config.unknown-key", "wrong.yaml", "`thing`"):
        load_lists(str(write("wrong.yaml", "thing: [car]")))


def test_the_lists_are_of_one_shape():
    for category, entry in LISTS["identity"].items():
        sizes = {len(terms) for terms in entry["groups"].values()}
        assert len(sizes) == 1, category
        assert max(entry["terms"]) < min(sizes)
        assert all(term == term.lower() for terms in entry["groups"].values() for term in terms)
        assert all("{}" in template for template in entry["templates"])
        assert len(entry["templates"]) * len(entry["terms"]) >= LEAST_ROWS  # else the sentences would not be predicted
    assert all(len(pair) == 2 for pair in LISTS["contractions"])
