"""The commands of the README, and of the first hour, run in order in one folder."""

import csv
import re
import shlex
from pathlib import Path

from tests.support import checkpoints, first_hour, pictures
from tests.support.cli import several, toolkit
from tests.support.hub import LocalHub

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line) for line in lines]


def star_reviews(path: Path, seed: int) -> None:
    """Turn generated reviews into ones with one to five stars."""
    table = checkpoints.reviews(path, 120, seed=seed)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    stars = {"negative": "12", "positive": "45"}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "stars"])
        for number, row in enumerate(rows):
            writer.writerow([row["text"], "3" if number % 20 == 0 else stars[row["label"]][number // 2 % 2]])


def test_every_command_of_the_readme(hub: LocalHub, tmp_path: Path) -> None:
    star_reviews(tmp_path / "reviews.csv", 1)
    star_reviews(tmp_path / "more_reviews.csv", 2)
    pictures.folder(tmp_path / "flowers", 6)
    env = hub.environment(tmp_path / "hf")
    wanted = [command[1:] for command in commands() if command[0] == "toolkit"]
    assert len(wanted) >= 7
    outcomes = several(wanted, tmp_path, env, timeout=600)
    assert [outcome.code for outcome in outcomes] == [0] * len(wanted), (wanted[len(outcomes) - 1], outcomes[-1].text)


def test_first_hour_runs(tmp_path: Path) -> None:
    printed = first_hour.outputs(tmp_path, replaced={"minilm": checkpoints.TINY})
    steps = list(first_hour.STEP.finditer(first_hour.PAGE.read_text(encoding="utf-8")))
    assert len(printed) == len(steps) >= 10
    assert all(output.strip() for output, step in zip(printed, steps, strict=True) if step["shown"])
    named = set(re.findall(r"`(runs/[\w./-]+|\w+\.csv)`", first_hour.PAGE.read_text(encoding="utf-8")))
    assert {"runs/first/report.html", "runs/first/report.json"} <= named
    assert [name for name in sorted(named) if not (tmp_path / name).exists()] == []


def test_every_make_target_of_the_readme_exists() -> None:
    named = {command[1] for command in commands() if command[0] == "make"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_the_table_of_commands_is_complete() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = toolkit("--help", cwd=ROOT).out.partition("Commands:")[2]
    names = re.findall(r"^  (\w+)", shown, re.MULTILINE)
    assert len(names) >= 5
    for name in names:
        assert f"`toolkit {name}" in text


def test_architecture_page_names_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [
        p.name + "/" if p.is_dir() else p.name
        for p in (ROOT / "toolkit").iterdir()
        if p.suffix in ("", ".py") and not p.name.startswith("_")
    ]
    assert len(rooms) >= 10
    for room in rooms:
        assert f"`{room}`" in text
