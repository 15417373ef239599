"""Recipes are found by file name, described without being run, and refused when a part is missing."""

import sys
from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit import recipes
from toolkit.errors import RecipeError, ToolkitError

WHOLE = '''"""Do a thing.

More about it.
"""
DEFAULTS = {}
COLUMNS = ()
METRICS = ("accuracy",)
def load_processor(path, config): ...
def preprocess(rows, processor, config): ...
def build_model(path, labels, config, **arguments): ...
def collate(features, processor): ...
def predictions(outputs, batch): ...
'''


def refusal(identifier, name) -> ToolkitError:
    with refused(RecipeError, identifier) as caught:
        recipes.load(str(name))
    return caught.value


def test_every_file_in_the_folder_is_a_whole_recipe():
    files = {path.stem for path in recipes.folder().glob("*.py") if not path.stem.startswith("_")}
    assert {"sentiment", "tokens", "translation"} <= files
    assert recipes.available().keys() == files
    for name in files:
        recipe = recipes.load(name)
        assert recipe.METRICS
        assert recipe.COLUMNS[-1].kind in ("label", "labels", "text", "words", "target_text")
        assert len(recipes.summary(recipes.find(name))) > 10


def test_a_dropped_in_file_is_a_recipe_at_once(tmp_path, monkeypatch):
    (tmp_path / "speech.py").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "_shared.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(recipes, "folder", lambda: tmp_path)
    assert list(recipes.available()) == ["speech"]
    assert recipes.load("speech").METRICS == ("accuracy",)


def test_the_current_directory_is_never_searched(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("raise SystemExit('this file was run')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "There is no recipe `mine`" in refusal("recipe.unknown-name", "mine").problem


def test_a_file_of_ones_own_is_loaded_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(WHOLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = recipes.load("./mine.py")
    assert recipe.METRICS == ("accuracy",)
    assert recipes.load(str(tmp_path / "mine.py")) is recipe


@pytest.mark.parametrize(("name", "meant"), [("sentimnt", "sentiment"), ("token", "tokens")])
def test_a_misspelt_name_is_answered_with_the_nearest(name, meant):
    error = refusal("recipe.unknown-name", name)
    assert f"Did you mean `{meant}`?" in error.problem
    assert "sentiment" in error.fix


def test_a_preset_that_does_not_exist():
    with refused(RecipeError, "recipe.unknown-name", "`nosuch`", "from-scratch"):
        recipes.find_preset("nosuch")


def test_a_path_that_does_not_exist(tmp_path):
    assert "There is no recipe file" in refusal("recipe.file-missing", tmp_path / "absent.py").problem


@pytest.mark.parametrize("part", ["METRICS", "def collate", "DEFAULTS", "def predictions"])
def test_a_missing_part_is_named(tmp_path, part):
    lines = [line for line in WHOLE.splitlines() if not line.startswith(part)]
    (tmp_path / "mine.py").write_text("\n".join(lines), encoding="utf-8")
    assert refusal("recipe.incomplete", tmp_path / "mine.py").problem.endswith(f"lacks {part.removeprefix('def ')}.")


def test_what_writes_answers_reads_none_off_a_forward_pass(tmp_path):
    (tmp_path / "mine.py").write_text(WHOLE.replace("def predictions(outputs, batch)", "def generate(*_)"), "utf-8")
    assert recipes.generates(recipes.load(str(tmp_path / "mine.py")))


def test_all_missing_parts_are_named_at_once(tmp_path):
    (tmp_path / "mine.py").write_text("COLUMNS = ()", encoding="utf-8")
    problem = refusal("recipe.incomplete", tmp_path / "mine.py").problem
    assert all(part in problem for part in ("DEFAULTS", "METRICS", "preprocess", "build_model", "predictions"))


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
    assert recipes.load(str(path)).COLUMNS == ()


def test_the_summary_is_read_without_running_the_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(WHOLE + "raise SystemExit('this file was run')", encoding="utf-8")
    assert recipes.summary(path) == "Do a thing."
    path.write_text("x = 1\ndef broken(:\n", encoding="utf-8")
    assert recipes.summary(path) == "(broken: line 2 is not Python)"
    path.write_text("x = 1\n", encoding="utf-8")
    assert recipes.summary(path) == ""


def test_the_wheels_recipes_come_before_the_checkouts(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "__file__", str(tmp_path / "toolkit" / "recipes.py"))
    (tmp_path / "recipes").mkdir()
    with refused(RecipeError, "recipe.none-installed", "toolkit"):
        recipes.folder()  # a folder of that name alone is not a checkout
    (tmp_path / "pyproject.toml").touch()
    assert recipes.folder() == tmp_path / "recipes"
    (tmp_path / "toolkit" / "_recipes").mkdir(parents=True)
    assert recipes.folder() == tmp_path / "toolkit" / "_recipes"


def test_a_recipes_defaults_are_a_valid_configuration():
    from toolkit.config import resolve

    assert len(recipes.available()) >= 2
    for name in recipes.available():
        resolved = resolve([("command", {"recipe": name}), ("recipe", recipes.load(name).DEFAULTS)])
        assert resolved.config.data.source


def test_presets_are_valid_and_begin_with_their_command():
    from toolkit.config import resolve
    from toolkit.config.files import read_file

    for name, path in recipes.presets().items():
        resolve([("command", {"recipe": "x"}), ("preset", read_file(path))])
        first = Path(path).read_text(encoding="utf-8").partition("\n")[0]
        assert first.startswith("# toolkit ")
        assert name in first
