"""Bad training pairs are found, and good ones are not."""

import random

import numpy as np
import pytest

from tests.support import bitext
from toolkit.config.settings import DataConfig
from toolkit.data.bitext import pair_filters
from toolkit.data.load import load_splits
from toolkit.tasks import loading


def test_copies():
    result = pair_filters.copies(
        ["Open the file", "LibreOffice", "1 2 3", "Save"], ["open  the FILE", "LibreOffice", "1 2 3", "Sichern"]
    )
    assert result.tolist() == [True, False, False, False]


def test_lengths_are_compared_with_what_is_usual():
    sources = ["a" * 30] * 20
    targets = ["b" * 60] * 19 + ["b" * 5]
    assert pair_filters.odd_lengths(sources, targets, 3.0).tolist() == [False] * 19 + [True]
    assert len(pair_filters.odd_lengths([], [], 3.0)) == 0


def test_a_link_may_be_another_and_a_placeholder_may_not():
    sources = ["See http://myserver.com.", "See <b>http://a.com</b> {0}."]
    targets = ["Voir http://monserveur.com.", "Voir http://a.fr {0}."]
    assert pair_filters.other_markup(sources, targets).tolist() == [False, True]


def english_and_german(count):
    rows = [pair for pair in bitext.pairs(3 * count) if min(map(len, pair)) > pair_filters.SHORTEST][:count]
    return [source for source, _ in rows], [target for _, target in rows]


def test_the_wrong_language_is_found_with_no_list_of_words():
    sources, targets = english_and_german(300)
    wrong = list(range(0, 300, 30))
    for row in wrong:
        targets[row] = sources[(row + 7) % 300]
    assert np.flatnonzero(pair_filters.wrong_language(sources, targets)).tolist() == wrong


@pytest.mark.parametrize("each", [3, 5, 10])
def test_pairs_the_wrong_way_round_are_found_where_they_are_many(each):
    sources, targets = english_and_german(300)
    for row in range(0, 300, each):
        sources[row], targets[row] = targets[row], sources[row]
    assert np.flatnonzero(pair_filters.wrong_language(sources, targets)).tolist() == list(range(0, 300, each))


def test_few_pairs_and_like_languages_are_left_alone():
    sources, targets = english_and_german(50)
    assert not pair_filters.wrong_language(sources, sources).any()
    assert not pair_filters.wrong_language(sources[:10], targets[:10]).any()
    assert pair_filters.Sides.learn(sources * 6, sources * 6) is None


def test_cleaning_reports_omitted_pairs(tmp_path):
    rows = bitext.pairs(300)
    rows[3] = ("one two three", "one two three")
    rows[5] = ("save {0} now", "eins zwei")
    rows[9] = ("one", "eins " * 40)
    path = bitext.tsv(tmp_path / "toy.tsv", rows)
    recipe = loading.load("translation")
    options = {"source": "en", "target": "de", "clean": True, "max_length_ratio": 3.0}
    splits = load_splits(recipe, DataConfig(source=str(path)), 0, options)
    notes = " ".join(splits.facts["notes"])
    assert "1 row was left out: the translation is identical to the source (first: toy.tsv, row 5)." in notes
    assert "placeholders or markup" in notes
    assert "lengths of source and translation" in notes
    total = sum(part["rows"] for part in splits.facts["splits"])
    assert total == 297
    kept = load_splits(recipe, DataConfig(source=str(path)), 0, {**options, "clean": False})
    assert sum(part["rows"] for part in kept.facts["splits"]) == 300


def test_a_given_test_part_stays_as_it_is(tmp_path):
    rows = bitext.pairs(60)
    bitext.tsv(tmp_path / "toy" / "train.tsv", rows[:50])
    bitext.tsv(tmp_path / "toy" / "test.tsv", [*rows[50:], ("one two", "one two")])
    options = {"source": "en", "target": "de", "clean": True, "max_length_ratio": 3.0}
    splits = load_splits(loading.load("translation"), DataConfig(source=str(tmp_path / "toy")), 0, options)
    assert splits.test.num_rows == 11


def test_random_letters_do_not_break_it():
    chance = random.Random(0)
    texts = ["".join(chance.choices("äöü漢字 \ud83d", k=40)) for _ in range(250)]
    assert len(pair_filters.wrong_language(texts, texts[::-1])) == 250
