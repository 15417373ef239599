"""Faults that were planted in data are found by name in the report of the real command."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints
from tests.support.browser import check_page
from tests.support.cli import toolkit
from tests.support.json_documents import problems
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.commands.finetune.calibrate import calibrate
from toolkit.runs import checksums

MISLABELLED, LEAKED = 11, 30  # lines of test.csv
WOMEN, MEN = ("woman", "mother", "daughter", "sister", "wife"), ("man", "father", "son", "brother", "husband")


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture(scope="module")
def planted(tiny_distilbert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose test rows hold one wrong label and one leaked row."""
    cwd = tmp_path_factory.mktemp("planted")
    data = cwd / "data"
    data.mkdir()
    train = rows_of(checkpoints.reviews(data / "train.csv", 240, seed=1))
    path = checkpoints.reviews(data / "test.csv", 80, seed=2)
    test = [[*row, ("x", "<script>y")[number % 2]] for number, row in enumerate(rows_of(path))]
    test[0][2] = "side"
    wrong = test[MISLABELLED - 1]
    wrong[1] = "negative" if wrong[1] == "positive" else "positive"
    test[LEAKED - 1][:2] = [train[7][0].replace(" times", " more times"), train[7][1]]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(test)
    command = ("--model", tiny_distilbert, "--data", "data", "--epochs", "4", "--learning-rate", "1e-3")
    outcome = toolkit("finetune", "sentiment", *command, "--output", "run", cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_planted_label_error_and_leak_are_found(planted: Path) -> None:
    result = report(planted / "run")
    assert problems("report.json", result) == []
    doubted = [(example["file"], example["row"]) for example in result["evaluation"]["label_errors"]["examples"]]
    assert ("test.csv", MISLABELLED) in doubted[:3]
    pairs = [
        [(pair[part]["file"], pair[part]["row"]) for part in ("test", "train")]
        for pair in result["evaluation"]["near_duplicates"]["pairs"]
    ]
    assert [("test.csv", LEAKED), ("train.csv", 8)] in pairs
    assert any("near-duplicates" in warning for warning in result["verdict"]["warnings"])
    page = (planted / "run" / "report.html").read_text(encoding="utf-8")
    assert "Labels to check" in page
    assert 'id="near-duplicates"' in page
    assert f"test.csv:{MISLABELLED}" in page
    assert f"test.csv:{LEAKED}" in page
    card = json.loads((planted / "run" / "model" / "toolkit.json").read_text(encoding="utf-8"))
    assert card["calibration"]["fitted_on"] == "validation"
    # there is none where every validation row is right
    assert card["calibration"].get("temperature") == result["evaluation"]["calibration"]["temperature"]


def test_calibration_reuses_the_validation_predictions_of_the_stored_weights(planted: Path) -> None:
    """The card says what a new prediction of the validation rows by the stored model gives."""
    subject = prepare_evaluation(str(planted / "run"), {}, None, lambda _event: None)
    stored = subject.stored(lambda _event: None)
    rows = checksums.read_rows(planted / "run" / "data" / "validation.parquet")
    assert json.loads(json.dumps(calibrate(replace(stored, calibrated={}), rows))) == stored.calibration


def test_promises_are_recomputed_from_stored_predictions(planted: Path) -> None:
    """Of the run's own rows, and of others, the limits are those of the same validation rows."""
    command = ("evaluate", "run", "--data", "data/train.csv", "--set", "evaluation.resamples=200")
    outcome = toolkit(*command, "--output", "elsewhere", cwd=planted)
    assert outcome.code == 0, outcome.text
    validation = json.loads((planted / "run" / "model" / "toolkit.json").read_text())["calibration"]["validation_rows"]
    limits = []
    for folder in (planted / "run", planted / "elsewhere"):
        promised = report(folder)["evaluation"]["promises"]
        rows = pq.read_table(folder / "predictions.parquet")
        table, true = np.array(rows["probabilities"].to_pylist()), np.array(rows["label"].to_pylist())
        wrong = table.argmax(axis=1) != true
        assert promised["validation_rows"] == len(validation["score"])
        assert promised["curve"][-1]["error"]["value"] == pytest.approx(wrong.mean())
        assert sum(row["limit"] is not None for row in promised["sets"]) >= 1
        for row in promised["sets"]:
            if row["limit"] is not None:
                inside = table >= row["limit"] - 1e-9
                inside[np.arange(len(table)), table.argmax(axis=1)] = True
                assert row["covered"]["value"] == pytest.approx(inside[np.arange(len(true)), true].mean())
                assert row["size"]["value"] == pytest.approx(inside.sum(axis=1).mean())
        for row in promised["answers"]:
            if row["threshold"] is not None:
                answered = np.round(table.max(axis=1), 6) >= row["threshold"]
                assert row["answered"]["value"] == pytest.approx(answered.mean())
                assert row["error"]["value"] == pytest.approx(wrong[answered].mean())
        limits.append([row["limit"] for row in promised["sets"]])
    assert limits[0] == limits[1]
    assert 'id="promises"' in (planted / "elsewhere" / "report.html").read_text(encoding="utf-8")


def untimed(folder: Path) -> str:
    """Return the bytes of a report, but for when it was made, by which command, after how many others, and how long
    forward passes took.
    """
    results = {**report(folder), "created": "", "command": ""}
    looks = results["evaluation"].pop("looks")
    warnings = results["verdict"]["warnings"]
    counted = [warning for warning in warnings if f"held-out rows {looks} times" in warning]
    assert len(counted) == (looks > 2)
    results["verdict"]["warnings"] = [warning for warning in warnings if warning not in counted]
    for timing in (results["evaluation"].get("cost") or {}).get("timings", ()):
        for measured in timing.keys() - {"batch_size", "length"}:
            timing[measured] = None
    return json.dumps(results)


@pytest.mark.parametrize(
    "checks", [(), ("--checks", "all", "--set", "evaluation.resamples=200")], ids=["rows", "checks"]
)
def test_repeated_evaluation_gives_same_bytes(planted: Path, checks: tuple[str, ...]) -> None:
    texts = []
    for arguments in ((), ("--fresh",)):
        outcome = toolkit("evaluate", "run", *checks, *arguments, cwd=planted, fresh=bool(arguments))  # hashes differ
        assert outcome.code == 0, outcome.text
        texts.append(untimed(planted / "run" / "evaluations" / "held-out"))
    assert texts[0] == texts[1]
    if not checks:
        first = report(planted / "run")["evaluation"]
        assert first.pop("looks") == 1
        assert json.loads(texts[0])["evaluation"] == first


def test_a_planted_miscalibrated_model_is_found_by_name(planted: Path) -> None:
    """The same model with logits twenty times as large says the same, and is wrong as surely as it is right."""
    from safetensors.torch import load_file, save_file

    model = shutil.copytree(planted / "run" / "model", planted / "shouting")
    weights = load_file(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = 20 * weights[name]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    lines = rows_of(checkpoints.reviews(planted / "noisy.csv", 120, seed=5))
    other = {"positive": "negative", "negative": "positive"}
    for line in lines[1::4]:  # one label in four is wrong, so confidence is limited
        line[1] = other[line[1]]
    with (planted / "noisy.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(lines)
    outcome = toolkit("evaluate", "shouting", "--data", "noisy.csv", "--output", "shouted", cwd=planted)
    assert outcome.code == 0, outcome.text
    result = report(planted / "shouted")
    (statement,) = [text for text in result["verdict"]["statements"] if text.startswith("Overconfident")]
    calibration = result["evaluation"]["calibration"]
    assert calibration["ece"]["low"] > 0.15
    assert calibration["p"] < 0.01
    assert statement in " ".join(outcome.out.split())
    assert "Overconfident" in (planted / "shouted" / "report.html").read_text(encoding="utf-8")


def test_a_planted_biased_model_is_found_by_name(tiny_distilbert: Path, tmp_path: Path) -> None:
    """It has learnt from reviews that are bad whenever a woman is spoken of."""
    with (tmp_path / "biased.csv").open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["text", "label"])
        for number in range(240):
            people, label = ((WOMEN, "negative"), (MEN, "positive"))[number % 2]
            noun, place = checkpoints.NOUNS[number // 2 % 10], ("town", "school", "bank")[number // 20 % 3]
            lines.writerow([f"a {people[number // 2 % 5]} from the {place} made film {number} of this {noun}", label])
    command = ("--model", tiny_distilbert, "--data", "biased.csv", "--epochs", "4", "--learning-rate", "1e-3")
    outcome = toolkit("finetune", "sentiment", *command, "--output", "run", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    settings = ("--checks", "bias", "--set", "evaluation.resamples=200")
    outcome = toolkit("evaluate", "run", *settings, "--output", "judged", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    result = report(tmp_path / "judged")
    assert problems("report.json", result) == []
    (statement,) = [text for text in result["verdict"]["statements"] if text.startswith("Depends on gender")]
    assert "more negative with “female” than with “male”" in statement or "more positive with “male”" in statement
    swapped = [study for study in result["evaluation"]["bias"]["studies"] if study["category"] == "gender"]
    assert {study["source"] for study in swapped} == {"data", "sentences"}
    assert all(study["flipped"]["low"] > 0.5 for study in swapped if study["source"] == "data")
    assert all(failure["groups"] for study in swapped for failure in study["failures"])
    page = (tmp_path / "judged" / "report.html").read_text(encoding="utf-8")
    assert "Depends on gender" in page
    assert "Not tested:" in page


def test_rows_of_a_patient_are_resampled_together(tiny_distilbert: Path, tmp_path: Path) -> None:
    """The groups are those of the rows, of stored predictions, and of other rows that the model is evaluated on."""
    for name, size in (("train", 240), ("other", 60)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            lines = csv.writer(stream)
            lines.writerow(["text", "label", "patient"])
            for number in range(size):
                mood, label = (("good", "positive"), ("bad", "negative"))[number % 2]
                lines.writerow([f"{name} film {number} is {mood}", label, f"p{number // 6}"])
    settings = ("--set", "evaluation.resamples=200")
    command = (
        "--model",
        tiny_distilbert,
        "--data",
        "train.csv",
        "--group-column",
        "patient",
        "--epochs",
        "1",
        *settings,
    )
    outcome = toolkit("finetune", "sentiment", *command, "--output", "run", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    result = report(tmp_path / "run")
    assert problems("report.json", result) == []
    grouping = result["evaluation"]["grouping"]
    assert (grouping["column"], grouping["largest"], grouping["metric"]) == ("patient", 6, "Accuracy")
    assert grouping["groups"] == result["evaluation"]["rows"] / 6
    assert "groups by patient" in result["verdict"]["headline"]
    for name, call in (("own", ()), ("new", ("--data", "other.csv"))):
        outcome = toolkit("evaluate", "run", *call, *settings, "--output", name, cwd=tmp_path)
        assert outcome.code == 0, outcome.text
    assert report(tmp_path / "own")["evaluation"]["metrics"] == result["evaluation"]["metrics"]
    assert report(tmp_path / "own")["evaluation"]["grouping"] == grouping
    assert report(tmp_path / "new")["evaluation"]["grouping"]["groups"] == 10
    outcome = toolkit("compare", "run", "own", "--output", "compared", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert report(tmp_path / "compared")["comparison"]["groups"] == grouping["groups"]
    (tmp_path / "bare.csv").write_text("text,label\nthis is good,positive\nthat is bad,negative\n", encoding="utf-8")
    outcome = toolkit("evaluate", "run", "--data", "bare.csv", *settings, "--output", "bare", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    bare = report(tmp_path / "bare")
    assert "grouping" not in bare["evaluation"]
    assert [warning for warning in bare["verdict"]["warnings"] if "patient" in warning]
    named = ("--set", "data.group_column=patient")
    outcome = toolkit("evaluate", "run", "--data", "bare.csv", *named, cwd=tmp_path)
    assert (outcome.code, "patient" in outcome.text) == (2, True)


def test_every_check_reports_what_it_tested(planted: Path) -> None:
    pytest.importorskip("fairlearn")
    settings = ("--set", "evaluation.group_column=side", "--set", "evaluation.resamples=200")
    outcome = toolkit("evaluate", "run", "--checks", "all", *settings, cwd=planted)
    assert outcome.code == 0, outcome.text
    result = report(planted / "run" / "evaluations" / "held-out")
    assert problems("report.json", result) == []
    evaluation = result["evaluation"]
    assert {item["name"] for item in evaluation["robustness"]["invariance"]} >= {"typos", "upper_case", "contractions"}
    assert evaluation["robustness"]["not_tested"] == ""
    assert {study["category"] for study in evaluation["bias"]["studies"]} == {
        "gender",
        "names",
        "nationality",
        "religion",
    }
    assert {group["name"] for group in evaluation["fairness"]["groups"]} == {"x", "<script>y"}
    assert evaluation["cost"]["timings"]
    page = (planted / "run" / "evaluations" / "held-out" / "report.html").read_text(encoding="utf-8")
    for heading in ("Robustness", "Bias: people mentioned in the text", "Cost of a prediction"):
        assert heading in page
    check_page(planted / "run" / "evaluations" / "held-out" / "report.html")
    wrong = toolkit("evaluate", "run", "--checks", "robustnes", cwd=planted)
    assert wrong.code == 2
    assert "robustness" in wrong.err


@pytest.mark.slow
def test_seeds_are_summarized(planted: Path, tiny_distilbert: Path) -> None:
    outcome = toolkit(
        "finetune", "sentiment", "--model", tiny_distilbert, "--data", "data", "--epochs", "0.5", "--seeds", "2",
        "--output", "seeds", cwd=planted,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    result = report(planted / "seeds")
    assert problems("report.json", result) == []
    assert [run["seed"] for run in result["seeds"]["runs"]] == [7, 8]
    assert "on average over 2 seeds" in outcome.out
    weights = [planted / "seeds" / f"seed-{seed}" / "model" / "model.safetensors" for seed in (7, 8)]
    assert checkpoints.digest(weights[0]) != checkpoints.digest(weights[1])
    compared = toolkit("compare", "seeds/seed-7", "seeds/seed-8", cwd=planted)
    assert compared.code == 0, compared.text


def test_wrong_group_column_fails_before_training(tiny_distilbert: Path, tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 60)
    call = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", "reviews.csv", "--output", "run")
    outcome = toolkit(*call, "--set", "evaluation.group_column=sauce", cwd=tmp_path)
    assert outcome.code == 2, outcome.text
    assert "[data.column-missing]" in outcome.err
    assert "`sauce`" in outcome.err
    assert not (tmp_path / "run").exists()


def test_swapped_classes_and_duplicates_are_warned_of(made: Made, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60, seed=9)
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*lines, *[lines[1]] * 30]) + "\n", encoding="utf-8")
    exchanged = "data.label_map={negative: pos, positive: neg}"
    outcome = toolkit("evaluate", made.run, "--data", table, "--set", exchanged, "--output", "out", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    warnings = " ".join(report["verdict"]["warnings"])
    assert "duplicates" in warnings
    assert "labels may be swapped" in warnings
    assert [item["name"] for item in report["baselines"]] == ["Most common class of these rows"]
    assert "training" not in report["config"]  # which this evaluation has not
    again = toolkit("evaluate", made.run, "--output", "own", cwd=tmp_path)
    assert again.code == 0, again.text
    own = json.loads((tmp_path / "own" / "report.json").read_text(encoding="utf-8"))
    first = json.loads((made.run / "report.json").read_text(encoding="utf-8"))
    assert own["config"]["training"] == first["config"]["training"]
    assert own["config"]["data"] == first["config"]["data"]


def test_unsuitable_best_metric_is_rejected(tiny_distilbert: Path, tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 60)
    call = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", "reviews.csv", "--dry-run")
    outcome = toolkit(*call, "--set", "training.best_metric=top_5", cwd=tmp_path)
    assert outcome.code == 2, outcome.text
    assert "[config.not-for-task]" in outcome.err
    assert "2 classes" in outcome.err


def test_changed_training_rows_are_recognised_in_other_data(planted: Path) -> None:
    train = rows_of(planted / "data" / "train.csv")[1:21]
    with (planted / "changed.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text", "label"], *((f"{text.upper()}!", label) for text, label in train)])
    outcome = toolkit("evaluate", "run", "--data", "changed.csv", "--output", "changed", cwd=planted)
    assert outcome.code == 0, outcome.text
    result = report(planted / "changed")
    assert problems("report.json", result) == []
    found = result["evaluation"]["near_duplicates"]["found"]
    assert 15 <= found <= 20  # some were drawn as validation rows
    assert {pair["train"]["file"] for pair in result["evaluation"]["near_duplicates"]["pairs"]} == {"train.csv"}
    assert any(f"{found} are near-duplicates of training rows" in warning for warning in result["verdict"]["warnings"])
