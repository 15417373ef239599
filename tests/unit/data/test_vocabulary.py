"""Characters that a vocabulary cannot write are named before training starts."""

from tests.support import bitext
from tests.support.models import tokenizer
from toolkit import models
from toolkit.data.vocabulary import remarks, unwritable
from toolkit.settings import LoadingConfig


def test_characters_that_become_unknown():
    made = tokenizer("a b c ##a ##b ##c")
    assert unwritable(["abc", "añb", "ñ"], made) == {"ñ": 2}
    (said,) = remarks({"source": ["ab"], "target": ["añb", "b"]}, made)
    assert said == (
        "The vocabulary lacks 1 character of the target, which can never be written: ñ (1). They stand in 1 of 2 rows."
    )


def test_the_target_is_tokenized_as_a_target(tmp_path):
    made = models.load_tokenizer(bitext.marian(tmp_path / "marian"), LoadingConfig(), fast=False)
    assert not unwritable(["one cat"], made)
    assert unwritable(["Kätz"], made, target=True) == {"ä": 1}
