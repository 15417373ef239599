"""Tokens are joined to the original words; omitted words are really omitted."""

import numpy as np

from tests.support import models
from toolkit.evaluation.perturbations.text_changes import load_lists
from toolkit.explanation.words import example


def prepared(*texts, **features):
    tokenizer = models.tokenizer()
    encoded = tokenizer(*texts, return_token_type_ids=True)
    return example(texts, {**encoded, **features}, tokenizer, 64)


def test_pieces_are_joined_and_special_tokens_stand_apart():
    made = prepared("The cat Sleeps")
    assert made.tokens == ("[CLS]", "the", "cat", "sle", "##eps", "[SEP]")
    assert made.words == ("The", "cat", "Sleeps")
    assert made.spans == ((1,), (2,), (3, 4))
    assert made.special == (0, 5)
    assert made.by_word(np.array([9.0, 1, 2, 3, 4, 9])).tolist() == [1, 2, 7]


def test_the_words_of_a_pair_are_told_apart():
    made = prepared("the cat", "the mat")
    assert made.words == ("the", "cat", "the", "mat")
    assert made.spans == ((1,), (2,), (4,), (5,))
    assert made.special == (0, 3, 6)


def test_contractions_and_negations_are_one_word():
    tokenizer = models.tokenizer()
    texts = ("The cat isn't sleeps", "a mat, not the cat")
    made = example(texts, tokenizer(*texts, return_token_type_ids=True), tokenizer, 64, load_lists(None))
    assert made.words == ("The", "cat", "isn't sleeps", "a", "mat", ",", "not the cat")
    assert made.sources == (0, 0, 0, 1, 1, 1, 1)
    assert sorted(place for span in made.spans for place in span) == [
        place for place in range(len(made.tokens)) if place not in made.special
    ]
    assert len(made.keep([0, 1])["input_ids"]) == 3 + 2


def test_what_is_left_out_is_left_out_of_every_input():
    made = prepared("The cat sleeps", labels=1)
    kept = made.keep([0, 2])
    assert kept["input_ids"].tolist() == [made.features["input_ids"][place] for place in (0, 1, 3, 4, 5)]
    assert kept["attention_mask"].tolist() == [1] * 5
    assert kept["labels"] == 1
    assert made.keep([])["input_ids"].tolist() == [1, 2]


def test_a_recipe_with_a_way_of_its_own_has_tokens_for_words():
    tokenizer = models.tokenizer()
    ids = tokenizer("a cat")["input_ids"]
    made = example(["another text"], {"input_ids": ids}, tokenizer, 64)
    assert made.words == ("a", "cat")
    assert made.special == (0, 3)
