"""Pictures, from a folder to a model that transformers' own pipeline reads."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support import pictures
from tests.support.browser import CHROMIUM, browser, check_page
from tests.support.cli import Outcome, several, toolkit
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from tests.support.service import serving

SMALL = ("--set", "options.image_size=16", "--set", "training.device=cpu")


@dataclass(frozen=True)
class Made:
    cwd: Path
    run: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run on a folder of pictures of two classes, among them some that are broken."""
    cwd = tmp_path_factory.mktemp("pictures")
    pictures.folder(cwd / "data", 60)
    (cwd / "data" / "dark" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    outcome = toolkit(
        "finetune", "image", "--model", "vit-tiny", "--from-scratch", "--data", "data", "--epochs", "2",
        "--batch-size", "16", "--output", "run", *SMALL, cwd=cwd,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    return Made(cwd, cwd / "run", outcome)


def test_image_run_learns_and_reports(made: Made) -> None:
    report = json.loads((made.run / "report.json").read_text(encoding="utf-8"))
    figures = {figure["name"]: figure["value"] for figure in report["evaluation"]["metrics"]}
    assert figures["accuracy"] > 0.9
    assert "top_5" not in figures
    assert [baseline["name"] for baseline in report["baselines"]] == [
        "Majority class",
        "Logistic regression on small pixels",
    ]
    assert "1 of 121 pictures could not be read and were left out: dark/broken.png" in made.outcome.err
    assert [item["file"] for item in report["data"]["unreadable"]] == ["dark/broken.png"]
    assert report["data"]["counts"]["unreadable"] == 1
    assert report["config"]["loading"]["from_scratch"] is True
    assert "Warning" not in made.outcome.err
    assert "requires torchvision" not in made.outcome.err
    for example in report["evaluation"]["label_errors"]["examples"]:
        assert example["picture"].startswith("data:image/png;base64,")
    assert str(made.cwd) not in (made.run / "report.json").read_text(encoding="utf-8")


def test_documentation_has_the_figures_of_the_files(made: Made) -> None:
    assert documented(made.run, output=made.cwd / "documents")["counts"]["from the run"] >= 18


def test_run_is_evaluated_without_the_picture_folder(made: Made, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    made.run.rename(moved)
    try:
        outcome = toolkit("evaluate", moved, "--fresh", cwd=tmp_path)
    finally:
        moved.rename(made.run)
    assert outcome.code == 0, outcome.text
    again = json.loads((made.run / "evaluations" / "held-out" / "report.json").read_text(encoding="utf-8"))
    first = json.loads((made.run / "report.json").read_text(encoding="utf-8"))
    assert again["evaluation"]["metrics"] == first["evaluation"]["metrics"]
    assert again["data"]["fingerprint"] == first["data"]["fingerprint"]


def test_pipeline_gives_the_same_predictions(made: Made) -> None:
    from PIL import Image
    from transformers import pipeline

    classify = pipeline("image-classification", model=str(made.run / "model"))
    output = pq.read_table(made.run / "predictions.parquet").to_pylist()
    labels = json.loads((made.run / "run.json").read_text(encoding="utf-8"))["labels"]
    for row in output[:6]:
        with Image.open(made.cwd / "data" / row["_file"]) as image:
            theirs = {item["label"]: item["score"] for item in classify(image.convert("RGB"))}
        assert max(theirs, key=theirs.__getitem__) == labels[row["prediction"]]
        for label, chance in zip(labels, row["probabilities"], strict=True):
            assert theirs[label] == pytest.approx(chance, abs=1e-5)


def test_predict_a_folder_and_a_table(made: Made, tmp_path: Path) -> None:
    outcome = toolkit("predict", made.run, "--input", made.cwd / "data", "--output", "out.csv", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 121
    (bad,) = [row for row in rows if row["problem"]]
    assert bad["file"] == "dark/broken.png"
    assert "broken.png` is" in bad["problem"]
    right = [row["file"].startswith(row["prediction"]) for row in rows if row is not bad]
    assert sum(right) / len(right) > 0.9
    table = tmp_path / "some.csv"
    folder = made.cwd / "data"
    table.write_text(f"photo\n{folder}/dark/000.png\nnowhere.png\n{folder}/light/000.png\n", encoding="utf-8")
    outcome = toolkit("predict", made.run, "--input", table, "--output", "some.jsonl", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    texts = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [item["prediction"] for item in texts] == ["dark", None, "light"]


def test_inspect_describes_pictures(made: Made) -> None:
    outcome = toolkit("inspect", "data", "--recipe", "image", cwd=made.cwd)
    assert outcome.code == 0, outcome.text
    assert "shorter side  median 16, smallest 16, largest 16 pixels" in outcome.out
    assert "dark/broken.png" in outcome.err


def test_inspect_draws_a_contact_sheet(made: Made) -> None:
    from PIL import Image

    outcome = toolkit(
        "inspect", "data", "--recipe", "image", "--model", "vit-tiny", "--show", "--set", "options.augment=photos",
        cwd=made.cwd,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    assert "data-contact-sheet.png" in outcome.out
    with Image.open(made.cwd / "data-contact-sheet.png") as sheet:
        assert sheet.width > 800
        assert len(sheet.convert("L").getcolors() or ()) > 50


def test_a_contact_sheet_needs_no_model(made: Made) -> None:
    outcome = toolkit("inspect", "data", "--recipe", "image", "--model", "org/absent", "--show", cwd=made.cwd)
    assert outcome.code == 0, outcome.text
    assert "224 × 224 pixels" in outcome.err


def test_text_options_are_rejected_for_pictures(made: Made) -> None:
    for command in (["inspect", "data", "--show"], ["explain", "run", "a text"], ["attend", "run", "a text"]):
        refused = toolkit(*command, cwd=made.cwd)
        assert refused.code == 2, refused.text
        assert "[internal.unexpected]" not in refused.err


def test_architecture_without_weights_needs_from_scratch(made: Made) -> None:
    outcome = toolkit("finetune", "image", "--model", "vit-tiny", "--data", "data", cwd=made.cwd)
    assert outcome.code == 2
    assert "Add --from-scratch" in outcome.err


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the page cannot be opened")
def test_demo_page_predicts_a_picture(made: Made, tmp_path: Path) -> None:
    pictures.picture(light=True, seed=901).save(tmp_path / "new.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with serving("app", made.run, "--no-browser", cwd=tmp_path) as address, browser() as page:
        page.open(f"{address}/")
        page.choose("input[type=file]", tmp_path / "new.png")
        page.wait("!document.getElementById('answer').hidden")
        assert page.evaluate("document.querySelector('[data-part=prediction]').textContent") == "light"
        assert page.evaluate("document.querySelector('.stage img').naturalWidth") == 16
        page.wait("document.querySelector('[data-part=overlay]').naturalWidth > 16")
        assert "not measured" in page.evaluate("document.querySelector('[data-part=belief]').textContent")
        page.choose("input[type=file]", tmp_path / "broken.png")
        page.wait("!document.getElementById('refusal').hidden")
        assert "the picture is not a picture" in page.evaluate("document.getElementById('refusal').textContent")


def test_pushed_model_is_evaluated_from_the_hub(made: Made, tmp_path: Path) -> None:
    with LocalHub() as hub:
        env = hub.environment(tmp_path / "hf", hub.token)
        pushed = toolkit("push", made.run, "acme/shades", cwd=tmp_path, env=env)
        assert pushed.code == 0, pushed.text
        files = {path: file.read_bytes() for path, file in hub.files("acme/shades").items()}
        judged = toolkit(
            "evaluate", "acme/shades", "--recipe", "image", "--data", made.cwd / "data", "--output", "judged",
            "--set", "evaluation.resamples=100", cwd=tmp_path, env=env,
        )  # fmt: skip
    assert {"README.md", "model.safetensors", "preprocessor_config.json", "report.html"} <= files.keys()
    card = files["README.md"].decode()
    assert "base_model" not in card  # nobody else's weights are in it
    assert "pipeline_tag: image-classification" in card
    assert 'pipeline("image-classification"' in card
    for path, content in files.items():
        assert str(made.cwd).encode() not in content, path
    assert judged.code == 0, judged.text
    report = json.loads((tmp_path / "judged" / "report.json").read_text(encoding="utf-8"))
    assert report["evaluation"]["metrics"][0]["value"] > 0.9
    assert report["data"]["counts"]["unreadable"] == 1


def test_planted_duplicate_picture_is_found(tmp_path: Path) -> None:
    """Saved anew as a JPEG, it is another file with other pixels."""
    from PIL import Image

    hostile = "<script>alert(1)<"
    pictures.folder(tmp_path / "data", 30, parts=("train", "test"))
    with Image.open(tmp_path / "data" / "train" / "light" / "004.png") as image:
        image.save(tmp_path / "data" / "test" / "light" / f"{hostile}.jpg", quality=90, subsampling=0)
    outcome = toolkit(
        "finetune", "image", "--model", "vit-tiny", "--from-scratch", "--data", "data", "--epochs", "1",
        "--output", "run", "--set", "evaluation.resamples=100", *SMALL, cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    result = report["evaluation"]["near_duplicates"]
    assert (result["kind"], result["found"]) == ("image", 1)
    (pair,) = result["pairs"]
    assert pair["test"]["file"] == f"test/light/{hostile}.jpg"
    assert pair["train"]["file"] == "train/light/004.png"
    assert any(
        warning.startswith("1 of ") and "near-duplicates" in warning for warning in report["verdict"]["warnings"]
    )
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'id="near-duplicates"' in page
    assert "train/light/004.png" in page
    assert "<script" not in page
    assert pair["train"]["picture"] in page
    check_page(tmp_path / "run" / "report.html")
    again = toolkit("evaluate", "run", cwd=tmp_path)
    assert again.code == 0, again.text
    assert "near-duplicates of training rows" in " ".join(again.out.split())


def test_two_runs_are_compared_picture_by_picture(made: Made, tmp_path: Path) -> None:
    judging = [
        ("evaluate", made.run, "--output", name, "--set", f"evaluation.precision={precision}")
        for name, precision in (("one", "fp32"), ("other", "bf16"))
    ]
    outcomes = several([*judging, ("compare", "one", "other", "--output", "both")], tmp_path)
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], outcomes[-1].text
    report = json.loads((tmp_path / "both" / "report.json").read_text(encoding="utf-8"))
    assert report["comparison"]["rows"] == 18
    assert "Metrics of each model" in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")


def test_digits_are_used_without_data_and_hub(tmp_path: Path) -> None:
    outcome = toolkit(
        "finetune", "image", "--model", "vit-tiny", "--from-scratch", "--epochs", "1", "--output", "run",
        "--set", "data.max_train_rows=200", "--set", "options.image_size=8", "--set", "evaluation.resamples=100",
        cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["data"]["source"] == "pkg://sklearn/datasets/data/digits.csv.gz"
    assert "top_5" in [figure["name"] for figure in report["evaluation"]["metrics"]]  # there are ten classes
