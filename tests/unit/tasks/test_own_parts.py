"""Parts of the user's own: what is imported, what is refused, and where an exception came from."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.errors import refused
from toolkit.api.call import words
from toolkit.cli.faults import explained
from toolkit.config import resolve
from toolkit.config.own_parts import OwnPartsConfig
from toolkit.errors import ConfigError, RecipeError
from toolkit.metrics.base import Metric
from toolkit.tasks import catalogue, loading, own_parts
from toolkit.training.loss.objective import of_function

CODE = """
from toolkit.metrics import Metric
VALUE = 3
def cost(predictions, references):
    return [5.0 * (p != r) for p, r in zip(predictions, references)]
cost.higher_is_better = False
cost.title = "Mean cost"
def short(predictions, references):
    return [1.0]
def loss(outputs, batch):
    return outputs / 0
def read(path, config, options):
    return "own" if path.suffix == ".odd" else None
class Holder:
    cost = cost
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def metric(file: Path, name: str) -> Metric:
    (made,) = own_parts.added(loading.load("sentiment"), OwnPartsConfig(metrics=[f"{file}:{name}"])).own_metrics
    return made


def test_function_is_a_metric_of_its_mean(file: Path) -> None:
    made = metric(file, "cost")
    sums = made.statistics([0, 1, 1], [0, 0, 1], ["a", "b"]).sum(axis=0)
    assert made.aggregate(sums) == pytest.approx(5 / 3)
    assert (made.name, made.title, made.higher_is_better, made.value_type) == ("cost", "Mean cost", False, "int64")
    assert metric(file, "Holder.cost").name == "cost"
    with refused(RecipeError, "recipe.own-part"):
        metric(file, "short").statistics([0, 1], [0, 1], ["a", "b"])


def test_own_metrics_stay_with_every_target(file: Path) -> None:
    recipe = own_parts.added(loading.load("text"), OwnPartsConfig(metrics=[f"{file}:cost"]))
    for target in (None, "classes", "number"):
        assert recipe.for_target(target).metrics[-1].name == "cost"


def test_the_recipes_own_reader_reads_what_the_users_does_not(file: Path) -> None:
    read = own_parts.added(loading.load("sentiment"), OwnPartsConfig(read=f"{file}:read")).read
    assert read is not None
    assert [read(Path(name), None, {}) for name in ("a.odd", "a.csv")] == ["own", None]


def test_recipe_without_own_parts_is_unchanged() -> None:
    recipe = loading.load("sentiment")
    assert own_parts.added(recipe, OwnPartsConfig()) is recipe


@pytest.mark.parametrize(
    ("own", "identifier"),
    [
        ({"loss": "nowhere.py:loss"}, "recipe.file-missing"),
        ({"loss": "no_such_module_of_mine:loss"}, "recipe.own-part"),
        ({"loss": "{file}:none"}, "recipe.own-part"),
        ({"loss": "{file}:VALUE"}, "recipe.own-part"),
        ({"metrics": ["{file}:VALUE"]}, "recipe.own-part"),
    ],
)
def test_what_is_no_part_is_refused(file: Path, own: dict[str, Any], identifier: str) -> None:
    filled = {
        key: [v.format(file=file) for v in value] if isinstance(value, list) else value.format(file=file)
        for key, value in own.items()
    }
    with refused(RecipeError, identifier):
        own_parts.added(loading.load("sentiment"), OwnPartsConfig(**filled))


def test_names_without_a_function_and_files_that_name_parts_are_refused(tmp_path: Path) -> None:
    with refused(ConfigError, "config.invalid-value"):
        resolve([("flag", {"recipe": "sentiment", "own": {"loss": "mine.py"}})])
    (tmp_path / "values.yaml").write_text("own:\n  loss: mine.py:loss\n", encoding="utf-8")
    with refused(ConfigError, "config.trust-in-file"):
        words.layers({}, config_file=tmp_path / "values.yaml", assignments=["own.loss=mine.py:loss"])


def test_an_exception_of_the_users_code_has_its_line(file: Path) -> None:
    loss = own_parts.function(f"{file}:loss", "loss")
    with pytest.raises(ZeroDivisionError) as raised:
        loss(1, {})
    failure = explained(raised.value)
    assert failure is not None
    assert failure.id == "recipe.code-failed"
    assert f"{file}, line 11, in loss" in failure.problem
    with pytest.raises(ZeroDivisionError) as other:
        divmod(1, 0)
    assert explained(other.value) is None


def test_usual_weights_of_the_loss_are_refused_beside_an_own_one() -> None:
    config = resolve([("flag", {"recipe": "sentiment", "loss": {"focal_gamma": 2.0}})]).config.loss
    with refused(ConfigError, "config.conflict"):
        of_function(lambda outputs, batch: outputs, config)


def test_a_loss_that_is_no_mean_is_refused() -> None:
    import torch

    plain = resolve([("flag", {"recipe": "sentiment"})]).config.loss
    assert of_function(lambda outputs, batch: outputs.mean(), plain).mean(torch.ones(3), {}) == 1
    for wrong in (torch.ones(3), torch.tensor(1), 0.5, None):
        with refused(RecipeError, "recipe.own-part"):
            of_function(lambda outputs, batch: outputs, plain).mean(wrong, {})


def test_recipes_of_installed_packages_are_found_and_replace_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "spam_cost-1.0.dist-info"
    (tmp_path / "spam_cost").mkdir()
    (tmp_path / "spam_cost" / "__init__.py").write_text("raise SystemExit('is not run')", encoding="utf-8")
    file = tmp_path / "spam_cost" / "recipe.py"
    file.write_text((catalogue.folder() / "sentiment.py").read_text(encoding="utf-8"), encoding="utf-8")
    information.mkdir()
    (information / "METADATA").write_text("Name: spam-cost\nVersion: 1.0\n", encoding="utf-8")
    names = ("spam-cost", "sentiment")
    entries = "".join(f"{name} = spam_cost.recipe\n" for name in names)
    (information / "entry_points.txt").write_text(f"[{catalogue.GROUP}]\n{entries}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue._of_packages.cache_clear()
    try:
        assert catalogue.available()["spam-cost"] == file
        assert catalogue.available()["sentiment"].parent == catalogue.folder()
        assert loading.load("spam-cost").file == file
    finally:
        monkeypatch.undo()
        catalogue._of_packages.cache_clear()
