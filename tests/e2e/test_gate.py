"""A gate in a job: two runs on the same rows, exit code 3 where the new one does not pass, and files for the job."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import checkpoints, recomputed
from tests.support.cli import Outcome, toolkit
from tests.support.json_documents import problems


@pytest.fixture(scope="module")
def runs(tiny_distilbert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learnt, and one whose labels were noise."""
    cwd = tmp_path_factory.mktemp("gate")
    for name in ("good", "noise"):
        (cwd / name).mkdir()
        checkpoints.reviews(cwd / name / "test.csv", 300, seed=2)
        checkpoints.reviews(cwd / name / "train.csv", 200, seed=1)
    table = cwd / "noise" / "train.csv"
    head, *lines = table.read_text(encoding="utf-8").splitlines()
    noise = [f"{line.rpartition(',')[0]},{('positive', 'negative')[n // 2 % 2]}" for n, line in enumerate(lines)]
    table.write_text("\n".join([head, *noise, ""]), encoding="utf-8")
    for name in ("good", "noise"):
        settings = ("--epochs", "3", "--learning-rate", "1e-3", "--set", "evaluation.resamples=200")
        command = ("--model", tiny_distilbert, "--data", name, *settings, "--output", f"of-{name}")
        outcome = toolkit("finetune", "sentiment", *command, cwd=cwd)
        assert outcome.code == 0, outcome.text
    shutil.copytree(cwd / "of-good", cwd / "again")
    return cwd


def judged(cwd: Path, old: str, new: str, rules: str) -> tuple[Outcome, dict, dict[str, str | None]]:
    """The outcome, the gate of the report, and of each test of the JUnit file the type of its failure."""
    (cwd / "gate.yaml").write_text(rules, encoding="utf-8")
    shutil.rmtree(cwd / "out", ignore_errors=True)
    options = ("--gate", "gate.yaml", "--junit", "gate.xml", "--output", "out", "--set", "evaluation.resamples=200")
    outcome = toolkit("compare", old, new, *options, cwd=cwd)
    report = json.loads((cwd / "out" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    assert "Worse by" in (cwd / "out" / "report.html").read_text(encoding="utf-8")
    assert "Worse by" in outcome.out
    suite = ElementTree.parse(cwd / "gate.xml").getroot()
    failures = {case.get("classname", ""): next((part.get("type") for part in case), None) for case in suite}
    return outcome, report["gate"], failures


def test_figures_agree_with_other_libraries(runs: Path) -> None:
    for run in ("of-good", "of-noise"):
        names = {name.rpartition(": ")[2] for name in recomputed.check(runs / run)}
        assert {"accuracy", "f1", "matthews", "auroc", "average_precision"} <= names
        assert {"brier", "log_loss", "ece_equal_width", "wilson", "mcnemar"} <= names


def test_same_model_passes(runs: Path) -> None:
    rules = "metrics: {margin: 0.05}\nslices: {margin: 0.2, smallest: 100}\ncalibration: {margin: 0.3}\nsize: {}\n"
    outcome, gate, failures = judged(runs, "of-good", "again", rules)
    assert (outcome.code, gate["passed"]) == (0, True), outcome.text
    assert failures == dict.fromkeys(("gate.metric", "gate.slices", "gate.calibration", "gate.size"))
    assert gate["error_of_rule"] == pytest.approx(0.05 / 3)


def test_worse_model_fails(runs: Path) -> None:
    outcome, gate, failures = judged(runs, "of-good", "of-noise", "metrics: {}\nsize: {}\nlatency: {}\n")
    assert (outcome.code, gate["passed"]) == (3, False), outcome.text
    assert failures == {"gate.metric": "failed", "gate.size": None, "gate.latency": "not measured"}
    assert "--checks cost" in outcome.text.replace("\n", " ")


def test_few_rows_do_not_pass(runs: Path) -> None:
    outcome, gate, failures = judged(runs, "of-good", "again", "metrics: {margin: 0.001}\nlooks: 20\n")
    assert (outcome.code, failures) == (3, {"gate.metric": "not enough rows"}), outcome.text
    assert gate["rules"][0]["items"][0]["rows_needed"] > 300
    assert gate["error_of_rule"] == pytest.approx(0.05 / 20)


def test_wrong_gate_is_refused_before_the_rows_are_read(runs: Path) -> None:
    (runs / "wrong.yaml").write_text("metric: {margin: 0.01}\n", encoding="utf-8")
    wrong = toolkit("compare", "of-good", "again", "--gate", "wrong.yaml", cwd=runs)
    assert (wrong.code, "[config.unknown-key]" in wrong.err, "`metrics`" in wrong.err) == (2, True, True)
    three = toolkit("compare", "of-good", "again", "of-noise", "--gate", "default", cwd=runs)
    assert (three.code, "[compare.gate-models]" in three.err) == (2, True)
    alone = toolkit("compare", "of-good", "again", "--junit", "gate.xml", cwd=runs)
    assert (alone.code, "[config.conflict]" in alone.err) == (2, True)
