"""A model of pairs of texts: every command takes both texts, and every check is of both."""

import csv
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import toolkit as package
from tests.support.browser import CHROMIUM, browser, check_page
from tests.support.checkpoints import TINY
from tests.support.cli import Outcome, several, toolkit
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import post, serving

WHO = ("the man", "the woman", "she", "he", "the farmer", "a child")
DOES = {"sleeps": "is awake", "eats": "is hungry", "sings": "is silent", "runs": "stands still"}
PLACES = ("in the garden", "at home", "in the city")
FIRST, SECOND = "The man sleeps at home.", "The man is awake."


def entailment(path: Path, rows: int) -> Path:
    """Write pairs with what follows from the first text, what contradicts it, and what has nothing to do with it."""
    chance = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["premise", "hypothesis", "label", "qid"])
        for number in range(rows):
            who, does, where = chance.choice(WHO), chance.choice(list(DOES)), chance.choice(PLACES)
            label = ("entailment", "contradiction", "neutral")[number % 3]
            second = {"entailment": does, "contradiction": DOES[does], "neutral": "likes music"}[label]
            writer.writerow([f"{who} {does} {where} on day {number}.", f"{who} {second}.", label, f"q{number // 3}"])
    return path


@dataclass(frozen=True)
class Home:
    """A folder with a run, and the outcomes of commands by name."""

    path: Path
    outcomes: dict[str, Outcome]

    def report(self, folder: str = "run") -> dict[str, Any]:
        found = next(iter(sorted(self.path.glob(f"{folder}/report.json"))))
        result: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return result


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, hub: LocalHub) -> Home:
    folder = tmp_path_factory.mktemp("pairs")
    entailment(folder / "pairs.csv", 180)
    (folder / "new.csv").write_text(
        f'premise,hypothesis\n"{FIRST}","{SECOND}"\n"{FIRST}",\n"{"long " * 300}","{SECOND}"\n', encoding="utf-8"
    )
    (folder / "half.csv").write_text(f"premise,label\n{FIRST},neutral\n", encoding="utf-8")
    (folder / "lines.txt").write_text(f"{FIRST}\n", encoding="utf-8")
    train = ["finetune", "text", "--data", "pairs.csv", "--model", TINY, "--output", "run", "--epochs", "4"]
    ranked = ["--set", "evaluation.query_column=qid", "--set", "evaluation.positive_class=entailment"]
    commands: dict[str, list[str | Path]] = {
        "finetune": [*train, *ranked],
        "evaluate": ["evaluate", "run", "--checks", "robustness,bias,explanations,faithfulness"],
        "typed": ["predict", "run", FIRST, SECOND],
        "table": ["predict", "run", "--input", "new.csv", "--output", "out.csv"],
        "explain": ["explain", "run", FIRST, SECOND, "--method", "leave-one-out", "--output", "explained"],
        "elsewhere": ["evaluate", "run", "--data", "pairs.csv", "--output", "elsewhere"],
        "other": [*train[:-3], "other", "--epochs", "1", *ranked],
        "compare": ["compare", "run", "other", "--output", "compared"],
        "export": ["export", "run", "--to", "onnx"],
        "push": ["push", "run", "acme/pairs"],
        "from hub": ["predict", "acme/pairs", FIRST, SECOND],
    }
    env = hub.environment(folder / "hf", hub.token)
    return Home(folder, dict(zip(commands, several(list(commands.values()), folder, env=env), strict=True)))


def test_commands_end_well(home: Home) -> None:
    assert {outcome.code for outcome in home.outcomes.values()} == {0}, home.outcomes
    assert any("text_pair is `hypothesis`" in note for note in home.report()["data"]["notes"])


def test_a_pushed_model_answers_like_the_run(home: Home) -> None:
    assert home.outcomes["from hub"].out == home.outcomes["typed"].out


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "run", FIRST],
        ["predict", "run", "--input", "half.csv", "--output", "no.csv"],
        ["explain", "run", FIRST],
        ["explain", "run", "--file", "lines.txt", "--output", "no"],
        ["evaluate", "run", "--data", "half.csv", "--output", "no"],
    ],
)
def test_one_text_alone_is_refused(home: Home, command: list[str]) -> None:
    refused = toolkit(*command, cwd=home.path)
    assert refused.code == 2, refused.text
    assert "text_pair" in refused.err


def test_every_check_is_of_both_texts(home: Home) -> None:
    report = home.report("run/evaluations/*")
    assert problems("report.json", report) == []
    evaluation = report["evaluation"]
    names = {change["name"] for change in evaluation["robustness"]["invariance"]}
    assert {"lower_case_first", "lower_case_second", "lower_case_both", "suffix_both"} <= names
    assert "suffix_first" not in names
    assert {(study["category"], study["source"]) for study in evaluation["bias"]["studies"]} == {("gender", "data")}
    words = [
        word for example in evaluation["explanations"]["examples"] for listed in example["words"] for word in listed
    ]
    assert {word[-4:] for word in words} == {" (1)", " (2)"}
    assert evaluation["faithfulness"]["examples"] >= 10
    assert all(" ⏎ " in pair["train"]["text"] for pair in evaluation["near_duplicates"]["pairs"])
    assert evaluation["near_duplicates"]["found"] > 0
    check_page(next(iter((home.path / "run" / "evaluations").glob("*/report.html"))))


def test_queries_are_whole_and_ranked(home: Home) -> None:
    report = home.report()
    ranking = report["evaluation"]["ranking"]
    assert {metric["name"] for metric in ranking["metrics"]} == {"ndcg_10", "mrr", "map"}
    assert ranking["rows"] == 3 * ranking["queries"] == report["evaluation"]["rows"]
    assert "Ranking of the candidates" in (home.path / "run" / "report.html").read_text(encoding="utf-8")


def test_predictions_are_the_same_by_every_way(home: Home) -> None:
    with (home.path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [bool(row["problem"]) for row in rows] == [False, True, False]
    assert rows[0]["hypothesis"] == SECOND
    assert "the first text in 1, the second in 0" in " ".join(home.outcomes["table"].err.split())
    model = package.load(home.path / "run", progress=False)
    pair, by_name, alone = model.predict([(FIRST, SECOND), {"text": FIRST, "text_pair": SECOND}, FIRST])
    assert pair.prediction == by_name.prediction == rows[0]["prediction"]
    assert pair.score == pytest.approx(float(rows[0]["score"]), abs=1e-5)
    assert "text_pair" in (alone.problem or "")
    assert home.outcomes["typed"].out.startswith(pair.prediction)
    (typed,) = package.predict(home.path / "run", [(FIRST, SECOND)], progress=False)
    assert (typed.prediction, typed.input) == (pair.prediction, (FIRST, SECOND))
    scores = model.explain((FIRST, SECOND), "leave-one-out")
    content = json.loads((home.path / "explained" / "explanation.json").read_text(encoding="utf-8"))
    assert list(scores.sources) == content["texts"][0]["sources"] == [0] * 6 + [1] * 5


def test_the_export_predicts_as_the_model_does(home: Home) -> None:
    folder = home.path / "run" / "exports" / "onnx"
    facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["rows"] > 0
    assert facts["drift"]["largest"] < 1e-4
    program = [sys.executable, str(folder / "run.py"), FIRST]
    printed = subprocess.run([*program, "--second", SECOND], capture_output=True, text=True, check=True).stdout
    assert home.outcomes["typed"].out.startswith(printed.partition("\t")[0])
    assert subprocess.run(program, capture_output=True).returncode == 2  # the second text is missing


def test_two_models_of_pairs_are_compared_on_the_same_rows(home: Home) -> None:
    compared = json.loads((home.path / "compared" / "report.json").read_text(encoding="utf-8"))["comparison"]
    assert compared["rows"] == home.report()["evaluation"]["rows"]


def test_a_service_needs_both_texts_and_its_page_has_two_boxes(home: Home) -> None:
    with serving("app", home.path / "run", "--no-browser", cwd=home.path) as address:
        both = {"text": FIRST, "text_pair": SECOND}
        code, answer = post(f"{address}/predict", {"inputs": [both, {"text": FIRST}]})
        assert code == 200
        assert answer["predictions"][0]["prediction"] in ("entailment", "neutral", "contradiction")
        assert "text_pair" in answer["predictions"][1]["problem"]
        code, answer = post(f"{address}/explain", {"input": both, "method": "leave-one-out"})
        assert (code, answer["sources"]) == (200, [0] * 6 + [1] * 5)
        if CHROMIUM is None:
            return
        with browser() as page:
            page.open(f"{address}/")
            for number, text in enumerate((FIRST, SECOND)):
                page.evaluate(f"document.querySelectorAll('textarea')[{number}].value = {json.dumps(text)}")
            page.evaluate("document.querySelector('button').click()")
            page.wait("!document.getElementById('reasons').hidden")
            titles = page.evaluate(
                "[...document.querySelectorAll('[data-part=words] .source')].map(e => e.textContent)"
            )
            assert titles == ["Text", "Text pair"]
            assert page.complaints == []
