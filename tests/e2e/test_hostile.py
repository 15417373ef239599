"""Nothing that came with a folder is run, whatever is asked of it; what is damaged is refused in a sentence."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints, hostile
from tests.support.cli import Outcome, several, toolkit
from tests.support.hub import LocalHub

FEW = ("--set", "evaluation.resamples=100")
EVERY = {
    "predict": ("predict", "t", "--input", "in.txt", "--output", "out.csv"),
    "evaluate": ("evaluate", "t", *FEW),
    "fresh": ("evaluate", "t", "--fresh", *FEW),
    "other rows": ("evaluate", "t", "--data", "r.csv", "--output", "judged", *FEW),
    "explain": ("explain", "t", "a fine film", "--rows", "0"),
    "export": ("export", "t", "--to", "safetensors", "--rows", "8", "--output", "exported"),
    "compare": ("compare", "t", "good", "--output", "compared"),
    "prune-heads": ("prune-heads", "t", "--rows", "8", "--output", "pruned"),
    "push": ("push", "t", "acme/model", "--dry-run"),
    "attend": ("attend", "t", "a fine film"),
    "finetune": ("finetune", "sentiment", "--model", "t", "--data", "r.csv", "--dry-run"),
    "resume": ("finetune", "sentiment", "--data", "r.csv", "--output", "t", "--resume"),
    "tune": ("tune", "sentiment", "--model", "t/model", "--data", "t", "--output", "t"),
    "inspect": ("inspect", "t"),
}
SERVICES = {"serve": ("serve", "t", "--port", "0"), "app": ("app", "t", "--port", "0", "--no-browser")}


@pytest.fixture
def attack(made: Made, tmp_path: Path):
    """Change a copy of a run, give commands to it, and return what they said, by the name of the command."""

    def run(change: hostile.Change, names: Sequence[str]) -> dict[str, Outcome]:
        for folder in ("t", "good"):
            shutil.copytree(made.run, tmp_path / folder)
        checkpoints.reviews(tmp_path / "r.csv", 40)
        (tmp_path / "in.txt").write_text("a fine film\n", encoding="utf-8")
        change(tmp_path / "t")
        with LocalHub() as hub:
            env = hub.environment(tmp_path / "hf", hub.token)
            commands = [(EVERY | SERVICES)[name] for name in names]
            said = several(commands, tmp_path, env, timeout=900, all_of_them=True)
        for name, outcome in zip(names, said, strict=True):
            assert outcome.code in (0, 2), (name, outcome.text)
            assert not (tmp_path / hostile.MARK).exists(), (name, outcome.text)
        return dict(zip(names, said, strict=True))

    return run


LOADS = [name for name in EVERY if name not in ("compare", "finetune", "resume", "tune", "inspect")]


def test_a_card_does_not_let_code_run(attack) -> None:
    said = attack(hostile.loading, [*EVERY, *SERVICES])
    for name in (*LOADS, *SERVICES):
        assert (said[name].code, "loading." in said[name].err) == (2, True), (name, said[name].text)


@pytest.mark.parametrize("name", ["./evil.py", "t/sub/evil.py", "../evil.py", "{folder}/evil.py", "evil", "sub\nevil"])
def test_a_recipe_that_a_folder_names_is_not_run(attack, name: str) -> None:
    commands = [*(one for one in LOADS if one != "attend"), "compare", *SERVICES]
    for command, outcome in attack(hostile.with_recipe(name), commands).items():
        assert (outcome.code, "--recipe" in outcome.err) == (2, True), (command, outcome.text)


@pytest.mark.parametrize("change", [hostile.code_beside_a_known_family, hostile.adapter_of_elsewhere])
def test_code_beside_a_family_that_transformers_knows_is_left_alone(attack, tmp_path: Path, change) -> None:
    said = attack(change, ["predict", "fresh", "explain", "export", "attend", "finetune"])
    assert {outcome.code for outcome in said.values()} == {0}
    for file in (tmp_path / "exported").glob("*.json"):
        assert "evil" not in file.read_text(encoding="utf-8"), file  # nor handed on


def test_pickled_weights_and_arrays_are_not_opened(attack) -> None:
    said = attack(hostile.pickled, ["predict", "fresh", "other rows", "export", "attend", "finetune", "push"])
    assert said["predict"].code == 2


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        (hostile.deep("model/toolkit.json"), ["predict", "fresh", "push", "attend"]),
        (hostile.deep("model/config.json"), ["predict", "finetune"]),
        (hostile.deep("model/tokenizer_config.json"), ["predict"]),
        (hostile.deep("run.json"), ["predict", "fresh", "push", "resume"]),
        (hostile.deep("report.json"), ["push"]),
        (hostile.deep("config.yaml"), ["fresh"]),
        (hostile.deep("data/near_duplicates.json"), ["fresh"]),
        (hostile.other_kinds, ["predict", "fresh", "push", "prune-heads"]),
        (hostile.forged_weights, ["predict", "finetune"]),
        (hostile.link_away("evaluations"), ["fresh", "export", "push"]),
        (hostile.link_away("checkpoints"), ["resume"]),
    ],
)
def test_what_is_damaged_or_forged_is_refused(attack, tmp_path: Path, change, commands: list[str]) -> None:
    for name, outcome in attack(change, commands).items():
        assert outcome.code == 2 or name == "finetune", (name, outcome.text)  # --dry-run loads no weights
    assert not list((tmp_path / "elsewhere").glob("*"))


def test_files_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("datasets", "evaluate", "accelerate", "sentiment", "kernels", "random", "pathlib", "json"):
        (tmp_path / f"{name}.py").write_text(hostile.evil(tmp_path), encoding="utf-8")
    table = checkpoints.reviews(tmp_path / "r.csv", 60)
    common = ("--model", checkpoints.TINY, "--data", table, "--epochs", "1", "--num-processes", "2", *FEW)
    quick = ("--set", "evaluation.baselines=false", "--set", "data.cache_gib=0")
    trained = toolkit("finetune", "sentiment", *common, *quick, "--output", "run", cwd=tmp_path)
    assert trained.code == 0, trained.text
    assert not (tmp_path / hostile.MARK).exists()
