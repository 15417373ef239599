"""Advice is given where a symptom is planted, and nowhere else."""

import copy
import shlex
from typing import Any

import pytest

from toolkit.report.document.advice import advise
from toolkit.report.document.command_lines import repeated


def point(step: int, loss: float, train_loss: float, accuracy: float) -> dict[str, Any]:
    return {"step": step, "epoch": step / 10, "loss": loss, "train_loss": train_loss, "accuracy": accuracy}


def healthy() -> dict[str, Any]:
    """A report on a run in which nothing is wrong."""
    return {
        "recipe": "sentiment",
        "command": "toolkit finetune sentiment --data mine.csv --set training.dropout=0.1 --epochs 3",
        "model": {"name": "distilbert"},
        "evaluation": {
            "rows": 400,
            "labels": ["bad", "good"],
            "metrics": [{"name": "accuracy", "value": 0.85, "unit": "fraction"}],
            "confusion": {"labels": ["bad", "good"], "matrix": [[170, 30], [30, 170]]},
        },
        "baselines": [{"title": "TF-IDF", "metrics": [{"unit": "fraction"}], "difference": _difference(0.1)}],
        "data": {
            "source": "mine.csv",
            "splits": [
                {"name": "train", "rows": 2000, "given": True, "classes": {"bad": 1900, "good": 100}},
                {"name": "validation", "rows": 200, "given": False, "classes": {}},
                {"name": "test", "rows": 400, "given": True, "classes": {}},
            ],
        },
        "training": {
            "truncated": 0,
            "stopped_early": False,
            "best_step": 30,
            "evaluations": [point(10, 0.45, 0.40, 0.80), point(20, 0.40, 0.30, 0.84), point(30, 0.395, 0.25, 0.85)],
        },
        "config": {
            "training": {"epochs": 3.0, "learning_rate": 1e-4, "best_metric": "accuracy"},
            "data": {"max_length": 128},
        },
    }


def _difference(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def with_points(*points: dict[str, Any], **training: Any) -> dict[str, Any]:
    report = healthy()
    report["training"] |= {"evaluations": list(points), "best_step": points[-1]["step"], **training}
    return report


def never_predicted() -> dict[str, Any]:
    report = healthy()
    report["evaluation"]["confusion"]["matrix"] = [[370, 0], [30, 0]]
    return report


def below_a_baseline() -> dict[str, Any]:
    report = healthy()
    report["baselines"][0]["difference"] = _difference(-0.1)
    return report


def cut() -> dict[str, Any]:
    report = healthy()
    report["training"]["truncated"] = 500
    return report


def few_validation_rows() -> dict[str, Any]:
    report = healthy()
    report["data"]["splits"][0]["rows"] = 560
    report["data"]["splits"][1]["rows"] = 40
    return report


def doubted_labels() -> dict[str, Any]:
    report = healthy()
    report["evaluation"]["label_errors"] = {"doubted": 40, "noise": {"rate": 0.1, "p": 0.0002}}
    return report


SHORT = {
    "steps": 30,
    "seconds": 35.0,
    "budget": {"seconds": 60.0, "before_training": 12.0, "kept_for_evaluation": 10.0, "steps_without_limit": 40},
}

PLANTED = {
    "training.still-improving": (
        with_points(point(10, 0.6, 0.6, 0.7), point(20, 0.5, 0.45, 0.75), point(30, 0.4, 0.35, 0.8)),
        "--epochs 6",
    ),
    "training.budget-too-short": (
        with_points(point(10, 0.6, 0.6, 0.7), point(20, 0.5, 0.45, 0.75), point(30, 0.4, 0.35, 0.8), **SHORT),
        "--budget 90s",
    ),
    "training.hardly-learnt": (
        with_points(point(10, 0.691, 0.69, 0.52), point(20, 0.689, 0.686, 0.54), point(30, 0.687, 0.68, 0.55)),
        "--learning-rate 0.0003",
    ),
    "training.rate-too-high": (
        with_points(point(10, 0.5, 0.45, 0.78), point(20, 0.7, 0.69, 0.5), point(30, 0.69, 0.70, 0.5)),
        "--learning-rate 3.3e-05",
    ),
    "training.overfitting": (
        with_points(point(10, 0.4, 0.35, 0.85), point(20, 0.6, 0.1, 0.78), point(30, 0.9, 0.01, 0.74), best_step=10),
        "--epochs 1",
    ),
    "classes.never-predicted": (never_predicted(), "--set loss.class_weights=balanced"),
    "result.below-a-baseline": (below_a_baseline(), "lr-find"),
    "data.texts-cut": (cut(), "--max-length 256"),
    "data.few-validation-rows": (few_validation_rows(), "--set data.validation_fraction=0.2"),
}


@pytest.mark.parametrize("identifier", PLANTED)
def test_a_planted_symptom_gets_its_advice_and_no_other(identifier):
    report, option = PLANTED[identifier]
    (piece,) = advise(report)
    assert piece["id"] == identifier
    assert option in piece["command"]
    assert piece["evidence"]
    assert piece["advice"]


def test_a_collapse_below_the_linear_probe_lowers_the_rate():
    """The loss of guessing at the end, after a probe that was far better: no reason to raise the rate."""
    points = point(0, 0.28, None, 0.86), point(10, 0.735, 0.8, 0.5), point(20, 0.693, 0.69, 0.5)
    (piece,) = advise(with_points(*points, best_step=0))
    assert piece["id"] == "training.rate-too-high"
    assert "--learning-rate 1e-05" in piece["command"]
    assert "0.280" in piece["evidence"]


def test_a_budget_that_ended_training_explains_the_other_symptoms():
    report = with_points(point(10, 0.691, 0.69, 0.52), point(20, 0.689, 0.686, 0.54), **{**SHORT, "steps": 20})
    report["training"]["best_step"] = 20
    report["evaluation"]["confusion"]["matrix"] = [[370, 0], [30, 0]]
    report["baselines"][0]["difference"] = _difference(-0.1)
    assert [piece["id"] for piece in advise(report)] == ["training.budget-too-short"]


def test_classes_that_are_never_predicted_are_one_piece():
    report = healthy()
    report["evaluation"]["labels"] = list("abcdef")
    matrix = [[0] * 6 for _ in range(6)]
    for row in matrix:
        row[0] = 20
    report["evaluation"]["confusion"] = {"labels": list("abcdef"), "matrix": matrix}
    report["data"]["splits"][0]["classes"] = dict.fromkeys("abcdef", 300)
    (piece,) = advise(report)
    assert piece["id"] == "classes.never-predicted"
    assert "2 more" in piece["evidence"]
    assert "--epochs 6" in piece["command"]  # they are not rare, so weights of classes change nothing


def test_a_class_with_one_training_row_is_named():
    report = healthy()
    report["data"]["splits"][0]["classes"] = {"bad": 1000, "good": 990, "fonts": 1, "web": 2}
    (piece,) = advise(report)
    assert piece["id"] == "classes.too-few-rows"
    assert "“fonts” (1)" in piece["evidence"]
    assert "data.rare_labels=merge" in piece["command"]


def test_a_baseline_ahead_on_three_rows_is_no_symptom():
    report = below_a_baseline()
    report["baselines"][0]["difference"] |= {"value": -0.015, "low": -0.04, "high": 0.0, "p": 0.125}
    assert advise(report) == []


def test_doubts_of_an_inaccurate_model_are_not_shown():
    report = doubted_labels()
    report["evaluation"]["metrics"][0]["value"] = 0.4
    assert advise(report) == []


def test_an_option_takes_the_place_of_the_key_that_it_sets():
    report, _ = PLANTED["training.still-improving"]
    report = copy.deepcopy(report)
    for setting in ("--set training.epochs=3", "--set=training.epochs=3"):
        report["command"] = f"toolkit finetune sentiment --data mine.csv {setting}"
        (piece,) = advise(report)
        assert piece["command"] == "toolkit finetune sentiment --data mine.csv --epochs 6"


def test_checks_are_named_once():
    command = ["toolkit", "evaluate", "run", "--set", "evaluation.checks=[cost]"]
    assert repeated(command, checks="cost,bias") == "toolkit evaluate run --checks cost,bias"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("--text-column 'my text' --max-length 64", "--text-column 'my text' --max-length 64"),
        ("--from-scratch --epochs 3", "--set loading.from_scratch=true"),
        ("--source en --target de --budget 60s", "--source en --target de"),
        ("--attention sliding-window:8 --few --unlabelled u.txt", "--set attention=sliding-window:8"),
        ("--set training.budget=60 --set training.dropout=0", "--set training.dropout=0"),
    ],
)
def test_the_range_test_has_the_settings_of_the_run(options, kept):
    report = below_a_baseline()
    report["command"] = f"toolkit finetune translation --data t.csv {options}"
    (piece,) = advise(report)
    assert piece["command"] == f"toolkit lr-find translation --data t.csv {kept}"


@pytest.mark.parametrize("option", ["--streaming", "--set data.streaming=true"])
def test_a_range_test_of_streamed_rows_is_not_suggested(option):
    report = below_a_baseline()
    report["command"] = f"toolkit finetune sentiment --data shards {option}"
    (piece,) = advise(report)
    assert piece["command"] is None


def test_doubted_labels_are_named_where_the_noise_is_more_than_chance():
    (piece,) = advise(doubted_labels())
    assert (piece["id"], piece["command"]) == ("labels.doubted", None)
    assert "40 labels" in piece["evidence"]
    for noise in ({"rate": 0.1, "p": 0.02}, {"rate": None, "p": None}, None):
        report = healthy()
        report["evaluation"]["label_errors"] = {"doubted": 40, "noise": noise}
        assert advise(report) == []


@pytest.mark.parametrize("changes", [{"steps": 40}, {"best_step": 20}, {"stopped_early": True}])
def test_a_budget_that_sufficed_is_not_too_short(changes):
    training = {**SHORT, **changes}
    report = with_points(point(10, 0.42, 0.4, 0.79), point(20, 0.4, 0.36, 0.8), point(30, 0.4, 0.35, 0.8), **training)
    assert "training.budget-too-short" not in {piece["id"] for piece in advise(report)}


def test_a_healthy_run_gets_none():
    assert advise(healthy()) == []


def test_confidence_that_grows_while_accuracy_stays_is_no_overfitting():
    points = point(10, 0.4, 0.35, 0.85), point(20, 0.6, 0.1, 0.85), point(30, 0.9, 0.01, 0.84)
    assert advise(with_points(*points)) == []


def test_an_option_is_given_once():
    report, _ = PLANTED["training.still-improving"]
    (piece,) = advise(report)
    words = shlex.split(piece["command"])
    assert words.count("--epochs") == 1
    assert words[:3] == ["toolkit", "finetune", "sentiment"]
    dropout = copy.deepcopy(never_predicted())
    dropout["command"] += " --set loss.class_weights='{good: 2}'"
    (piece,) = advise(dropout)
    assert piece["command"].count("class_weights") == 1
    assert "training.dropout=0.1" in piece["command"]


def test_a_report_on_other_rows_gets_no_command_of_a_run():
    report = never_predicted() | {"command": "toolkit evaluate runs/one --data other.csv", "training": None}
    (piece,) = advise(report)
    assert (piece["id"], piece["command"]) == ("classes.never-predicted", None)


def test_a_task_without_classes():
    report = healthy()
    del report["evaluation"]["labels"], report["evaluation"]["confusion"]
    assert advise(report) == []


def test_an_output_that_is_taken_is_not_named_again():
    report, _ = PLANTED["training.still-improving"]
    report = copy.deepcopy(report)
    for option in ("--output mine", "--output=mine", "-o mine"):
        report["command"] = f"toolkit finetune sentiment {option} --data mine.csv"
        (piece,) = advise(report)
        assert piece["command"] == "toolkit finetune sentiment --data mine.csv --epochs 6"


def test_no_longer_training_where_every_row_is_right_or_the_fall_is_not_seen():
    right = point(10, 0.3, 0.3, 0.9), point(20, 0.2, 0.2, 1.0), point(30, 0.1, 0.1, 1.0)
    tiny = point(10, 0.0009, 0.0009, 0.9), point(20, 0.0007, 0.0007, 0.9), point(30, 0.0002, 0.0002, 0.9)
    assert advise(with_points(*right)) == advise(with_points(*tiny)) == []


def several() -> dict[str, Any]:
    """A healthy report of three classes, any number of them a row."""
    report = healthy()
    names = ["food", "music", "sport"]
    counts = dict(zip(names, (900, 600, 100), strict=True))
    del report["evaluation"]["confusion"]
    report["evaluation"] |= {
        "labels": names,
        "classes_per_row": {"counts": [{"classes": 0, "true": 40, "predicted": 30}]},
        "per_class": [{"label": name, "support": 50, "predicted": 48} for name in names],
        "metrics": [{"name": "micro_f1", "value": 0.85, "unit": "fraction"}],
    }
    report["data"]["splits"][0]["classes"] = counts
    report["config"]["training"]["best_metric"] = "micro_f1"
    for point_ in report["training"]["evaluations"]:
        point_["micro_f1"] = point_.pop("accuracy")
    return report


def numbers() -> dict[str, Any]:
    """A healthy report of predicted numbers."""
    report = healthy()
    del report["evaluation"]["confusion"]
    error = {"name": "mae", "title": "Mean absolute error", "value": 0.4, "low": 0.35, "high": 0.45, "unit": "value"}
    report["evaluation"] |= {"labels": [], "residuals": {"mean": {}}, "metrics": [{**error, "better": "lower"}]}
    report["data"]["splits"][0]["classes"] = {}
    report["config"]["training"]["best_metric"] = "mae"
    errors = [(10, 0.05, 0.045, 0.6), (20, 0.04, 0.03, 0.45), (30, 0.0395, 0.025, 0.4)]
    report["training"]["evaluations"] = [
        {"step": step, "epoch": step / 10, "loss": loss, "train_loss": train, "mae": mae}
        for step, loss, train, mae in errors
    ]
    return report


def ordered() -> dict[str, Any]:
    return {**healthy(), "evaluation": {**healthy()["evaluation"], "distance": {"classes": []}}}


@pytest.mark.parametrize("make", [several, numbers, ordered])
def test_a_healthy_run_of_each_kind_gets_no_advice(make):
    assert advise(make()) == []


def only(report: dict[str, Any]) -> dict[str, Any]:
    (piece,) = advise(report)
    return piece


def with_losses(report: dict[str, Any], *losses: tuple[float, float], **figures: list[float]) -> dict[str, Any]:
    """Replace the losses (of validation, of train) of each evaluation, and some of their figures."""
    for number, (point_, (loss, train)) in enumerate(zip(report["training"]["evaluations"], losses, strict=True)):
        point_ |= {"loss": loss, "train_loss": train, **{name: row[number] for name, row in figures.items()}}
    return report


def test_the_loss_of_constant_predictions_of_several_classes_is_that_of_their_shares():
    """Shares of 0.45, 0.3 and 0.05 of the rows give 0.499; the logarithm of three classes, 1.099, is far above."""
    piece = only(with_losses(several(), (0.505, 0.5), (0.503, 0.495), (0.5, 0.49)))
    assert piece["id"] == "training.hardly-learnt"
    assert "0.499" in piece["evidence"]
    assert advise(with_losses(several(), (0.42, 0.41), (0.41, 0.4), (0.409, 0.4))) == []
    weighted = with_losses(several(), (0.505, 0.5), (0.503, 0.495), (0.5, 0.49))
    weighted["config"]["loss"] = {"class_weights": "balanced"}
    assert advise(weighted) == []


def test_numbers_that_are_hardly_learnt_are_found():
    piece = only(with_losses(numbers(), (0.505, 0.5), (0.5, 0.49), (0.495, 0.485)))
    assert piece["id"] == "training.hardly-learnt"
    assert "0.500" in piece["evidence"]


def test_an_error_that_rises_is_overfitting_and_one_that_falls_is_not():
    rising = with_losses(numbers(), (0.04, 0.035), (0.06, 0.01), (0.09, 0.001), mae=[0.4, 0.6, 0.8])
    rising["training"]["best_step"] = 10
    assert only(rising)["id"] == "training.overfitting"
    falling = with_losses(numbers(), (0.04, 0.035), (0.06, 0.01), (0.09, 0.001), mae=[0.8, 0.6, 0.4])
    assert advise(falling) == []


def test_a_rise_of_the_error_within_chance_is_no_overfitting():
    report = with_losses(numbers(), (0.04, 0.035), (0.06, 0.01), (0.09, 0.001), mae=[0.4, 0.42, 0.44])
    report["training"]["best_step"] = 10
    assert advise(report) == []  # the half width of 0.05 on 400 rows is 0.071 on 200


def test_an_error_of_one_can_still_improve():
    report = with_losses(numbers(), (0.3, 0.3), (0.2, 0.19), (0.1, 0.09), mae=[1.4, 1.2, 1.0])
    assert only(report)["id"] == "training.still-improving"
    report = with_losses(numbers(), (0.3, 0.3), (0.2, 0.19), (0.1, 0.09), mae=[1.4, 1.2, 0.0])
    assert advise(report) == []


def test_a_class_of_several_that_is_never_predicted_is_named():
    report = several()
    report["evaluation"]["per_class"][2]["predicted"] = 0
    piece = only(report)
    assert piece["id"] == "classes.never-predicted"
    assert "“sport”" in piece["evidence"]
    assert "loss.class_weights=balanced" in piece["command"]


def test_ordered_classes_get_no_weights():
    report = ordered()
    report["evaluation"]["confusion"]["matrix"] = [[370, 0], [30, 0]]
    piece = only(report)
    assert (piece["id"], piece["command"]) == ("classes.never-predicted", None)


def test_rare_classes_of_several_are_not_merged_by_a_key_that_is_refused():
    report = several()
    report["data"]["splits"][0]["classes"] = {"food": 900, "music": 1, "sport": 2}
    piece = only(report)
    assert (piece["id"], piece["command"]) == ("classes.too-few-rows", None)


def test_few_validation_rows_of_numbers_are_told_in_their_unit():
    report = numbers()
    report["data"]["splits"][0]["rows"] = 560
    report["data"]["splits"][1]["rows"] = 40
    piece = only(report)
    assert piece["id"] == "data.few-validation-rows"
    assert "Mean absolute error" in piece["evidence"]
    assert "points" not in piece["evidence"]
