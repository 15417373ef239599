"""Which weights are kept, and when patience is over."""

from toolkit.settings import TrainingConfig
from toolkit.training.progress import BestKeeper


def keeper(tolerance: float = 0.0, metric: str = "accuracy") -> tuple[BestKeeper, list[int]]:
    saved: list[int] = []
    config = TrainingConfig(best_metric=metric)
    return BestKeeper(config, metric != "loss", saved.append, tolerance=lambda _best: tolerance), saved


def consider(kept: BestKeeper, figures: list[tuple[int, float]]) -> None:
    for step, figure in figures:
        kept.consider(step, step / 10, {"loss": 1 - figure, "accuracy": figure})


def test_later_weights_are_kept_while_they_are_within_tolerance():
    kept, saved = keeper(0.05)
    consider(kept, [(10, 0.80), (20, 0.90), (30, 0.87), (40, 0.84)])
    assert saved == [10, 20, 30]
    assert kept.best_step == 30
    assert kept.since_best == 2  # patience looks at the best alone


def test_without_tolerance_the_best_is_kept():
    kept, saved = keeper()
    consider(kept, [(10, 0.80), (20, 0.90), (30, 0.8999), (40, 0.90)])
    assert saved == [10, 20]


def test_weights_before_the_first_step_give_way_to_better_ones_alone():
    kept, saved = keeper(0.05)
    consider(kept, [(0, 0.80), (10, 0.79), (20, 0.78), (30, 0.81), (40, 0.80)])
    assert saved == [0, 30]
