import numpy as np
import pytest

from toolkit.evaluation.selection import strategies
from toolkit.evaluation.selection.strategies import DIVERSE, HYBRID, RANDOM, STRATEGIES, UNCERTAIN


@pytest.fixture
def pool():
    """Four groups of 50 vectors in different directions; uncertainty is high in two of them."""
    generator = np.random.default_rng(0)
    directions = np.eye(8)[:4]
    vectors = np.repeat(directions, 50, axis=0) + generator.normal(0, 0.05, (200, 8))
    doubts = np.repeat([0.9, 0.8, 0.1, 0.05], 50) + generator.normal(0, 0.01, 200)
    return vectors, doubts


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_as_many_different_rows_as_wanted(pool, strategy):
    chosen = strategies.choose(*pool, 40, strategy, random_share=0.1, seed=0)
    assert len({choice.row for choice in chosen}) == 40
    again = strategies.choose(*pool, 40, strategy, random_share=0.1, seed=0)
    assert chosen == again


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_all_rows_of_a_small_pool(pool, strategy):
    chosen = strategies.choose(*pool, 500, strategy, random_share=0.1, seed=0)
    assert sorted(choice.row for choice in chosen) == list(range(200))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_rows_can_be_chosen(strategy):
    chosen = strategies.choose(np.ones((30, 4)), np.zeros(30), 10, strategy, random_share=0.0, seed=0)
    assert len({choice.row for choice in chosen}) == 10


def test_share_of_random_rows_is_drawn_of_the_whole_pool(pool):
    shares = np.zeros(200)
    for seed in range(200):
        chosen = strategies.choose(*pool, 40, UNCERTAIN, random_share=0.25, seed=seed)
        drawn = [choice.row for choice in chosen if choice.strategy == RANDOM]
        assert len(drawn) == 10
        shares[drawn] += 1
    groups = shares.reshape(4, 50).sum(axis=1) / shares.sum()
    assert groups == pytest.approx([0.25] * 4, abs=0.05)
    assert strategies.counts(chosen) == {UNCERTAIN: 30, RANDOM: 10}


def test_uncertainty_takes_the_least_certain_rows(pool):
    chosen = strategies.choose(*pool, 10, UNCERTAIN, random_share=0.0, seed=0)
    assert [choice.row for choice in chosen] == np.argsort(-pool[1])[:10].tolist()


def test_diversity_takes_rows_of_every_group(pool):
    chosen = strategies.choose(pool[0], None, 4, DIVERSE, random_share=0.0, seed=0)
    assert {choice.row // 50 for choice in chosen} == {0, 1, 2, 3}


def test_typical_rows_are_no_outliers(pool):
    vectors = np.vstack([pool[0], 3 * np.eye(8)[4:]])
    chosen = strategies.choose(vectors, None, 4, DIVERSE, random_share=0.0, seed=0)
    assert max(choice.row for choice in chosen) < 200


def test_hybrid_rows_are_uncertain_and_of_both_uncertain_groups(pool):
    chosen = strategies.choose(*pool, 10, HYBRID, random_share=0.0, seed=0)
    assert {choice.row // 50 for choice in chosen} == {0, 1}
    copies = np.vstack([pool[0], np.repeat(pool[0][:1], 30, axis=0)]), np.concatenate([pool[1], np.ones(30)])
    hybrid, plain = (
        sum(choice.row in (0, *range(200, 230)) for choice in strategies.choose(*copies, 10, s, random_share=0, seed=0))
        for s in (HYBRID, UNCERTAIN)
    )
    assert plain == 10
    assert hybrid <= 2  # of copies one is enough


def test_fewer_labels_than_ten_a_class_fall_back_to_diversity():
    assert strategies.settled(None, 19, 2, uncertain=True)[0] == DIVERSE
    assert strategies.settled(None, 20, 2, uncertain=True) == (HYBRID, None)
    assert strategies.settled(UNCERTAIN, 19, 2, uncertain=True) == (UNCERTAIN, None)
    assert strategies.settled(None, None, 2, uncertain=True) == (HYBRID, None)
    assert strategies.settled(None, 1000, 0, uncertain=False)[0] == DIVERSE
