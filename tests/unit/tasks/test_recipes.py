"""Recipes are found by file name, described without being run, and refused when a part is missing."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit.errors import RecipeError, ToolkitError
from toolkit.tasks import catalogue, loading, old_names
from toolkit.tasks.targets.single_label import SINGLE_LABEL

WHOLE = '''"""Do a thing.

More about it.
"""
DEFAULTS = {}
from toolkit.tasks.task import Column
COLUMNS = (Column("text", ("text",), "text"), Column("label", ("label",), "label"))
METRICS = ("accuracy",)
def load_processor(path, config): ...
def preprocess(rows, processor, config): ...
def build_model(path, labels, config, **arguments): ...
def collate(features, processor): ...
def predictions(outputs, batch): ...
'''


def refusal(identifier, name) -> ToolkitError:
    with refused(RecipeError, identifier) as caught:
        loading.load(str(name))
    return caught.value


def test_every_file_in_the_folder_is_a_whole_recipe():
    files = {path.stem for path in catalogue.folder().glob("*.py") if not path.stem.startswith("_")}
    assert {"sentiment", "tokens", "translation"} <= files
    assert catalogue.available().keys() == files
    for name in files:
        recipe = loading.load(name)
        assert recipe.metrics
        assert recipe.task.inputs
        assert recipe.task.target.required
        assert len(catalogue.summary(catalogue.find(name))) > 10


def test_a_dropped_in_file_is_a_recipe_at_once(tmp_path, monkeypatch):
    (tmp_path / "speech.py").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "_shared.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)
    assert list(catalogue.available()) == ["speech"]
    assert loading.load("speech").metrics == ("accuracy",)


def test_the_current_directory_is_never_searched(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("raise SystemExit('this file was run')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "There is no recipe `mine`" in refusal("recipe.unknown-name", "mine").problem


def test_a_file_of_ones_own_is_loaded_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(WHOLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = loading.load("./mine.py")
    assert recipe.metrics == ("accuracy",)
    assert loading.load(str(tmp_path / "mine.py")) is recipe


@pytest.mark.parametrize(("name", "meant"), [("sentimnt", "sentiment"), ("token", "tokens")])
def test_a_misspelt_name_is_answered_with_the_nearest(name, meant):
    error = refusal("recipe.unknown-name", name)
    assert f"Did you mean `{meant}`?" in error.problem
    assert "sentiment" in error.fix


def test_a_preset_that_does_not_exist():
    with refused(RecipeError, "recipe.unknown-name", "`nosuch`", "from-scratch"):
        catalogue.find_preset("nosuch")


def test_a_path_that_does_not_exist(tmp_path):
    assert "There is no recipe file" in refusal("recipe.file-missing", tmp_path / "absent.py").problem


@pytest.mark.parametrize("part", ["METRICS", "def preprocess", "DEFAULTS", "def load_processor"])
def test_a_missing_part_is_named(tmp_path, part):
    lines = [line for line in WHOLE.splitlines() if not line.startswith(part)]
    (tmp_path / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    assert refusal("recipe.incomplete", tmp_path / "mine.py").problem.endswith(f"lacks {part.removeprefix('def ')}.")


def test_generating_recipe_needs_no_predictions(tmp_path):
    (tmp_path / "mine.py").write_text(WHOLE.replace("def predictions(outputs, batch)", "def generate(*_)"), "utf-8")
    assert loading.load(str(tmp_path / "mine.py")).generate is not None


@pytest.mark.parametrize(
    ("line", "wrong", "meant"),
    [
        ("FALBACK_DATA = {}", "FALBACK_DATA", "FALLBACK_DATA"),
        ("def augmentaton(*_): ...", "augmentaton", "augmentation"),
        ("class options: ...", "options", "Options"),
        ("def unrelated(*_): ...", "unrelated", None),
    ],
)
def test_unknown_name_is_rejected_with_suggestion(tmp_path, line, wrong, meant):
    (tmp_path / "mine.py").write_text(f"{WHOLE}{line}\n", encoding="utf-8")
    problem = refusal("recipe.unknown-part", tmp_path / "mine.py").problem
    assert f"`{wrong}`" in problem
    assert meant is None or f"`{meant}`" in problem


@pytest.mark.parametrize(("part", "wrong"), [("METRICS", "METRIC"), ("def preprocess", "preproces")])
def test_misspelt_required_part_gets_a_suggestion(tmp_path, part, wrong):
    name = part.removeprefix("def ")
    lines = [line.replace(name, wrong) if line.startswith(part) else line for line in WHOLE.splitlines()]
    (tmp_path / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    problem = refusal("recipe.unknown-part", tmp_path / "mine.py").problem
    assert f"`{wrong}`" in problem
    assert f"`{name}`" in problem


@pytest.mark.parametrize(
    "metrics",
    [
        *("print", "()", "'accuracy'", "(print,)", "(3, 'accuracy')"),
        "__import__('toolkit.metrics').metrics.Metric('f', 'F', print, print)",
        "(__import__('toolkit.metrics').metrics.Metric('f', 'F', print, print, value_type='label'),)",
    ],
)
def test_what_is_no_list_of_metrics_is_refused_at_once(tmp_path, metrics):
    lines = [f"METRICS = {metrics}" if line.startswith("METRICS") else line for line in WHOLE.splitlines()]
    (tmp_path / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    assert "METRICS" in refusal("recipe.metrics", tmp_path / "mine.py").problem


def test_a_recipe_of_one_class_needs_neither_collate_nor_predictions(tmp_path):
    lines = [line for line in WHOLE.splitlines() if not line.startswith(("def collate", "def predictions"))]
    (tmp_path / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    assert loading.load(str(tmp_path / "mine.py")).predictions is SINGLE_LABEL.predictions
    lines = [line.replace('"label")', '"labels")') for line in lines]
    (tmp_path / "other.py").write_text("\n".join(lines), encoding="utf-8")
    assert refusal("recipe.incomplete", tmp_path / "other.py").problem.endswith("lacks predictions.")


def test_helpers_are_no_parts(tmp_path):
    helpers = "LIMIT = 3\ndef shorten(text): return text[:LIMIT]\n_private = 1\nuse = None\nprint if use else shorten\n"
    (tmp_path / "mine.py").write_text(WHOLE + helpers, encoding="utf-8")
    assert loading.load(str(tmp_path / "mine.py")).metrics


@pytest.mark.parametrize("given", ["single=True", "exclusive=True", "ordered=True"])
def test_a_target_of_one_class_is_made_of_classes(tmp_path, given):
    target = f'Target(name="mine", in_shape=None, answer=None, shown=str, {given})'
    columns = f"COLUMNS = (Column('text', ('text',), TEXT), Column('label', ('label',), {target}))"
    named = "from toolkit.tasks.inputs.text import TEXT\nfrom toolkit.tasks.task import Column, Target\n"
    (tmp_path / "mine.py").write_text(named + re.sub(r"COLUMNS = .*", columns, WHOLE), encoding="utf-8")
    assert "classes=True" in refusal("recipe.contradictory-target", tmp_path / "mine.py").fix


@pytest.mark.parametrize("columns", ["()", '(Column("text", ("text",), "text"),)'])
def test_a_recipe_has_one_target(tmp_path, columns):
    whole = re.sub(r"COLUMNS = .*", f"COLUMNS = {columns}", WHOLE)
    (tmp_path / "mine.py").write_text(whole, encoding="utf-8")
    assert "0 targets" in refusal("recipe.targets", tmp_path / "mine.py").problem


def test_unknown_kind_is_rejected_with_choices(tmp_path):
    (tmp_path / "mine.py").write_text(WHOLE.replace('"text")', '"txt")'), encoding="utf-8")
    error = refusal("recipe.unknown-kind", tmp_path / "mine.py")
    assert "`txt`" in error.problem
    assert all(kind in error.fix for kind in ("text", "words", "image", "label", "labels", "target_text"))


def test_recipe_files_of_older_versions_import_modules_by_their_old_names(tmp_path):
    old = WHOLE.replace("from toolkit.tasks.task import", "from toolkit.recipes import")
    imports = ("data.batch import pad", "data import rationales", "evaluation import predict")
    old += "".join(f"from toolkit.{item}\n" for item in imports)
    (tmp_path / "older.py").write_text(old, encoding="utf-8")
    recipe = loading.load(str(tmp_path / "older.py"))
    assert recipe.target is SINGLE_LABEL
    assert [note.split()[2] for note in recipe.notes] == [
        *("toolkit.data.batch,", "toolkit.data.rationales,", "toolkit.evaluation.predict,", "toolkit.recipes,"),
    ]


def test_a_read_that_adds_to_notes_is_refused_with_the_way_to_return_them(tmp_path):
    (tmp_path / "older.py").write_text(f"{WHOLE}def read(path, config, options, notes): ...\n", encoding="utf-8")
    assert "Tables" in refusal("recipe.outdated", tmp_path / "older.py").fix
    (tmp_path / "newer.py").write_text(f"{WHOLE}def read(path, config, options): ...\n", encoding="utf-8")
    assert loading.load(str(tmp_path / "newer.py")).read is not None


def test_every_old_name_leads_to_a_module():
    for old, new in old_names.MODULES.items():
        assert importlib.import_module(new).__name__ != old


def test_all_missing_parts_are_named_at_once(tmp_path):
    (tmp_path / "mine.py").write_text("COLUMNS = ()", encoding="utf-8")
    problem = refusal("recipe.incomplete", tmp_path / "mine.py").problem
    assert all(part in problem for part in ("DEFAULTS", "METRICS", "preprocess", "build_model"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("DEFAULTS = {}\nx = 1 / 0\n", "line 2, cannot be run: ZeroDivisionError"),
        ("import no_such_package_anywhere\n", "line 1, cannot be run: ModuleNotFoundError"),
        ("def broken(:\n", "cannot be run: SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_run(tmp_path, content, said):
    (tmp_path / "cannot_run.py").write_text(content, encoding="utf-8")
    assert said in refusal("recipe.cannot-run", tmp_path / "cannot_run.py").problem
    assert "toolkit_recipe_cannot_run" not in sys.modules


def test_a_mended_file_is_loaded(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1 / 0", encoding="utf-8")
    refusal("recipe.cannot-run", path)
    path.write_text(WHOLE, encoding="utf-8")
    assert loading.load(str(path)).metrics == ("accuracy",)


def test_the_summary_is_read_without_running_the_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(WHOLE + "raise SystemExit('this file was run')", encoding="utf-8")
    assert catalogue.summary(path) == "Do a thing."
    path.write_text("x = 1\ndef broken(:\n", encoding="utf-8")
    assert catalogue.summary(path) == "(broken: line 2 is not Python)"
    path.write_text("x = 1\n", encoding="utf-8")
    assert catalogue.summary(path) == ""


def test_the_wheels_recipes_come_before_the_checkouts(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "toolkit" / "tasks" / "catalogue.py"))
    (tmp_path / "recipes").mkdir()
    with refused(RecipeError, "recipe.none-installed", "toolkit"):
        catalogue.folder()  # a folder of that name alone is not a checkout
    (tmp_path / "pyproject.toml").touch()
    assert catalogue.folder() == tmp_path / "recipes"
    (tmp_path / "toolkit" / "_recipes").mkdir(parents=True)
    assert catalogue.folder() == tmp_path / "toolkit" / "_recipes"


def test_a_recipes_defaults_are_a_valid_configuration():
    from toolkit.config import resolve

    assert len(catalogue.available()) >= 2
    for name in catalogue.available():
        resolved = resolve([("command", {"recipe": name}), ("recipe", loading.load(name).defaults)])
        assert resolved.config.data.source


def test_presets_are_valid_and_begin_with_their_command():
    from toolkit.config import resolve
    from toolkit.config.files import read_file

    for name, path in catalogue.presets().items():
        resolve([("command", {"recipe": "x"}), ("preset", read_file(path))])
        first = Path(path).read_text(encoding="utf-8").partition("\n")[0]
        assert first.startswith("# toolkit ")
        assert name in first
