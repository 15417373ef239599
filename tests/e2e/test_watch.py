"""New rows without labels against a run: exit codes, records that appear whole, the page, and the report's section."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import checkpoints, recordings
from tests.support.browser import check_page
from tests.support.cli import Outcome, several, toolkit
from tests.support.hub import LocalHub
from tests.support.json_documents import problems
from toolkit.report.document.schema import faults
from toolkit.report.shapes import SHIFT

FEW = ("--set", "evaluation.resamples=100")
ODD = "<script>alert(1)</script> parcel refund"


@pytest.fixture(scope="module")
def home(tiny_distilbert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; rows like its own without labels, and others with them."""
    cwd = tmp_path_factory.mktemp("watch")
    checkpoints.reviews(cwd / "train.csv", 240, seed=1)
    lines = checkpoints.reviews(cwd / "same.csv", 100, seed=2).read_text(encoding="utf-8").splitlines()
    (cwd / "same.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n", encoding="utf-8")
    head, *rows = checkpoints.reviews(cwd / "other.csv", 100, seed=3).read_text(encoding="utf-8").splitlines()
    other = [f'"{row.rpartition(",")[0].strip(chr(34))} {ODD}",{row.rpartition(",")[2]}' for row in rows]
    (cwd / "other.csv").write_text("\n".join([head, *other]) + "\n", encoding="utf-8")
    command = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", "train.csv", "--epochs", "1", *FEW)
    outcome = toolkit(*command, "--output", "run", cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd


def records(home: Path, run: str = "run") -> list[dict]:
    return [json.loads(line) for line in (home / run / "watch" / "batches.jsonl").read_text("utf-8").splitlines()]


def watched(home: Path, *options: str, run: str = "run") -> Outcome:
    return toolkit("watch", run, "--input", *options, *FEW, cwd=home)


def test_batches_are_recorded_once_and_shift_ends_with_3(home: Path) -> None:
    same = watched(home, "same.csv")
    assert same.code == 0, same.text
    other = watched(home, "other.csv", "--json")
    assert other.code == 3, other.text
    printed = json.loads(other.out)
    assert faults(SHIFT, printed["shift"]) == []
    assert {"parcel", "refund"} <= {row["word"] for row in printed["shift"]["words"] if row["claimed"]}
    assert all("refund" in row["text"] for row in printed["shift"]["examples"])
    page = home / "run" / "watch" / "drift.html"
    assert "Batch 2, the latest" in page.read_text(encoding="utf-8")
    again = watched(home, "same.csv", "--looks", "2")
    assert "Batch 1 of 2, seen again" in page.read_text(encoding="utf-8")
    assert again.code == 0, again.text
    kept = records(home)
    assert [(row["source"], row["look"]) for row in kept] == [("same.csv", 1), ("other.csv", 2)]
    assert [row["shift"]["claimed"] for row in kept] == [False, True]
    assert all(row["level"] == pytest.approx(0.05 / 20) for row in kept)
    assert kept[0]["unreadable"]["new"] == {"rows": 0, "of": 100}
    assert kept[1]["shift"]["examples"] == []
    sampled = watched(home, "other.csv", "--rows", "40")
    assert sampled.code in (0, 3), sampled.text
    assert (records(home)[-1]["rows_read"], records(home)[-1]["shift"]["rows"]) == (100, 40)
    assert "<script>" not in page.read_text(encoding="utf-8")
    check_page(page)


def test_many_rows_that_cannot_be_predicted_are_an_alarm(home: Path) -> None:
    head, *rows = (home / "same.csv").read_text(encoding="utf-8").splitlines()
    lost = [row if number % 3 else '""' for number, row in enumerate(rows)]
    (home / "lost.csv").write_text("\n".join([head, *lost]) + "\n", encoding="utf-8")
    outcome = watched(home, "lost.csv", "--json")
    assert outcome.code == 3, outcome.text
    record = json.loads(outcome.out)
    assert record["unreadable"]["new"] == {"rows": 34, "of": 100}
    assert (record["unreadable"]["claimed"], record["shift"]["claimed"]) == (True, False)


def test_evaluation_of_other_rows_has_the_section(home: Path) -> None:
    commands = [
        ("evaluate", "run", "--data", "other.csv", "--output", "judged", *FEW),
        ("evaluate", "run", "--output", "own", *FEW),
    ]
    for outcome in several(commands, home):
        assert outcome.code == 0, outcome.text
    reports = [json.loads((home / name / "report.json").read_text(encoding="utf-8")) for name in ("judged", "own")]
    assert problems("report.json", reports[0]) == []
    shift = reports[0]["evaluation"]["shift"]
    assert shift["claimed"]
    assert shift["accuracy"]["truth"]["value"] == pytest.approx(reports[0]["evaluation"]["metrics"][0]["value"])
    assert shift["metric"]["name"] == "accuracy"
    assert shift["metric"]["reference"]["value"] == pytest.approx(reports[1]["evaluation"]["metrics"][0]["value"])
    kinds = {row["kind"]: row["tested"] for row in reports[0]["claims"]["kinds"]}
    assert kinds["shift"] == 2
    assert "shift" not in reports[1]["evaluation"]
    html = (home / "judged" / "report.html").read_text(encoding="utf-8")
    assert 'id="shift"' in html
    assert "<script>" not in html


def test_what_cannot_be_compared_is_refused(home: Path) -> None:
    (home / "few.txt").write_text("a film\n" * 5, encoding="utf-8")
    for target, source, error in (
        ("run", "few.txt", "watch.too-few-rows"),
        ("run", "none.csv", "source.file-missing"),
        ("run/model", "same.csv", "run.not-a-run"),
    ):
        refused = watched(home, source, run=target)
        assert (refused.code, error in refused.text) == (2, True), refused.text
    assert watched(home, "same.csv").code in (0, 3)  # recorded, whichever test comes first
    before = (home / "run" / "watch" / "batches.jsonl").read_bytes()
    (home / "run" / "watch" / "batches.jsonl").write_bytes(before[:-20])
    damaged = watched(home, "same.csv")
    assert (damaged.code, "run.damaged" in damaged.text) == (2, True), damaged.text
    (home / "run" / "watch" / "batches.jsonl").write_bytes(before)


def test_dark_pictures_are_told_from_light_ones(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def write(folder: Path, rows: int, most: int) -> None:
        folder.mkdir(parents=True)
        for number in range(rows):
            Image.fromarray(random.integers(0, most, (16, 16, 3), np.uint8)).save(folder / f"{number}.png")

    for name, most in (("dim", 200), ("bright", 250)):
        write(tmp_path / "train" / name, 90, most)
    write(tmp_path / "dark", 40, 60)
    small = ("--set", "options.image_size=16", "--set", "training.device=cpu", "--batch-size", "16", "--epochs", "1")
    with LocalHub() as hub:
        env = hub.environment(tmp_path / "hf")
        train = ("finetune", "image", "--model", "vit-tiny", "--from-scratch", "--data", "train", *small, *FEW)
        outcomes = several(
            [(*train, "--output", "run"), ("watch", "run", "--input", "dark", "--json", *FEW)],
            tmp_path,
            env,
            all_of_them=True,
        )
    assert [outcome.code for outcome in outcomes] == [0, 3], outcomes[-1].text
    shift = json.loads(outcomes[-1].out)["shift"]
    assert "brightness" in {row["name"] for row in shift["properties"] if row["claimed"]}
    assert all(row["picture"].startswith("data:image/png") for row in shift["examples"])
    assert shift["words"] == []
    check_page(tmp_path / "run" / "watch" / "drift.html")


def test_long_recordings_are_told_from_short_ones(tmp_path: Path) -> None:
    recordings.folder(tmp_path / "data", 60)
    model = recordings.checkpoints(tmp_path / "families")["wav2vec2"]
    (tmp_path / "long").mkdir()
    for number in range(30):
        sound = recordings.encoded(recordings.tone(300, 1.5, number))
        (tmp_path / "long" / f"{number}.wav").write_bytes(sound)
    train = ("finetune", "speech", "--model", model, "--data", "data", "--epochs", "1", "--batch-size", "8", *FEW)
    settings = ("--set", "training.device=cpu", "--set", "training.mean_pooling=false", "--output", "run")
    commands = [(*train, *settings), ("watch", "run", "--input", "long", "--json", *FEW)]
    outcomes = several(commands, tmp_path, all_of_them=True)
    assert [outcome.code for outcome in outcomes] == [0, 3], outcomes[-1].text
    shift = json.loads(outcomes[-1].out)["shift"]
    assert "seconds" in {row["name"] for row in shift["properties"] if row["claimed"]}


def test_numbers_of_grouped_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = ["small", "large", "old", "new", "house", "flat", "garden", "lake"]

    def write(name: str, rows: int, columns: tuple[str, ...]) -> None:
        lines = [",".join(columns)]
        for number in range(rows):
            chosen = random.choice(words, 5)
            values = {
                "text": " ".join(chosen),
                "price": 10 * list(chosen).count("large") + 1.5,
                "user": f"u{number // 3}",
            }
            lines.append(",".join(str(values[column]) for column in columns))
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    write("train.csv", 300, ("text", "price", "user"))
    write("grouped.csv", 90, ("text", "user"))
    write("plain.csv", 60, ("text",))
    train = ("finetune", "text", "--model", checkpoints.TINY, "--data", "train.csv", "--label-column", "price")
    grouped = ("--target", "number", "--set", "data.group_column=user", "--epochs", "1", "--output", "run", *FEW)
    watched = [("watch", "run", "--input", name, "--json", *FEW) for name in ("grouped.csv", "plain.csv")]
    independent = (*watched[1], "--set", "data.group_column=null")
    outcomes = several([(*train, *grouped), *watched, independent], tmp_path, all_of_them=True)
    assert outcomes[0].code == 0, outcomes[0].text
    assert (outcomes[2].code, "watch.no-groups" in outcomes[2].text) == (2, True), outcomes[2].text
    assert {outcomes[1].code, outcomes[3].code} <= {0, 3}, outcomes[-1].text
    first, second = (json.loads(outcomes[number].out)["shift"] for number in (1, 3))
    assert (first["groups"], first["one_of_each_group"]) == (30, False)
    assert (second["groups"], second["one_of_each_group"]) == (None, False)
    assert first["reference_groups"] > 10
    assert [row["label"] for row in first["predicted"]] == ["mean"]
    check_page(tmp_path / "run" / "watch" / "drift.html")
