"""Explanations of an image classifier with a known cause: a coloured square on noise."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_report_browser import CHROMIUM, visit
from tests.support import planted
from tests.support.cli import several, toolkit
from tests.support.json_documents import check_file
from toolkit.explanation.patches import hit

PICTURES = "runs/pictures"
NEW = 8  # pictures of each class


@dataclass(frozen=True)
class Made:
    cwd: Path
    boxes: dict[str, planted.Box]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    cwd = tmp_path_factory.mktemp("planted")
    planted.folder(cwd / "data", 100, seed=0)
    planted.model(cwd / "small")
    boxes = planted.folder(cwd / "scans", NEW, seed=1, names=list(planted.COLOURS))
    document = (Path(__file__).parents[2] / "docs" / "attention.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^toolkit (.* {PICTURES} .*)$", document, re.MULTILINE)
    commands = [
        ["finetune", "image", "--model", "small", "--from-scratch", "--data", "data", "--epochs", "4", "--batch-size",
         "16", "--learning-rate", "2e-3", "--output", PICTURES, "--set", "training.device=cpu"],
        shlex.split(line),
    ]  # fmt: skip
    for outcome in several(commands, cwd):
        assert outcome.code == 0, outcome.text
    return Made(cwd, boxes)


def test_top_patch_is_on_the_object(made: Made) -> None:
    result = json.loads((made.cwd / "explained" / "explanation.json").read_text(encoding="utf-8"))
    check_file(made.cwd / "explained" / "explanation.json", "explanation.json")
    best = result["trust"]["best"]
    assert best is not None
    assert result["unit"] == "patch"
    assert len(result["texts"]) == 2 * NEW
    hits = [hit(item["scores"][best], item["grid"], made.boxes[item["text"]]) for item in result["texts"]]
    assert sum(hits) > 0.8 * len(hits)


@pytest.mark.slow
def test_the_pointing_game_of_a_larger_model_on_more_pictures(tmp_path: Path) -> None:
    """The model that `--model vit-tiny` names, of six layers."""
    planted.folder(tmp_path / "data", 160, seed=0)
    boxes = planted.folder(tmp_path / "scans", 40, seed=1, names=list(planted.COLOURS))
    for command in (
        ["finetune", "image", "--model", "vit-tiny", "--from-scratch", "--data", "data", "--epochs", "8",
         "--batch-size", "16", "--learning-rate", "2e-3", "--output", "run", "--set", "options.image_size=32",
         "--set", "training.device=cpu"],
        ["explain", "run", "--file", "scans", "--measure", "--output", "explained"],
    ):  # fmt: skip
        outcome = toolkit(*command, cwd=tmp_path, timeout=1200)
        assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["evaluation"]["metrics"][0]["value"] > 0.9  # it knows the pictures with no square, too
    result = json.loads((tmp_path / "explained" / "explanation.json").read_text(encoding="utf-8"))
    best = result["trust"]["best"]
    assert best is not None
    hits = [hit(item["scores"][best], item["grid"], boxes[item["text"]]) for item in result["texts"]]
    assert len(hits) == 80
    assert sum(hits) > 0.8 * len(hits)


def test_predict_explains_each_picture(made: Made) -> None:
    (made.cwd / "scans" / "broken.png").write_bytes(b"no picture")
    outcome = toolkit("predict", PICTURES, "-i", "scans", "-o", "answers.jsonl", "--explain", cwd=made.cwd)
    (made.cwd / "scans" / "broken.png").unlink()
    assert outcome.code == 0, outcome.text
    answers = [json.loads(line) for line in (made.cwd / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    bad = [item for item in answers if item["problem"]]
    assert [(item["file"], item["prediction"], item["explanation"]) for item in bad] == [("broken.png", None, None)]
    good = [item for item in answers if not item["problem"]]
    assert len(good) == 2 * NEW
    assert {item["explanation"]["method"] for item in good} == {best_method(made)}  # the one that `explain` measured
    boxes = [made.boxes[Path(item["file"]).name] for item in good]
    why = [item["explanation"] for item in good]
    hits = [hit(item["scores"], item["grid"], box) for item, box in zip(why, boxes, strict=True)]
    assert sum(hits) > 0.8 * len(hits)


def best_method(made: Made) -> str:
    result = json.loads((made.cwd / "explained" / "explanation.json").read_text(encoding="utf-8"))
    return str(result["trust"]["best"])


def test_regions_are_scored_where_boxes_are_given(made: Made) -> None:
    """A table with a column `box`, in pixels: the planted squares."""
    lines = ["image,box"]
    for file, box in made.boxes.items():
        lines.append(f"scans/{file.partition('-')[0]}/{file},{' '.join(str(round(planted.SIDE * x)) for x in box)}")
    (made.cwd / "boxes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    call = ("explain", PICTURES, "--file", "boxes.csv", "--method", "relevance", "--output", "boxed")
    outcome = toolkit(*call, cwd=made.cwd)
    assert outcome.code == 0, outcome.text
    result = json.loads((made.cwd / "boxed" / "explanation.json").read_text(encoding="utf-8"))["regions"]["relevance"]
    assert result["pictures"] == 2 * NEW
    assert result["pointing"]["value"] > 0.8
    assert result["overlap"]["low"] > result["middle"]["high"]
    assert f"{2 * NEW} pictures with a box" in outcome.out
    (made.cwd / "boxes.csv").write_text("\n".join([*lines, lines[1].split(",")[0] + ",0 0 99 5"]), encoding="utf-8")
    refused = toolkit(*call[:-1], "other", cwd=made.cwd)
    assert refused.code == 2
    assert "[image.box-outside]" in refused.err
    assert "32 × 32 pixels" in refused.err


def test_report_explains_correct_and_wrong_predictions(made: Made) -> None:
    report = json.loads((made.cwd / PICTURES / "report.json").read_text(encoding="utf-8"))
    result = report["evaluation"]["explanations"]
    assert [method["name"] for method in result["methods"]] == ["relevance", "leave-one-out"]
    assert {item["right"] for item in result["examples"]} >= {True}
    for item in result["examples"]:
        assert item["right"] == (item["label"] == item["prediction"])
        assert [overlay[:22] for overlay in item["overlays"]] == ["data:image/png;base64,"] * 2
    html = (made.cwd / PICTURES / "report.html").read_text(encoding="utf-8")
    assert 'id="explanations"' in html
    assert result["examples"][0]["overlays"][0] in html


def test_the_page_shows_every_method_and_the_heads(made: Made, tmp_path: Path) -> None:
    folder = made.cwd / "explained"
    result = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    assert (folder / f"picture-{2 * NEW}.png").read_bytes().startswith(b"\x89PNG")
    html = (folder / "explanation.html").read_text(encoding="utf-8")
    assert html.count('<figure class="panel') == 2 * NEW * (1 + len(result["methods"]))
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: the page cannot be opened")
    seen = visit(tmp_path, html)
    assert seen.console == []
    assert seen.requests == []
    assert "Choose a layer and a head" in seen.document


def test_non_picture_is_rejected(made: Made) -> None:
    (made.cwd / "broken.png").write_bytes(b"\x89PNG")
    for given, identifier in (("nowhere.png", "source.file-missing"), ("broken.png", "media.unreadable")):
        outcome = toolkit("explain", PICTURES, given, cwd=made.cwd)
        assert outcome.code == 2, outcome.text
        assert f"[{identifier}]" in outcome.err
        assert given in outcome.err
