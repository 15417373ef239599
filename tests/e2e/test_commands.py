"""Help, recipes, inspect, and the wheel."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import checkpoints
from tests.support.cli import environment, several, toolkit

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "datasets", "evaluate", "peft", "accelerate", "sklearn"}
COMMANDS = (
    ["--help"],
    ["finetune", "--help"],
    ["lr-find", "--help"],
    ["plan", "--help"],
    ["repair", "--help"],
    ["tune", "--help"],
    ["evaluate", "--help"],
    ["recipes", "--help"],
    ["runs", "--help"],
    ["predict", "--help"],
    ["push", "--help"],
    ["dossier", "--help"],
    ["launch", "--help"],
    ["inspect", "--help"],
    ["doctor", "--help"],
)


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom toolkit.cli import app\n"
        f"for arguments in {COMMANDS!r}:\n    try:\n        app(arguments)\n    except SystemExit:\n        pass\n"
        "print('LOADED', sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.count("Usage:") == len(COMMANDS)
    loaded = set(re.findall(r"'(\w+)'", done.stdout.partition("LOADED")[2]))
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_help_answers_at_once(tmp_path: Path) -> None:
    quickest = min(toolkit("--help", cwd=tmp_path, fresh=True).cpu_seconds for _ in range(3))
    assert quickest < 0.3


def test_version(tmp_path: Path) -> None:
    from toolkit import __version__

    assert __version__ in toolkit("--version", cwd=tmp_path).out


def test_recipes_list_names_every_file(tmp_path: Path) -> None:
    outcome = toolkit("recipes", "list", cwd=tmp_path)
    assert outcome.code == 0
    recipes = [path.stem for path in (ROOT / "recipes").glob("*.py")]
    presets = [path.stem for path in (ROOT / "recipes" / "presets").glob("*.yaml")]
    assert len(recipes) >= 2
    assert presets
    for name in (*recipes, *presets, "minilm", "modernbert"):
        assert name in outcome.out


def test_recipes_show_names_the_source_of_each_value(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("training:\n  epochs: 9\n", encoding="utf-8")
    outcome = toolkit(
        "recipes",
        "show",
        "sentiment",
        "--preset",
        "quick",
        "--config",
        "mine.yaml",
        "--set",
        "training.seed=5",
        cwd=tmp_path,
    )
    assert outcome.code == 0, outcome.text
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line[:1].strip()}
    assert "preset quick" in rows["model"]
    assert "file mine.yaml" in rows["training.epochs"]
    assert " 9" in rows["training.epochs"]
    assert "--set" in rows["training.seed"]
    assert "from the training rows" in rows["training.batch_size"]
    assert "recipe" in rows["training.best_metric"]


def test_recipes_show_derives_values_from_rows(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 400)
    call = ("recipes", "show", "sentiment", "--data", "reviews.csv")
    calls = [call, (*call, "--set", "training.epochs=1")]
    plain, typed = several(calls, cwd=tmp_path, env={"COLUMNS": "160"})
    shown = [
        {line.split()[0]: line for line in outcome.out.splitlines() if line.startswith("training.")}
        for outcome in (plain, typed)
    ]
    for rows in shown:
        assert re.search(r" 8 .*\(from \d+ training rows: .*\)", rows["training.batch_size"])
    assert "training rows" in shown[0]["training.epochs"]
    assert re.search(r" 1(\.0)? .*--set", shown[1]["training.epochs"])


def test_recipes_show_explains_a_recipes_own_keys(tmp_path: Path) -> None:
    command = ("recipes", "show", "translation", "--target", "fr")
    outcome = toolkit(*command, cwd=tmp_path, env={"COLUMNS": "120"}, fresh=True)
    lines = outcome.out.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("options.target"))
    assert " fr " in lines[place]
    assert lines[place + 1].strip() == "Target language"


def test_recipes_show_fits_a_terminal(tmp_path: Path) -> None:
    for columns in (80, 120):
        outcome = toolkit("recipes", "show", "sentiment", cwd=tmp_path, env={"COLUMNS": str(columns)}, fresh=True)
        lines = outcome.out.splitlines()
        assert len(lines) > 60
        assert max(map(len, lines)) <= columns


def test_every_preset_begins_with_the_command_that_runs_it(tmp_path: Path) -> None:
    presets = sorted((ROOT / "recipes" / "presets").glob("*.yaml"))
    assert presets
    for preset in presets:
        command = preset.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").split()
        assert command[:2] == ["toolkit", "finetune"]
        assert command[command.index("--preset") + 1] == preset.stem
        if "--data" in command:  # which `show` does not take
            place = command.index("--data")
            del command[place : place + 2]
        outcome = toolkit("recipes", "show", command[2], *command[3:], cwd=tmp_path)
        assert outcome.code == 0, outcome.text


def test_a_copied_recipe_runs_by_its_path(tiny_distilbert: Path, tmp_path: Path) -> None:
    assert toolkit("recipes", "copy", "sentiment", "mine.py", cwd=tmp_path).code == 0
    assert toolkit("recipes", "copy", "sentiment", "mine.py", cwd=tmp_path).code == 2
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    common = ("--model", tiny_distilbert, "--data", table, "--epochs", "1", "--output", "run")
    outcome = toolkit("finetune", "./mine.py", *common, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "toolkit evaluate run --recipe ./mine.py" in outcome.out
    unasked = toolkit("evaluate", "run", cwd=tmp_path)
    assert (unasked.code, "--recipe run/mine.py" in unasked.err) == (2, True), unasked.text
    (tmp_path / "in.txt").write_text("a fine film\n", encoding="utf-8")
    own = ("--recipe", "mine.py")
    commands = [
        ("evaluate", "run", *own),
        ("evaluate", "run", "--trust-remote-code"),  # the copy that the run keeps
        ("predict", "run", "-i", "in.txt", "-o", "out.csv", *own),
        ("explain", "run", "a fine film", *own),
        ("export", "run", "--to", "safetensors", "--output", "exported", *own),
        ("compare", "run", "run/evaluations/held-out", "--output", "compared", *own),
        ("prune-heads", "run", "--rows", "8", "--output", "pruned", *own),
    ]
    outcomes = several(commands, tmp_path)
    assert [item.code for item in outcomes] == [0] * len(commands), outcomes[-1].text
    assert (tmp_path / "run" / "mine.py").read_bytes() == (tmp_path / "mine.py").read_bytes()


def test_recipe_copy_in_a_run_is_not_run_without_option(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name, content in {
        "run.json": '{"status": "complete"}',
        "config.yaml": "",
        "mine.py": "raise ZeroDivisionError",
        "model/config.json": '{"model_type": "bert"}',
        "model/model.safetensors": "",
        "model/toolkit.json": '{"recipe": "./mine.py"}',
    }.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(content, encoding="utf-8")
    outcome = toolkit("evaluate", "run", cwd=tmp_path)
    assert (outcome.code, "ZeroDivisionError" in outcome.text) == (2, False), outcome.text
    assert "--recipe run/mine.py" in " ".join(outcome.err.split())
    result = toolkit("evaluate", "run", "--recipe", "run/mine.py", cwd=tmp_path)
    assert "ZeroDivisionError" in result.text


def test_code_in_the_current_directory_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "sentiment.py").write_text("raise SystemExit('run')", encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "sentiment.py").write_text("raise SystemExit('run')", encoding="utf-8")
    outcome = toolkit("recipes", "show", "sentiment", cwd=tmp_path, fresh=True)
    assert outcome.code == 0, outcome.text


def test_inspect_shows_the_data_of_a_run(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60, text=" Review ", label=" Stars ")
    with table.open("a", encoding="utf-8") as stream:
        first = table.read_text(encoding="utf-8").splitlines()[1].rpartition(",")[0]
        stream.write(f"{first},negative\n,positive\nlong {'word ' * 300},negative\n")
    outcome = toolkit("inspect", table, "--model", tiny_distilbert, "--label-column", "Stars", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "rows" in outcome.out
    assert "62" in outcome.out
    assert "1 repeat an earlier row; 2 have contradictory labels" in outcome.out
    assert "1 (1.6 %) are longer than 256 tokens" in outcome.out
    assert "1 row with an empty text" in outcome.err


def test_tokens_recipe_is_one_file(tiny_bert: Path, tmp_path: Path) -> None:
    people, places = ("Anna Smith", "Tom Baker", "Olga"), ("Paris", "New York", "Lima")
    with (tmp_path / "words.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(180):
            person, place = people[number % 3], places[number // 3 % 3]
            words = f"{person} went to {place} {number} times".split()
            tags = [
                "B-PER",
                *["I-PER"] * (len(person.split()) - 1),
                "O",
                "O",
                "B-LOC",
                *["I-LOC"] * (len(place.split()) - 1),
                "O",
                "O",
            ]
            stream.write(json.dumps({"tokens": words, "ner_tags": tags}) + "\n")
    outcome = toolkit(
        "finetune", "tokens", "--model", tiny_bert, "--data", "words.jsonl", "--epochs", "6", "--learning-rate", "1e-3",
        "--output", "run", cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["evaluation"]["metrics"][0]["name"] == "entity_f1"
    assert report["evaluation"]["metrics"][0]["value"] > 0.9
    again = toolkit("evaluate", "run", cwd=tmp_path)
    assert again.code == 0, again.text
    repeated = json.loads((tmp_path / "run" / "evaluations" / "held-out" / "report.json").read_text(encoding="utf-8"))
    assert (report["evaluation"].pop("looks"), repeated["evaluation"].pop("looks")) == (1, 2)
    assert repeated["evaluation"] == report["evaluation"]


def test_wheel_contains_recipes_and_presets(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    recipes = sorted((ROOT / "recipes").rglob("*.py")) + sorted((ROOT / "recipes").rglob("*.yaml"))
    assert len(recipes) >= 3
    for path in recipes:
        assert f"toolkit/_recipes/{path.relative_to(ROOT / 'recipes').as_posix()}" in names
    assert any(name.endswith("report.html.j2") for name in names)
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    outcome = toolkit("recipes", "list", cwd=empty, env={"PYTHONPATH": str(site)}, fresh=True)
    assert outcome.code == 0, outcome.text
    for path in recipes:
        assert path.stem in outcome.out or path.parent.name == "skeleton"  # of `recipes new`
    where = "import toolkit.tasks.catalogue as c; print(c.folder())"
    done = subprocess.run(
        [sys.executable, "-c", where],
        cwd=empty,
        env=environment({"PYTHONPATH": str(site)}),
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(site / "toolkit" / "_recipes")
