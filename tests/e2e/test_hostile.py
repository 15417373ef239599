"""Nothing that came with a folder is run by any command; damaged files are rejected with one message."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints, hostile
from tests.support.cli import Outcome, several, toolkit
from tests.support.hub import LocalHub
from tests.support.json_documents import document

FEW = "--set evaluation.resamples=100"
COMMANDS = {
    "predict": "predict {t} --input in.txt --output {t}.csv",
    "evaluate": f"evaluate {{t}} {FEW}",
    "fresh": f"evaluate {{t}} --fresh {FEW}",
    "other rows": f"evaluate {{t}} --data r.csv --output {{t}}-judged {FEW}",
    "explain": "explain {t} film",
    "export": "export {t} --to safetensors --rows 8 --output {t}-exported",
    "compare": "compare {t} good --output {t}-compared",
    "prune-heads": "prune-heads {t} --rows 8 --output {t}-pruned",
    "push": "push {t} acme/model --dry-run",
    "dossier": "dossier {t} --output {t}-dossier",
    "serve": "serve {t} --port 0",
    "app": "app {t} --port 0 --no-browser",
    "attend": "attend {t} film",
    "finetune": "finetune sentiment --model {t} --data r.csv --dry-run",
    "resume": "finetune sentiment --data r.csv --output {t} --resume",
    "tune": "tune sentiment --model {t}/model --data {t} --output {t}",
    "inspect": "inspect {t}",
}
LOADING = list(COMMANDS)[:-4]  # those that load a run's model by its card; for `compare` its predictions
Attacks = Mapping[str, tuple[hostile.Change, Sequence[str]]]
Attack = Callable[[Attacks], dict[str, dict[str, Outcome]]]


@pytest.fixture
def attack(made: Made, tmp_path: Path) -> Attack:
    """Change copies of a run, and run commands on each; return name of the copy → command → outcome.

    Nothing that was planted may have been run, and no command may have failed otherwise than by a refusal.
    """

    def run(attacks: Attacks) -> dict[str, dict[str, Outcome]]:
        shutil.copytree(made.run, tmp_path / "good")
        checkpoints.reviews(tmp_path / "r.csv", 40)
        (tmp_path / "in.txt").write_text("a fine film\n", encoding="utf-8")
        for name, (change, _) in attacks.items():
            shutil.copytree(made.run, tmp_path / name)
            change(tmp_path / name)
            (tmp_path / name / "SHA256SUMS").unlink()  # an attacker can leave the digests out
        requests = [(name, command) for name, (_, commands) in attacks.items() for command in commands]
        with LocalHub() as hub:
            env = hub.environment(tmp_path / "hf", hub.token)
            lines = [COMMANDS[command].format(t=name).split() for name, command in requests]
            outcomes = several(lines, tmp_path, env, timeout=900, all_of_them=True)
        results: dict[str, dict[str, Outcome]] = {name: {} for name in attacks}
        for (name, command), outcome in zip(requests, outcomes, strict=True):
            assert outcome.code in (0, 2), (name, command, outcome.text)
            results[name][command] = outcome
        assert not (tmp_path / hostile.MARK).exists(), {key: list(values) for key, values in results.items()}
        return results

    return run


def test_model_card_cannot_enable_code(attack: Attack) -> None:
    output = attack({"t": (hostile.loading, list(COMMANDS))})["t"]
    for command in LOADING:
        if command != "compare":
            assert (output[command].code, "`loading." in output[command].err) == (2, True), (
                command,
                output[command].text,
            )


def test_a_recipe_that_a_folder_names_is_not_run(attack: Attack) -> None:
    names = {
        "near": "./evil.py", "below": "below/sub/evil.py", "above": "../evil.py", "whole": "{folder}/evil.py",
        "bare": "evil", "odd": "sub\t\x1b[2J;evil.py",
    }  # fmt: skip
    every = [command for command in LOADING if command != "attend"]
    some = ["predict", "compare", "push"]
    attacks = {t: (hostile.with_recipe(name), every if t == "near" else some) for t, name in names.items()}
    for name, outcomes in attack(attacks).items():
        for command, outcome in outcomes.items():
            assert (outcome.code, "--recipe" in outcome.err) == (2, True), (name, command, outcome.text)


def test_code_of_a_known_family_is_not_run(attack: Attack, tmp_path: Path) -> None:
    commands = ["predict", "fresh", "explain", "export", "attend", "finetune"]
    message = attack(
        {
            "known": (hostile.code_beside_a_known_family, commands),
            "adapter": (hostile.adapter_of_elsewhere, ["predict", "attend"]),
            "pickled": (hostile.pickled, ["predict", "fresh", "other rows", "export", "attend", "finetune", "push"]),
        }
    )
    assert {outcome.code for outcome in message["known"].values()} == {0}
    assert "evil.Evil" not in "".join(file.read_text("utf-8") for file in (tmp_path / "known-exported").glob("*.json"))
    assert {outcome.code for outcome in message["pickled"].values()} == {2}


def test_damaged_and_forged_files_are_rejected(attack: Attack, tmp_path: Path) -> None:
    deep = {
        "card": ("model/toolkit.json", ["predict", "fresh", "push", "attend"]),
        "config": ("model/config.json", ["predict", "finetune"]),
        "tokenizer": ("model/tokenizer_config.json", ["predict"]),
        "facts": ("run.json", ["predict", "fresh", "push", "resume"]),
        "report": ("report.json", ["push"]),
        "values": ("config.yaml", ["fresh"]),
        "repeated": ("data/near_duplicates.json", ["fresh"]),
    }
    attacks: dict[str, tuple[hostile.Change, Sequence[str]]] = {
        f"deep-{name}": (hostile.deep(file), commands) for name, (file, commands) in deep.items()
    }
    attacks |= {
        "kinds": (hostile.other_kinds, ["predict", "fresh", "push", "prune-heads"]),
        "weights": (hostile.forged_weights, ["predict", "attend"]),
        "digests": (hostile.forged_digests, ["other rows"]),
        "linked": (hostile.link_away("evaluations"), ["fresh", "export", "push"]),
        "linked-states": (hostile.link_away("checkpoints"), ["resume"]),
    }
    for name, outcomes in attack(attacks).items():
        for command, outcome in outcomes.items():
            assert outcome.code == 2, (name, command, outcome.text)
    assert not list((tmp_path / "elsewhere").glob("*"))


def test_processes_import_nothing_from_the_current_folder_and_print_one_document(tmp_path: Path) -> None:
    for name in ("datasets", "evaluate", "accelerate", "sentiment", "kernels", "random", "pathlib", "json"):
        (tmp_path / f"{name}.py").write_text(hostile.evil(tmp_path), encoding="utf-8")
    table = checkpoints.reviews(tmp_path / "r.csv", 60)
    common = ("--model", checkpoints.TINY, "--data", table, "--epochs", "1", "--num-processes", "2", *FEW.split())
    quick = ("--set", "evaluation.baselines=false", "--set", "data.cache_gib=0", "--set", "training.device=cpu")
    batches = ("--batch-size", "16", "--set", "training.micro_batch_size=4")
    command = ("finetune", "sentiment", *common, *quick, *batches, "--output", "run", "--json")
    trained = toolkit(*command, cwd=tmp_path, fresh=True)
    assert trained.code == 0, trained.text
    assert not (tmp_path / hostile.MARK).exists()
    assert document(trained, "finetune")["path"] == "run"
    assert re.search(r"\b16 examples\b.*\b2 processes, 8 each", trained.err), "in all, and for each device"
    assert re.search(r"\b8 examples in each process\b.*\bat most 4\b", trained.err)
    assert "16 (8 in each of 2 processes)" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
