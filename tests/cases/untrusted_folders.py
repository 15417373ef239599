"""Folders that came from somebody else: a model, a run."""

import csv
import json
from pathlib import Path

from tests.support import hostile
from tests.support.cli import Outcome, several, toolkit

CLASSES = ["rainy", "sunny", "windy"]


def weather(folder: Path) -> Path:
    """Write a small classifier of three classes with random weights to `folder`/model, and two lines to predict."""
    from tests.support.models import bert, tokenizer

    model = bert()
    model.config.update({"id2label": dict(enumerate(CLASSES)), "label2id": None})
    with_three = type(model)(model.config)
    with_three.save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    (folder / "in.txt").write_text("the cat sat on a mat\non and on\n", encoding="utf-8")
    return folder / "model"


def ask(folder: Path, model: str = "model") -> Outcome:
    """Predict the lines; in any case no planted file is run."""
    outcome = toolkit("predict", model, "--input", "in.txt", "--output", f"{model}.csv", cwd=folder)
    assert not (folder / hostile.MARK).exists(), outcome.text
    return outcome


def case_card_switches_on_code(folder: Path) -> None:
    """A card with `loading` is refused, and the code next to the model is not run."""
    model = weather(folder)
    hostile.edit(model / "toolkit.json", loading={"trust_remote_code": True, "allow_pickle": True})
    hostile.edit(model / "config.json", auto_map={"AutoModelForSequenceClassification": "evil.Evil"})
    (model / "evil.py").write_text(hostile.evil(folder), encoding="utf-8")
    outcome = ask(folder)
    assert (outcome.code, "loading.trust_remote_code" in outcome.err) == (2, True), outcome.text


def case_card_names_a_recipe_file(folder: Path) -> None:
    """A recipe file that a card names is not run, and the message names --recipe."""
    model = weather(folder)
    for name in ("model/evil.py", "../evil.py", str(folder / "evil.py")):
        hostile.edit(model / "toolkit.json", recipe=name)
        for place in (model / "evil.py", folder / "evil.py"):
            place.write_text(hostile.evil(folder), encoding="utf-8")
        outcome = ask(folder)
        assert (outcome.code, "--recipe" in outcome.err) == (2, True), outcome.text


def case_names_of_classes_in_other_forms(folder: Path) -> None:
    """`id2label` as a list, as names → numbers, and `label2id` alone give the predictions of the usual form."""
    model = weather(folder)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    turned = {name: number for number, name in enumerate(CLASSES)}
    forms = {
        "usual": {"id2label": dict(enumerate(CLASSES))},
        "list": {"id2label": CLASSES},
        "turned": {"id2label": turned},
        "label2id": {"label2id": turned},
    }
    for name, form in forms.items():
        model.with_name(name).mkdir()
        for file in model.iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
        written = {**config, "id2label": None, "label2id": None, **form}
        (folder / name / "config.json").write_text(json.dumps(written), encoding="utf-8")
    outcomes = several([["predict", name, "-i", "in.txt", "-o", f"{name}.csv"] for name in forms], folder)
    assert [item.code for item in outcomes] == [0] * len(forms), outcomes[-1].text
    assert len({(folder / f"{name}.csv").read_text(encoding="utf-8") for name in forms}) == 1
    with (folder / "usual.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["prediction"] for row in csv.DictReader(stream)} <= set(CLASSES)
