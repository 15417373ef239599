"""Attention through the real command line and a real browser: the commands of docs/attention.md."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import long_reviews
from tests.e2e.conftest import Made
from tests.e2e.test_report_browser import CHROMIUM, visit
from tests.support import checkpoints
from tests.support.cli import several, toolkit
from toolkit.commands import prune_heads
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.commands.finetune import calibrate

ROOT = Path(__file__).parents[2]
PICTURES = "runs/pictures"  # commands on it are run in test_image_explain.py
TEXTS = 24
MEASURED, EXPLAINED = 12, 6  # rows, which take less time than the document's numbers
SENTENCE = "I love this product, but the delivery was late"


def rationales(table: Path) -> Path:
    """Add a column with the words that decide a review's label."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    decisive = {*checkpoints.GOOD, *checkpoints.BAD}
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "rationale"])
        for row in rows:
            words = re.findall(r"\w+", row["text"])
            writer.writerow([row["text"], row["label"], " | ".join(word for word in words if word in decisive)])
    return table


def made_with(gallery: Path, wanted: Callable[[dict[str, Any]], bool]) -> Path:
    """Return the one run of the gallery whose configuration is the wanted one."""
    files = (path / "report.json" for path in (gallery / "runs").iterdir() if path.name != "reviews")
    (result,) = (f.parent for f in files if wanted(json.loads(f.read_text(encoding="utf-8"))["config"]))
    return result


def validations(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "validation"]


@pytest.fixture(scope="module")
def gallery(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the document's commands were run."""
    folder = tmp_path_factory.mktemp("gallery")
    checkpoints.reviews(folder / "reviews.csv", TEXTS)
    checkpoints.reviews(folder / "few.csv", EXPLAINED)
    rationales(checkpoints.reviews(folder / "rationales.csv", 40))
    (folder / "runs").mkdir()
    (folder / "runs" / "reviews").symlink_to(made.run)
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "attention.md").read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    # presets of hybrids need checkpoints of a Hub, and run in test_hybrids.py; pictures have a test of their own
    ran = [
        command[1:]
        for command in commands
        if command[0] == "toolkit" and "--preset" not in command and PICTURES not in command
    ]
    assert len(ran) == 9
    for command in ran:  # on fewer rows, which takes less time
        if "--measure" in command:
            command += ["--rows", f"{MEASURED}"]
        elif "--rows" in command:
            command[command.index("--rows") + 1] = "8"
            command[command.index("reviews.csv")] = "few.csv"
    for arguments, outcome in zip(ran, several(ran, folder, made.env), strict=False):
        assert outcome.code == 0, (arguments, outcome.text)
        output = folder / f"{arguments[0]}.txt"
        before = output.read_text(encoding="utf-8") if output.is_file() else ""
        output.write_text(before + outcome.text, encoding="utf-8")
    return folder


def test_attend_traces_a_text_through_a_head(gallery: Path, tmp_path: Path) -> None:
    text = (gallery / "attend.txt").read_text(encoding="utf-8")
    for word in ("Tokens", "word_embeddings", "Q = x W_Q", "S = Q Kᵀ × 0.125", "softmax", "(2, 8, 64)", "(8, 128)"):
        assert word in text
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: the page cannot be opened")
    seen = visit(tmp_path, (gallery / "attend.html").read_text(encoding="utf-8"))
    assert seen.console == []
    assert seen.requests == []
    assert seen.document.count("<button") == 2 * 3  # two layers, each with its mean and two heads: the script ran
    assert "layer 2, head 1</span>" in seen.document


def test_explain_shows_words_and_faithfulness(gallery: Path, tmp_path: Path) -> None:
    result = json.loads((gallery / "explained" / "explanation.json").read_text(encoding="utf-8"))
    (text,) = result["texts"]
    assert text["words"] == SENTENCE.replace(",", " ,").split()
    assert text["special_tokens"] == ["[CLS]", "[SEP]"]
    assert result["trust"]["texts"] == MEASURED
    assert result["command"].startswith("toolkit explain")
    first, *rest = (method["name"] for method in result["methods"])
    assert first == result["trust"]["best"]
    figures = [result["trust"]["methods"][name]["faithfulness"]["value"] for name in rest]
    assert figures == sorted(figures, reverse=True)
    assert len(figures) == 6
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: the page cannot be opened")
    seen = visit(tmp_path, (gallery / "explained" / "explanation.html").read_text(encoding="utf-8"))
    assert seen.console == []
    assert seen.requests == []
    assert result["verdict"]["headline"] in seen.document
    assert seen.document.count("<button") == 2 * 3


def test_default_method_until_measured(gallery: Path) -> None:
    files = sorted((gallery / "runs" / "reviews" / "explanations").glob("*/explanation.json"))
    first, later = (result for file in files if len((result := json.loads(file.read_text("utf-8")))["texts"]) == 1)
    assert [method["name"] for method in first["methods"]] == ["leave-one-out"]
    assert first["trust"] is None
    assert "toolkit explain runs/reviews --measure" in first["verdict"]["headline"]
    assert later["trust"]["texts"] == MEASURED
    assert [method["name"] for method in later["methods"]] == [later["trust"]["best"] or "leave-one-out"]


def test_many_texts_are_explained_at_once(gallery: Path) -> None:
    (folder,) = {path.parent for path in (gallery / "runs" / "reviews" / "explanations").glob("*/text-1.png")}
    result = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    assert len(result["methods"]) == 7
    assert len(result["texts"]) == len(list(folder.glob("text-*.png"))) == EXPLAINED
    assert (folder / f"text-{EXPLAINED}.png").read_bytes().startswith(b"\x89PNG")


def test_sparse_attention_extends_positions(gallery: Path, made: Made) -> None:
    assert "Positions are repeated from 512 to 640." in (gallery / "finetune.txt").read_text(encoding="utf-8")
    run = made_with(gallery, lambda config: config["attention"] == "sliding-window:128")
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    longer = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    assert longer["max_position_embeddings"] == 640
    again = toolkit("evaluate", run, "--fresh", cwd=gallery, env=made.env)
    assert again.code == 0, again.text
    repeated = json.loads((run / "evaluations" / "held-out" / "report.json").read_text(encoding="utf-8"))
    assert repeated["evaluation"]["loss"] == report["evaluation"]["loss"]


def test_attention_supervision_raises_rationale_share(gallery: Path, made: Made) -> None:
    assert "disables packing" in (gallery / "finetune.txt").read_text(encoding="utf-8")
    run = made_with(gallery, lambda config: config["loss"]["attention_supervision"] == 0.5)
    first, *_, last = validations(run)
    assert last["rationale_attention"] > first["rationale_attention"]
    assert first["attention_entropy"] > 0
    again = toolkit("evaluate", run, "--fresh", cwd=gallery, env=made.env)  # rationales are for training alone
    assert again.code == 0, again.text


def test_pruned_model_is_a_run(gallery: Path, made: Made, tmp_path: Path) -> None:
    output = (gallery / "prune-heads.txt").read_text(encoding="utf-8")
    assert "2 of 4 heads are pruned" in output
    run = gallery / "runs" / "pruned"
    result = json.loads((run / "pruning.json").read_text(encoding="utf-8"))
    whole, *_, last = result["curve"]
    assert [point["left_out"] for point in result["curve"]] == [0, 1, 2]
    assert last["cut"]
    assert last["flops"] < whole["flops"]
    assert last["parameters"] == whole["parameters"] - 2 * (4 * 64 * 128 + 3 * 64)
    report, repeated = (
        json.loads((folder / "report.json").read_text(encoding="utf-8"))
        for folder in (run, run / "evaluations" / "held-out")
    )
    assert report["baselines"][0]["name"] == "Before pruning"
    assert report["model"]["origin"] == json.loads((made.run / "report.json").read_text("utf-8"))["model"]["origin"]
    for item in (report, repeated):  # those were the whole model's
        assert not [text for text in item["verdict"]["statements"] if "Loss of the kept weights" in text]
    assert repeated["evaluation"]["metrics"] == report["evaluation"]["metrics"]
    outcome = toolkit(
        "explain", run, "a dull film", "--file", "reviews.csv", "--measure", "--minutes", "0",
        "--output", tmp_path / "why", cwd=gallery, env=made.env,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    assert f"1 of {TEXTS + 1} texts" in outcome.err
    assert "was not measured: that needs two examples, or time for 10" in outcome.err
    why = json.loads((tmp_path / "why" / "explanation.json").read_text(encoding="utf-8"))
    assert [item["text"] for item in why["texts"]] == ["a dull film"]
    assert why["trust"] is None
    refused = toolkit("prune-heads", run / "model", cwd=gallery, env=made.env)
    assert refused.code == 2, refused.text
    assert "[data.not-given]" in refused.err
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: the page cannot be opened")
    seen = visit(tmp_path, (run / "pruning.html").read_text(encoding="utf-8"))
    assert seen.console == []
    assert seen.requests == []


def test_unpruned_model_predicts_before_masking(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is saved of what it said, it is asked again, and before any head is silenced."""
    run = shutil.copytree(made.run, tmp_path / "run")
    (run / "predictions.parquet").unlink()
    order: list[str] = []
    zero, predict_rows = prune_heads.heads.zero, prune_heads.predict_rows

    def zeroed(*arguments: Any) -> None:
        order.append("silenced")
        zero(*arguments)

    def predicted(stored: Any, *arguments: Any) -> Any:
        order.append(f"predicted {stored.folder.relative_to(tmp_path).parts[0]}")
        return predict_rows(stored, *arguments)

    monkeypatch.setattr(prune_heads.heads, "zero", zeroed)
    monkeypatch.setattr(prune_heads, "predict_rows", predicted)
    monkeypatch.setattr(calibrate, "predict_rows", predicted)
    subject = prepare_evaluation(str(run), {}, None, lambda _event: None)
    prune_heads.prune_heads(
        subject, prune_heads.Pruning(40, 0.0, 0.5), str(tmp_path / "pruned"), "prune", lambda _event: None
    )
    # before it, copies for the curve; behind it, the validation rows for its temperature
    assert order[-4:] == ["predicted run", "silenced", "predicted pruned", "predicted pruned"]


def test_explain_errors_are_reported(made: Made) -> None:
    outcome = toolkit("explain", made.run, "good", "--method", "magic", cwd=made.cwd, env=made.env)
    assert outcome.code == 2, outcome.text
    assert "[config.unknown-choice]" in outcome.err
    assert "`magic`" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_sliding_window_reads_whole_reviews(tmp_path: Path) -> None:
    """BERT-tiny on real IMDB reviews of 500 words and more, beyond the 512 tokens that it was pretrained for."""
    long_reviews.write_rows(tmp_path / "data", words=500, train=300, test=60)
    outcome = toolkit(
        "finetune", "sentiment", "--model", checkpoints.TINY, "--data", "data", "--max-length", "2048", "--attention",
        "sliding-window:256", "--epochs", "1", "--output", "run", cwd=tmp_path, timeout=1200,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["training"]["tokens_per_example"] > 600
    assert report["training"]["truncated"] == 0
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["max_position_embeddings"] == 2048
    again = toolkit("evaluate", "run", "--fresh", cwd=tmp_path, timeout=600)
    assert again.code == 0, again.text


@pytest.mark.slow
def test_most_faithful_method_finds_decisive_words(tmp_path: Path) -> None:
    """MiniLM, trained for an epoch on Rotten Tomatoes; minutes."""
    trained = toolkit(
        "finetune", "sentiment", "--model", "minilm", "--epochs", "1", "--output", "run", cwd=tmp_path, timeout=3000
    )
    assert trained.code == 0, trained.text
    outcome = toolkit("explain", "run", SENTENCE, "--measure", "--output", "out", cwd=tmp_path, timeout=3000)
    assert outcome.code == 0, outcome.text
    result = json.loads((tmp_path / "out" / "explanation.json").read_text(encoding="utf-8"))
    assert result["trust"]["best"] is not None
    text, best = result["texts"][0], result["trust"]["best"]
    scores = dict(zip(text["words"], text["scores"][best], strict=True))
    top = sorted(scores, key=lambda word: -abs(scores[word]))[:3]
    assert {"love", "late"} <= set(top)
