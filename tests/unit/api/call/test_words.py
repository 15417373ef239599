"""Words of a call become layers of the configuration, and the equivalent command line."""

import inspect
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer

import toolkit
from toolkit.api.call.words import KEYS, OPTIONS, assignments, command_line, flags, layers, merged, names, own_recipe
from toolkit.cli import app
from toolkit.cli.options import GLOBAL
from toolkit.config import describe
from toolkit.config.files import parse_assignments
from toolkit.errors import ConfigError

VERBS = [name for name in toolkit.__all__ if name not in ("Run", "load")]  # each is a command


def words_of(verb: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function of the package, but for the one that is Python's own."""
    parameters = dict(inspect.signature(getattr(toolkit, verb)).parameters)
    del parameters["progress"]
    return parameters


def command_of(verb: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of the function that the command line calls."""
    (callback,) = (command.callback for command in app.registered_commands if command.name == verb)
    parameters = inspect.signature(callback).parameters
    return dict(parameters)


def test_the_verbs_are_seen():
    assert {"finetune", "evaluate", "predict", "compare", "explain", "export", "push"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_keyword_arguments_are_the_words_of_the_command_line(verb):
    ours, theirs = words_of(verb), command_of(verb)
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        if parameter.default is not inspect.Parameter.empty:
            assert ours[name].default == parameter.default, name


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_has_the_name_of_its_keyword_argument(verb):
    options = [item for item in typer.main.get_command(app).commands[verb].params if item.param_type_name == "option"]
    named = {item.name: item.opts[0] for item in options if item.opts[0] not in ("--help", *GLOBAL)}
    assert named == {name: f"--{OPTIONS.get(name, name).replace('_', '-')}" for name in named}
    assert named.keys() <= words_of(verb).keys()
    assert len(named) > 2


def test_words_set_keys_of_the_configuration():
    known = {key for key, _ in describe()}
    assert [key for key in KEYS.values() if key not in known and not key.startswith("data.columns.")] == []
    given = {"batch_size": 8, "from_scratch": False, "tune_speed": True, "data": Path("a.csv"), "rows": 3}
    assert flags(given) == {
        "training.batch_size": 8,
        "loading.from_scratch": None,
        "training.tune_speed": True,
        "data.source": "a.csv",
    }


def test_assignments_override_a_file_and_flags_are_added(tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text("recipe: text\ntraining: {epochs: 1, seed: 2}\ndata: {max_length: 8}\n", encoding="utf-8")
    values = merged({"data.max_length": 16}, ["training.seed=3"], file)
    assert values == {"training": {"epochs": 1, "seed": 3}, "data": {"max_length": 16}}


@pytest.mark.parametrize(
    "value", [3, 1e-5, True, None, "3", "true", "a: b", "", "x" * 200, [1, 2], {1: "bad", "good": None}, "naïve"]
)
def test_a_value_of_set_is_read_back_as_it_is(value):
    assert parse_assignments(assignments({"data.label_map": value})) == {"data": {"label_map": value}}


def test_numbers_of_numpy_and_paths_are_values():
    given = {"training.seed": np.int64(3), "data.source": Path("a b.csv")}
    assert assignments(given) == ["training.seed=3", "data.source=a b.csv"]
    assert assignments(["training.seed=3"]) == ["training.seed=3"]
    assert assignments(None) == []


def test_the_command_of_a_call_gives_the_same_layers():
    given = {"epochs": 2.0, "batch_size": 8, "few": True, "resume": False, "set": {"data.label_map": {1: "a b"}}}
    given |= {"checks": ["bias", "cost"], "form": "onnx", "method": ("relevance", "rollout"), "model": None}
    written = shlex.split(command_line("finetune", ["sentiment"], given))
    assert written[:3] == ["toolkit", "finetune", "sentiment"]
    options = written[3:]
    for option, value in (("--epochs", "2.0"), ("--checks", "bias,cost"), ("--to", "onnx"), ("--batch-size", "8")):
        assert options[options.index(option) + 1] == value
    assert options.count("--method") == 2
    assert "--few" in options
    assert not {"--resume", "--model"} & {*options}
    (assigned,) = (options[place + 1] for place, word in enumerate(options) if word == "--set")
    assert merged({}, [assigned]) == {"data": {"label_map": {1: "a b"}}}


def test_a_flag_and_an_assignment_that_disagree_are_refused():
    with pytest.raises(
        ConfigError, match=r"`training\.epochs` is given twice: 3\.0 by a flag, and 5 by --set"
    ) as caught:
        layers({"training.epochs": 3.0, "training.seed": None}, assignments=["training.epochs=5", "training.seed=1"])
    assert caught.value.fix == "Give it once."


def test_a_flag_and_an_assignment_that_agree_are_not():
    names = [name for name, _ in layers({"training.epochs": 3.0}, assignments=["training.epochs=3", "loss.x=1"])]
    assert names == ["--set", "flag"]


def test_a_misspelt_name_in_a_list_is_refused_with_the_nearest():
    known = ("robustness", "bias", "cost")
    assert names("all", known) == list(known)
    assert names(" bias, cost ", known) == names(["bias", "cost"], known) == ["bias", "cost"]
    with pytest.raises(ConfigError, match="Did you mean `robustness`") as error:
        names("bias,robustnes", known)
    assert "or all" in error.value.fix


@pytest.mark.parametrize("key", ["trust_remote_code", "allow_pickle"])
def test_a_file_does_not_let_code_run_unless_it_is_typed_too(tmp_path, key):
    file = tmp_path / "config.yaml"
    file.write_text(f"loading:\n  {key}: true\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"loading.{key}"):
        layers({"training.epochs": 3.0}, config_file=file)
    assert dict(layers({f"loading.{key}": True}, config_file=file))["flag"] == {"loading": {key: True}}
    typed = [f"loading.{key}=false"]
    assert dict(layers({}, config_file=file, assignments=typed))["--set"] == {"loading": {key: False}}
    file.write_text(f"loading:\n  {key}: false\n  from_scratch: true\n", encoding="utf-8")
    assert layers({}, config_file=file)


def test_a_recipe_of_ones_own_is_named_again():
    assert own_recipe("sentiment") == []
    assert own_recipe("./mine.py") == ["--recipe", "./mine.py"]
