"""Folders as an attacker would prepare them: each tries to run a planted file, which writes a mark."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = "MARK"  # in the folder in which the commands run

Change = Callable[[Path], None]  # of a run directory


def evil(folder: Path) -> str:
    """Return Python code that writes the mark into `folder`."""
    return f"open({str(folder / MARK)!r}, 'w').close()\n"


def edit(file: Path, **values: Any) -> None:
    """Set keys of a JSON file, which is created if missing."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps({**before, **values}), encoding="utf-8")


def loading(run: Path) -> None:
    """A card that switches on remote code."""
    edit(run / "model" / "toolkit.json", loading={"trust_remote_code": True, "allow_pickle": True})
    code_beside_a_known_family(run)


def code_beside_a_known_family(run: Path) -> None:
    """Files of code, and every key that could make a library run them."""
    model = run / "model"
    models = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "AutoProcessor")
    classes: dict[str, Any] = dict.fromkeys(models, "evil.Evil")
    classes |= {"AutoTokenizer": ["evil.Evil", "evil.Evil"], "AutoImageProcessor": "acme/elsewhere--evil.Evil"}
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        edit(model / name, auto_map=classes, custom_pipelines={"text-classification": {"impl": "evil.Evil"}})
    edit(model / "generation_config.json", custom_generate=".")
    (model / "custom_generate").mkdir()
    places = [model / name for name in ("evil.py", "custom_generate/generate.py", "__init__.py", "sentiment.py")]
    for place in [*places, run / "evil.py", run.parent / "evil.py"]:
        place.write_text(evil(run.parent), encoding="utf-8")


def adapter_of_elsewhere(run: Path) -> None:
    """The configuration of an adapter that names modules to import, and another folder as its base."""
    described = {"peft_type": "LORA", "base_model_name_or_path": "evil", "megatron_core": "evil", "megatron_config": {}}
    edit(run / "model" / "adapter_config.json", **described, auto_mapping={"parent_library": "evil"})
    code_beside_a_known_family(run)


def with_recipe(name: str) -> Change:
    """Return a change that names a recipe wherever a run names one."""

    def change(run: Path) -> None:
        import pyarrow.parquet as pq

        (run / "sub").mkdir()
        for place in (run / "sub" / "evil.py", run / "evil.py", run.parent / "evil.py"):
            place.write_text(evil(run.parent), encoding="utf-8")
        named = name.format(folder=run.parent)
        for file in ("model/toolkit.json", "run.json", "report.json"):
            edit(run / file, recipe=named)
        config = (run / "config.yaml").read_text(encoding="utf-8")
        first = f"recipe: {json.dumps(named)}\n"
        (run / "config.yaml").write_text(first + config.partition("\n")[2], encoding="utf-8")
        table = pq.read_table(run / "predictions.parquet")
        facts = {**json.loads(table.schema.metadata[b"toolkit"]), "recipe": named}
        stored = table.replace_schema_metadata({b"toolkit": json.dumps(facts).encode()})
        pq.write_table(stored, run / "predictions.parquet")

    return change


def pickled(run: Path) -> None:
    """Weights that are pickled code, and a card that allows it."""
    import torch

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, (evil(run.parent),)

    (run / "model" / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, run / "model" / "pytorch_model.bin")
    edit(run / "model" / "toolkit.json", loading={"allow_pickle": True})


def forged_digests(run: Path) -> None:
    """Digests of rows that are a pickled array of objects."""
    import numpy as np

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, (evil(run.parent),)

    np.save(run / "data" / "train.npy", np.array([Evil()], dtype=object), allow_pickle=True)


def deep(name: str) -> Change:
    """Return a change that nests a file's values beyond Python's stack."""

    def change(run: Path) -> None:
        nested = "[" * 20_000 + "]" * 20_000
        (run / name).write_text(f"a: {nested}" if name.endswith("yaml") else f'{{"a": {nested}}}', encoding="utf-8")

    return change


def other_kinds(run: Path) -> None:
    """Facts of other types than were written."""
    edit(run / "run.json", data=[1], training="x", model=7)
    edit(run / "report.json", evaluation=7, config=[])
    edit(run / "model" / "toolkit.json", calibration=[1], pruned_heads={"0": "x"})


def forged_weights(run: Path) -> None:
    """Weights whose index points beyond their end."""
    head = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [10_000, 10_016]}}).encode()
    (run / "model" / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)


def link_away(name: str) -> Change:
    """Return a change that replaces one of the run's folders by a link to a folder next to the run."""

    def change(run: Path) -> None:
        shutil.rmtree(run / name, ignore_errors=True)
        (run.parent / "elsewhere").mkdir(exist_ok=True)
        (run / name).symlink_to(run.parent / "elsewhere")

    return change
