import pytest

from tests.support.errors import refused
from tests.support.json_documents import problems
from toolkit import model_metadata, runs
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import ModelError, RecipeError, SourceError
from toolkit.tasks import catalogue

WHOLE = {
    "recipe": "sentiment",
    "attention": "sliding-window:8",
    "positions": "repeat",
    "data": {"max_length": 64, "columns": {"text": "review"}, "label_map": {"bad": "negative"}},
    "evaluation": {**EvaluationConfig().model_dump(), "glossary": "/etc/passwd", "lists": "../lists.yaml"},
    "training": {"seed": 3},
    "options": {"beams": 2},
    "calibration": {"temperature": 1.5},
    "pruned_heads": {"0": [1, 2]},
}


@pytest.fixture
def read(tmp_path):
    def of(values):
        runs.write_json(tmp_path / runs.CARD, values)
        return model_metadata.read(tmp_path)

    return of


def test_a_card_gives_what_the_model_needs_and_names_no_file(read):
    result = model_metadata.values(read(WHOLE))
    assert result.keys() == {"attention", "positions", "data", "evaluation", "training", "options"}
    assert result["data"] == WHOLE["data"]
    assert not {"glossary", "lists"} & result["evaluation"].keys()
    assert problems("toolkit.json", WHOLE) == []
    assert read({}) == {}
    assert model_metadata.read(runs.HOME / "nowhere") == {}


@pytest.mark.parametrize(
    "values",
    [
        {"loading": {"trust_remote_code": True}},
        {"loading": {"allow_pickle": True}},
        {"loading": {"from_scratch": False}},
        {"loading": True},
        {"loading": {}},
        {"output": "/tmp"},
        {"model": "other/model"},
        {"data": {"source": "/etc"}},
        {"data": []},
        {"data": {"encoding": "utf-8"}},
        {"training": {"seed": 1, "trackers": ["wandb"]}},
        {"training": {"device": "cuda"}},
        {"evaluation": "all"},
        {"evaluation": {"unknown": 1}},
        {"data.max_length": 5},
    ],
)
def test_whatever_else_a_card_sets_is_refused(read, values):
    with refused(ModelError, "model.card-forbidden-key", "toolkit.json"):
        read(values)
    assert problems("toolkit.json", {"recipe": "sentiment", **values}) != []


@pytest.mark.parametrize(
    "values",
    [
        {"recipe": ["sentiment"]},
        {"recipe": None},
        {"calibration": [1]},
        {"pruned_heads": [1]},
        {"pruned_heads": {"one": [1]}},
        {"pruned_heads": {"0": "1"}},
        {"pruned_heads": {"0": [True]}},
        {"inputs": {"text": True}},
        {"inputs": {"words": {"learned": [1]}}},
    ],
)
def test_facts_of_another_kind_are_damage(read, values):
    with refused(ModelError, "model.card-damaged", "toolkit.json"):
        read(values)


def test_a_card_that_is_nested_beyond_the_stack_is_damage(tmp_path):
    (tmp_path / runs.CARD).write_text('{"options": ' + "[" * 50_000 + "]" * 50_000 + "}", encoding="utf-8")
    with refused(SourceError, "run.damaged", "toolkit.json"):
        model_metadata.read(tmp_path)


def test_files_of_the_run_are_noted_and_not_opened():
    (glossary, lists) = model_metadata.remarks(WHOLE, EvaluationConfig())
    assert "/etc/passwd" in glossary
    assert "evaluation.lists" in lists
    assert model_metadata.remarks(WHOLE, EvaluationConfig(glossary="mine.csv", lists="mine.yaml")) == []
    assert model_metadata.remarks({}, EvaluationConfig()) == []


def test_an_installed_recipe_is_taken_by_name(tmp_path):
    assert model_metadata.recipe_of({"recipe": "image"}, tmp_path, None, trusted=False) == "image"
    assert model_metadata.recipe_of({"recipe": "image"}, tmp_path, "tokens", trusted=False) == "tokens"
    assert model_metadata.recipe_of({"recipe": "./own.py"}, tmp_path, "my.py", trusted=False) == "my.py"
    assert model_metadata.recipe_of({}, tmp_path, None, trusted=False) is None


@pytest.mark.parametrize(
    "name", ["own.py", "./own.py", "../own.py", "sub/own.py", "/own.py", "image.py", "image\n", ""]
)
def test_code_that_a_card_names_is_not_taken(tmp_path, name):
    for place in (tmp_path / "own.py", tmp_path.parent / "own.py"):
        place.write_text("", encoding="utf-8")
    with refused(RecipeError, "recipe.not-installed", name) as caught:
        model_metadata.recipe_of({"recipe": name}, tmp_path, None, trusted=False)
    assert "--recipe" in caught.value.fix


def test_a_trusted_folder_runs_its_own_copy_and_no_other(tmp_path):
    run = runs.Run(tmp_path / "run")
    runs.write_json(run.path / "run.json", {})
    run.model.mkdir()
    (tmp_path / "own.py").write_text("", encoding="utf-8")
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "../../own.py"}, run.model, None, trusted=True)
    (run.path / "own.py").symlink_to(tmp_path / "own.py")
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "own.py"}, run.model, None, trusted=True)
    (run.path / "own.py").unlink()
    (run.path / "own.py").write_text("", encoding="utf-8")
    assert model_metadata.recipe_of({"recipe": "./own.py"}, run.model, None, trusted=True) == str(run.path / "own.py")
    with refused(RecipeError, "recipe.not-installed") as caught:
        model_metadata.recipe_of({"recipe": "./own.py"}, run.model, None, trusted=False)
    assert str(run.path / "own.py") in caught.value.fix


def test_a_file_that_the_user_named_in_this_process_stays_named_while_the_copies_are_like_it(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_NAMED", set())
    own, run = tmp_path / "own.py", runs.Run(tmp_path / "run")
    own.write_text("one = 1", encoding="utf-8")
    runs.write_json(run.path / "run.json", {})
    run.model.mkdir()
    copy = run.path / "own.py"
    copy.write_text("one = 1", encoding="utf-8")
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "own.py"}, run.model, None, trusted=False)
    assert model_metadata.recipe_of({}, run.model, str(own), trusted=False) == str(own)
    for name in ("own.py", "elsewhere/own.py"):
        assert model_metadata.recipe_of({"recipe": name}, run.model, None, trusted=False) == str(own)
    copy.write_text("one = 2", encoding="utf-8")  # another file, whatever it is called
    with refused(RecipeError, "recipe.not-installed", str(copy)):
        model_metadata.recipe_of({"recipe": str(own)}, run.model, None, trusted=False)
    copy.unlink()
    assert model_metadata.recipe_of({"recipe": str(own)}, run.model, None, trusted=False) == str(own)
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "own.py"}, run.model, None, trusted=False)


def test_a_copy_that_was_trusted_once_is_not_run_unasked_by_a_later_call(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_NAMED", set())
    run = runs.Run(tmp_path / "run")
    runs.write_json(run.path / "run.json", {})
    run.model.mkdir()
    (run.path / "own.py").write_text("", encoding="utf-8")
    assert model_metadata.recipe_of({"recipe": "own.py"}, run.model, None, trusted=True) == str(run.path / "own.py")
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "own.py"}, run.model, None, trusted=False)


def test_what_stands_beside_a_model_that_belongs_to_no_run_is_not_its_copy(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "setup.py").write_text("", encoding="utf-8")
    with refused(RecipeError, "recipe.not-installed"):
        model_metadata.recipe_of({"recipe": "setup.py"}, tmp_path / "model", None, trusted=True)
