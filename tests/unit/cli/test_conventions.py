"""Names of transformers' scripts are rewritten to the options of the command line, or refused by name."""

import re
from pathlib import Path

import pytest
import typer

from tests.support.cli import toolkit
from toolkit.cli import app
from toolkit.cli.conventions import NAMES, described, rewritten
from toolkit.config import describe
from toolkit.errors import ConfigError

COMMAND = typer.main.get_command(app)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "training.md"
FINETUNE = ("finetune", "sentiment")
REFUSED = [name for name, meant in NAMES.items() if meant.instead and not meant.option and not meant.dropped]


def read(*words: str) -> list[str]:
    return rewritten([*FINETUNE, *words], lambda: COMMAND)[len(FINETUNE) :]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--output-dir x", "--output x"),
        ("--output_dir=x", "--output x"),
        ("--lr 1e-4", "--learning-rate 1e-4"),
        ("--learning_rate 1e-4", "--learning-rate 1e-4"),
        ("--learning_rate=1e-4", "--learning-rate=1e-4"),
        ("--num_train_epochs 2", "--epochs 2"),
        ("--per-device-train-batch-size 8", "--batch-size 8"),
        ("--model_name_or_path bert-base-uncased", "--model bert-base-uncased"),
        ("--train-file a.csv", "--data a.csv"),
        ("--bf16", "--set training.precision=bf16"),
        ("--bf16 True --seed 3", "--set training.precision=bf16 --seed 3"),
        ("--fp16", "--set training.precision=fp16"),
        ("--report-to trackio", "--set training.trackers=[trackio]"),
        ("--report_to tensorboard,wandb", "--set training.trackers=[tensorboard,wandb]"),
        ("--report-to none", "--set training.trackers=[]"),
        ("--lr-scheduler-type inverse_sqrt", "--set training.schedule=inverse-sqrt"),
        ("--weight-decay 0.1", "--set training.weight_decay=0.1"),
        ("--per-device-eval-batch-size 8", "--set evaluation.batch_size=8"),
        ("--do-train --do_eval --verbose --load-best-model-at-end true", ""),
        ("--hub-model-id org/name", "--push-to org/name"),
        ("--push-to-hub --hub_model_id org/name", "--push-to org/name"),
        ("--push_to_hub --push-to org/name", "--push-to org/name"),
        ("--resume-from-checkpoint True", "--resume"),
        ("--text-column --lr", "--text-column --lr"),
        ("--lr 1e-4 -- --lr 3", "--learning-rate 1e-4 -- --lr 3"),
        ("--set a_b=--lr --unknown_one 3", "--set a_b=--lr --unknown_one 3"),
    ],
)
def test_names_are_read_as_options(typed, meant):
    assert read(*typed.split()) == meant.split()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_somewhere(name):
    """An option of finetune, a key of the configuration, or a refusal that says what to type."""
    meant = NAMES[name]
    if name in REFUSED:
        with pytest.raises(ConfigError) as error:
            read(name, "1")
        assert error.value.id == "config.foreign-option"
        assert name in error.value.problem
        assert meant.instead in error.value.fix
    elif meant.key:
        keys = {key for key, _ in describe()} | {"options.source", "options.target"}
        assert meant.key in keys
        value = [] if meant.value is not None else ["1"]
        assert read(name, *value)[1].startswith(f"{meant.key}=")
    elif meant.option:
        options = {option for command in COMMAND.commands.values() for item in command.params for option in item.opts}
        assert meant.option in options
    else:
        assert meant.dropped


def test_all_names_without_equivalent_are_refused_at_once():
    with pytest.raises(ConfigError) as error:
        read("--max-steps", "3", "--lr", "1", "--optim", "sgd", "--validation-file", "v.csv")
    assert all(name in error.value.problem for name in ("--max-steps", "--optim", "--validation-file"))
    assert "--lr" not in error.value.problem
    assert "--budget" in error.value.fix
    assert "--data FOLDER" in error.value.fix


@pytest.mark.parametrize("typed", ["--push-to-hub", "--bf16 False", "--do-train false", "--test-file x.csv"])
def test_what_would_mean_something_else_is_refused(typed):
    with pytest.raises(ConfigError) as error:
        read(*typed.split())
    assert error.value.id == "config.foreign-option"


@pytest.mark.parametrize(
    "typed",
    [
        "--lr 1 --learning-rate 2",
        "--learning-rate 2 --lr 1",
        "-o x --output_dir y",
        "--bf16 --fp16",
        "--bf16 --set training.precision=fp32",
        "--weight-decay 0.1 --set=training.weight_decay=0.2",
        "--num-epochs 1 --num-train-epochs 2",
    ],
)
def test_a_value_is_given_once(typed):
    with pytest.raises(ConfigError) as error:
        read(*typed.split())
    assert error.value.id == "config.given-twice"


def test_a_name_needs_its_value():
    with pytest.raises(ConfigError) as error:
        read("--lr")
    assert error.value.id == "config.command-line"


def test_names_follow_the_command():
    assert rewritten(["predict", "run", "--test_file", "x.csv"], lambda: COMMAND) == [
        "predict",
        "run",
        "--input",
        "x.csv",
    ]
    assert rewritten(["recipes", "show", "text", "--bf16"], lambda: COMMAND)[3:] == ["--set", "training.precision=bf16"]
    assert rewritten(["evaluate", "run", "--eval-batch-size=8"], lambda: COMMAND)[2:] == [
        "--set",
        "evaluation.batch_size=8",
    ]
    for typed in (
        ["evaluate", "run", "--lr", "3"],
        ["evaluate", "run", "--bf16"],
        ["doctor", "--eval-batch-size", "8"],
    ):
        with pytest.raises(ConfigError) as error:
            rewritten(typed, lambda: COMMAND)
        assert error.value.id == "config.foreign-option"


def test_a_checkpoint_leads_to_its_run(tmp_path):
    state = tmp_path / "run" / "checkpoints" / "step-3"
    state.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    for path in (state, tmp_path / "run"):
        assert read("--resume_from_checkpoint", str(path)) == ["--resume", "--output", str(tmp_path / "run")]
    for typed in (["--resume-from-checkpoint", str(tmp_path)], [f"--resume-from-checkpoint={state}", "--output", "x"]):
        with pytest.raises(ConfigError) as error:
            read(*typed)
        assert error.value.id == "config.foreign-option"


def test_a_recipes_own_option_takes_precedence(write):
    recipe = write("own.py", "class Options(BaseModel):\n    lr: float = 0.0\n")
    typed = ["finetune", str(recipe), "--lr", "3", "--output_dir", "x"]
    assert rewritten(typed, lambda: COMMAND) == ["finetune", str(recipe), "--lr", "3", "--output", "x"]


def test_without_such_names_the_command_is_not_built():
    def never() -> None:
        raise AssertionError

    typed = ["finetune", "sentiment", "--set", "data.max_length=8", "--", "--lr", "--a_b"]
    assert rewritten(typed, never) == typed


def test_the_command_line_runs_with_the_options_and_says_so(tmp_path):
    typed = ("recipes", "show", "sentiment", "--weight_decay", "0.25", "--warmup-steps=7")
    outcome = toolkit(*typed, cwd=tmp_path)
    assert outcome.code == 0
    assert re.search(r"training\.weight_decay +0\.25", outcome.out)
    assert re.search(r"training\.warmup_steps +7", outcome.out)
    (line,) = (line for line in outcome.err.splitlines() if "--weight_decay" in line)
    assert "training.weight_decay" in line
    assert "--warmup-steps" in line


@pytest.mark.parametrize(("name", "value"), [("--report-to", "comet_ml"), ("--max-steps", "3")])
def test_refusals_end_with_the_code_of_a_wrong_call(tmp_path, name, value):
    outcome = toolkit("finetune", "sentiment", name, value, cwd=tmp_path)
    assert outcome.code == 2
    assert "Error [config." in outcome.err
    assert value in outcome.err if name == "--report-to" else name in outcome.err
    assert outcome.out == ""


def test_help_and_completion_list_no_alias():
    commands = [*COMMAND.commands.values(), *COMMAND.commands["recipes"].commands.values()]
    listed = {option for command in commands for item in command.params for option in item.opts}
    assert len(listed) > 50
    assert listed & NAMES.keys() == set()


def test_the_page_lists_every_name():
    section = PAGE.read_text(encoding="utf-8").partition("\n## Names of transformers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(--.*?)` \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(name, described(name)) for name in NAMES]
