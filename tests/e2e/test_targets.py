"""Several classes a row, ordered classes and numbers, for texts and pictures: every command works on each kind."""

import ast
import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support import recomputed
from tests.support.cards import card_errors
from tests.support.checkpoints import TINY
from tests.support.cli import Outcome, environment, python, several
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import post, serving
from toolkit.commands.publish import push
from toolkit.hub.destinations import Destination
from toolkit.report.document.schema import REPORT, faults
from toolkit.report.pages import usage

WORDS = {"food": "bread soup rice", "sport": "ball goal race", "music": "song drum choir"}
GRADES = {1: "awful broken useless", 2: "poor weak dull", 3: "plain usual fair", 4: "good nice solid", 5: "superb best"}
ROWS = 160
COMMANDS = 13


@dataclass(frozen=True)
class Kind:
    """A kind of target with its table and what its reports hold.

    Attributes:
        row: (source of chance) → text and label.
        label: Name of the column.
        metrics: Names of the metrics, in order.
        typed: A text of the kind.
        facts: What `predict` prints of it.
        sections: Keys that the report's evaluation has beside those of every kind.
        use: How the model card says what it does.
    """

    row: Callable[[random.Random], tuple[str, str]]
    label: str
    metrics: tuple[str, ...]
    typed: str
    facts: tuple[str, ...]
    sections: tuple[str, ...]
    use: str


def _topics(chance: random.Random) -> tuple[str, str]:
    topics = [name for name in WORDS if chance.random() < 0.5]
    words = [chance.choice(WORDS[name].split()) for name in topics for _ in range(3)]
    return " ".join(["note", *words]), "|".join(topics)


def _grade(chance: random.Random) -> tuple[str, str]:
    grade = chance.randint(1, 5)
    return " ".join(chance.choice(GRADES[grade].split()) for _ in range(4)), str(grade)


def _price(chance: random.Random) -> tuple[str, str]:
    grade = chance.randint(1, 5)
    return _grade_text(grade, chance), f"{100_000 * grade + chance.gauss(0, 5_000):.2f}"


def _grade_text(grade: int, chance: random.Random) -> str:
    return " ".join(chance.choice(GRADES[grade].split()) for _ in range(4))


KINDS = {
    "classes": Kind(
        _topics,
        "tags",
        ("micro_f1", "macro_f1", "samples_f1", "exact_match", "mean_average_precision", "ranking_loss"),
        "note bread soup rice",
        ("note bread soup rice",),
        ("per_class", "classes_per_row", "confused", "calibration", "label_errors", "slices"),
        "any number of 3 labels",
    ),
    "stars": Kind(
        _grade,
        "stars",
        ("quadratic_kappa", "ordinal_mae", "within_one", "accuracy", "f1"),
        "superb best",
        ("%",),
        ("per_class", "confusion", "distance", "calibration", "label_errors", "slices"),
        "one of 5 ordered labels",
    ),
    "number": Kind(
        _price,
        "price",
        ("mae", "rmse", "r2", "pearson", "spearman"),
        "superb best",
        ("90 %: ",),
        ("residuals", "errors"),
        "Predict a number for a text",
    ),
}


@dataclass(frozen=True)
class Home:
    """A folder with a table, a run, and the outcomes of commands by name."""

    path: Path
    kind: str
    outcomes: dict[str, Outcome]

    @property
    def report(self) -> dict:
        return json.loads((self.path / "run" / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module", params=list(KINDS))
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hub: LocalHub) -> Home:
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    chance = random.Random(0)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", kind.label])
        for number in range(ROWS):
            text, label = kind.row(chance)
            writer.writerow([f"{text} {number}", label])
    (folder / "new.csv").write_text(f"text\n{kind.typed}\nanother text\n\n", encoding="utf-8")
    column = ("--label-column", kind.label)
    commands: dict[str, list[str | Path]] = {
        "inspect": ["inspect", "rows.csv", "--recipe", "text", "--model", TINY, *column],
        "finetune": ["finetune", "text", "--model", TINY, "--data", "rows.csv", "--output", "run", *column],
        "typed": ["predict", "run", kind.typed],
        "table": ["predict", "run", "--input", "new.csv", "--output", "out.csv"],
        "lines": ["predict", "run", "--input", "new.csv", "--output", "out.jsonl", "--all-scores"],
        "evaluate": ["evaluate", "run", "--fresh"],
        "elsewhere": ["evaluate", "run", "--data", "rows.csv", "--output", "elsewhere", "--checks", "robustness,bias"],
        "explain": ["explain", "run", kind.typed, "--output", "explained"],
        "other": ["finetune", "text", "--model", TINY, "--data", "rows.csv", "--output", "other", *column],
        "compare": ["compare", "run", "other", "--output", "compared"],
        "export": ["export", "run", "--to", "onnx"],
        "push": ["push", "run", f"acme/{request.param}"],
        "from hub": ["predict", f"acme/{request.param}", kind.typed],
    }
    commands["finetune"] += ["--epochs", "2"]
    commands["other"] += ["--epochs", "1", "--set", "training.linear_probe=false"]
    env = hub.environment(folder / "hf", hub.token)
    outcomes = dict(zip(commands, several(list(commands.values()), folder, env=env), strict=False))
    return Home(folder, request.param, outcomes)


def test_every_command_ends_well(home: Home) -> None:
    failed = [f"{name}: {outcome.text}" for name, outcome in home.outcomes.items() if outcome.code]
    assert not failed, failed
    assert len(home.outcomes) == COMMANDS


def test_the_kind_is_inferred_and_stored(home: Home) -> None:
    card = json.loads((home.path / "run" / "model" / "toolkit.json").read_text(encoding="utf-8"))
    assert card["data"]["target"] == home.kind
    assert home.report["config"]["data"]["target"] == home.kind


def test_the_report_has_the_metrics_of_the_kind(home: Home) -> None:
    report = home.report
    assert problems("report.json", report) == []
    names = [metric["name"] for metric in report["evaluation"]["metrics"]]
    assert names == [name for name in KINDS[home.kind].metrics if name in names]
    assert len(names) >= 4
    for metric in report["evaluation"]["metrics"]:
        if metric["low"] is None:  # resamples of a perfect result do not vary
            assert metric["value"] == (0 if metric.get("better") == "lower" else 1), metric
        else:
            assert metric["low"] <= metric["value"] <= metric["high"], metric
    assert len(report["baselines"]) >= 3
    assert all(baseline["difference"] for baseline in report["baselines"])


def test_documentation_has_the_figures_of_the_files(home: Home) -> None:
    assert documented(home.path / "run", output=home.path / "documents")["counts"]["from the run"] >= 18


def test_figures_agree_with_other_libraries(home: Home) -> None:
    names = {name.rpartition(": ")[2] for name in recomputed.check(home.path / "run")}
    missing = {"within_one"} if home.kind == "stars" else set()
    assert set(KINDS[home.kind].metrics) - missing <= names


def test_it_learns(home: Home) -> None:
    values = {metric["name"]: metric["value"] for metric in home.report["evaluation"]["metrics"]}
    least = {"classes": ("micro_f1", 0.7), "stars": ("quadratic_kappa", 0.5), "number": ("r2", 0.5)}
    name, value = least[home.kind]
    assert values[name] > value, values


def test_an_evaluation_gives_the_figures_of_the_run(home: Home) -> None:
    again = json.loads(next((home.path / "run" / "evaluations").glob("*/report.json")).read_text(encoding="utf-8"))
    assert again["evaluation"]["metrics"] == home.report["evaluation"]["metrics"]


def test_typed_texts_are_answered(home: Home) -> None:
    for fact in KINDS[home.kind].facts:
        assert fact in home.outcomes["typed"].text


def test_a_pushed_model_answers_like_the_run(home: Home) -> None:
    assert home.outcomes["from hub"].out == home.outcomes["typed"].out


def test_the_service_answers_like_predict(home: Home) -> None:
    (line, *_) = (home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    expected = json.loads(line)
    with serving("serve", "run", cwd=home.path) as address:
        _, answer = post(f"{address}/predict", {"inputs": [KINDS[home.kind].typed]})
        _, explained = post(f"{address}/explain", {"input": KINDS[home.kind].typed})
    (served,) = answer["predictions"]
    if home.kind == "number":
        assert served["prediction"] == pytest.approx(expected["prediction"], rel=1e-3)
        assert served["columns"]["low"] == pytest.approx(expected["low"], rel=1e-3)
    else:
        assert served["prediction"] == expected["prediction"]
    assert len(explained["scores"]) == len(explained["words"])


def test_tables_have_a_prediction_for_each_row(home: Home) -> None:
    lines = [json.loads(line) for line in (home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    first = lines[0]["prediction"]
    if home.kind == "classes":
        assert isinstance(first, list)
        assert {"score: food", "score: music", "score: sport"} <= lines[0].keys()
    elif home.kind == "stars":
        assert first in "12345"
    else:
        assert lines[0]["low"] < first < lines[0]["high"]
        assert first == pytest.approx(500_000, rel=0.3)


def test_explanations_are_of_each_predicted_class_or_of_the_number(home: Home) -> None:
    explained = json.loads((home.path / "explained" / "explanation.json").read_text(encoding="utf-8"))
    predicted = json.loads((home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])["prediction"]
    if home.kind == "number":
        (text,) = explained["texts"]
        assert text["value"] == pytest.approx(predicted, rel=1e-3)
        assert max(map(abs, text["scores"]["leave-one-out"])) > 1000  # in the units of the data
    else:
        names = predicted if isinstance(predicted, list) else [predicted]
        assert {text["prediction"] for text in explained["texts"]} == set(names)
        assert all(text["predicted"] for text in explained["texts"])
    assert explained["of_numbers"] is (home.kind == "number")


def test_the_program_of_the_export_predicts_like_the_toolkit(home: Home) -> None:
    program = [sys.executable, str(home.path / "run" / "exports" / "onnx" / "run.py"), KINDS[home.kind].typed]
    printed = subprocess.run(program, env=environment({}), capture_output=True, text=True, check=True).stdout
    columns = printed.rstrip("\n").split("\t")
    expected = json.loads((home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    if home.kind == "number":
        wanted = [expected[name] for name in ("prediction", "low", "high")]
        assert [float(column) for column in columns[:3]] == pytest.approx(wanted, rel=1e-3)
    elif home.kind == "classes":
        assert json.loads(columns[0]) == expected["prediction"]
        assert json.loads(columns[1]) == pytest.approx(expected["scores"], abs=1e-4)
    else:
        assert columns[0] == expected["prediction"]
        assert float(columns[1]) == pytest.approx(expected["score"], abs=1e-4)
    assert columns[-1] == KINDS[home.kind].typed


def test_robustness_and_bias_are_of_the_kind(home: Home) -> None:
    report = json.loads((home.path / "elsewhere" / "report.json").read_text(encoding="utf-8"))
    evaluation = report["evaluation"]
    assert faults(REPORT["evaluation"], evaluation) == []
    assert len(report["baselines"]) == 1
    metric = {"classes": "Micro F1", "stars": None, "number": "Mean absolute error"}[home.kind]
    assert evaluation["robustness"].get("metric") == metric
    changed = [change for change in evaluation["robustness"]["invariance"] if change["changed"]]
    assert len(changed) >= 4
    assert all(("moved" in change) is (home.kind == "number") for change in changed)
    gaps = [gap for study in evaluation["bias"]["studies"] for gap in study["gaps"]]
    labels = {"classes": {"food", "sport", "music"}, "stars": set(), "number": {None}}[home.kind]
    assert {gap["label"] for gap in gaps} == labels


def test_predictions_of_the_file_on_disk_are_in_units_of_the_data(home: Home) -> None:
    if home.kind != "number":
        pytest.skip("the others have no unit")
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(home.path / "run" / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(home.path / "run" / "model")
    with torch.no_grad():
        value = float(model(**tokenizer("superb best", return_tensors="pt")).logits[0, 0])
    (line, *_) = (home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert value == pytest.approx(json.loads(line)["prediction"], rel=1e-3)
    assert np.isfinite(value)


def test_the_report_has_the_sections_of_the_kind(home: Home) -> None:
    kind, evaluation = KINDS[home.kind], home.report["evaluation"]
    assert set(kind.sections) <= evaluation.keys()
    for other in KINDS.values():
        assert not (set(other.sections) - set(kind.sections) - {"errors"}) & evaluation.keys()
    page = (home.path / "run" / "report.html").read_text(encoding="utf-8")
    assert home.report["title"] in page
    assert home.report["title"] != f"Text with {TINY}"


def test_a_comparison_has_the_metrics_of_the_kind_and_their_direction(home: Home) -> None:
    report = json.loads((home.path / "compared" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    ours, _ = report["comparison"]["models"]
    assert ours["metrics"] == home.report["evaluation"]["metrics"]
    lower = {metric["name"] for metric in ours["metrics"] if metric.get("better") == "lower"}
    assert lower == {"mae", "rmse", "ordinal_mae", "ranking_loss"} & {metric["name"] for metric in ours["metrics"]}
    agreement = report["comparison"]["pairs"][0]["agreement"]
    assert agreement is None if home.kind == "number" else 0 <= agreement <= 1


def test_the_code_of_the_model_card_predicts_like_the_toolkit(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plan = push.pack(str(home.path / "run"), Destination("acme/mine"), "mit", lambda _event: None, dry=True)
    content = plan.files["README.md"]
    assert isinstance(content, bytes)
    card = content.decode()
    assert KINDS[home.kind].use in card
    assert card_errors(card) == []
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    program = code.replace("acme/mine", str(home.path / "run" / "model")).replace(usage.TEXT, KINDS[home.kind].typed)
    done = python(program, cwd=home.path)
    (line, *_) = (home.path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    expected, printed = json.loads(line), done.out.splitlines()
    if home.kind == "classes":
        assert sorted(ast.literal_eval(printed[0])) == sorted(expected["prediction"]), done.err
    elif home.kind == "stars":
        assert printed == [expected["prediction"]], done.err
    else:
        low, high = map(float, printed[1].split())
        assert float(printed[0]) == pytest.approx(expected["prediction"], rel=1e-3)
        assert (low, high) == pytest.approx((expected["low"], expected["high"]), rel=1e-3)
