"""Exports in every form predict as the model, at any batch size and length, or fail."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Made
from tests.support import bitext, checkpoints, models, planted
from tests.support.cli import environment, several, toolkit
from tests.support.errors import refused
from toolkit.errors import ConfigError, RunError
from toolkit.exporting import graph
from toolkit.exporting.runtime import Graph, has_fast_bf16
from toolkit.exporting.schema import Export

QUANTIZED_LAST = sorted(graph.FORMS, key="onnx-int8".__eq__)  # which changes the graph

exporting = importlib.import_module("toolkit.commands.export")  # the package's attribute is the function


def facts(folder: Path) -> Export:
    """Return the keys of export.json in addition to transformers' manifest, validated."""
    known = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    return Export.model_validate({key: known[key] for key in Export.model_fields})


def batch(family: str, rows: int, length: int) -> dict[str, Any]:
    """Return another batch than `models.make`'s: of texts some are padded."""
    import torch

    if family == "vit":
        return {"pixel_values": torch.randn(rows, 3, 8, 8)}
    ids = torch.randint(3, models.WORDS, (rows, length))
    mask = torch.ones_like(ids)
    mask[1::2, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("forms", [("onnx", "openvino"), ("torch-export",)], ids="-".join)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "vit"])
def test_batch_and_length_are_dynamic(family: str, forms: tuple[str, ...], tmp_path: Path) -> None:
    import torch

    model, sample = models.make(family)
    exported = graph.trace(model, sample, forms[0])  # OpenVINO's form is made from the same graph
    for form in forms:
        graph.save(exported, tmp_path / form, form)
        loaded = Graph(tmp_path / form, form)
        for rows, length in ((1, 3), (2, 6), (5, 17)):
            other = batch(family, rows, length)
            with torch.inference_mode():
                torch.testing.assert_close(loaded(**other).logits, model(**other).logits, atol=1e-4, rtol=1e-4)


LOAD = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
found = program(input_ids=torch.full((3, 7), 5), attention_mask=torch.ones(3, 7, dtype=torch.int64))
print(type(found).__name__, tuple(found["logits"].shape), "transformers" in sys.modules)
"""


def test_torch_export_needs_only_torch(tmp_path: Path) -> None:
    model, sample = models.make("distilbert")
    graph.save(graph.trace(model, sample, "torch-export"), tmp_path, "torch-export")
    assert "forward" not in vars(model)  # it is as it was
    done = subprocess.run([sys.executable, "-c", LOAD, tmp_path / "model.pt2"], capture_output=True, text=True)
    assert done.stdout == "dict (3, 2) False\n", done.stderr


@pytest.fixture(scope="module")
def onnx(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "onnx"
    outcome = toolkit("export", made.run, "--to", "onnx", "--output", folder, cwd=made.cwd)
    assert outcome.code == 0, outcome.text
    assert "same prediction" in outcome.out
    assert "80 of 80 held-out test rows (100.00%)" in outcome.out
    assert not [line for line in outcome.err.splitlines() if "experimental" in line or "torchvision" in line]
    return folder


def test_export_json_contents(made: Made, onnx: Path) -> None:
    result = facts(onnx)
    assert (result.form, result.labels, result.rows) == ("onnx", ["neg", "pos"], 80)
    assert (result.agreement.same, result.agreement.value) == (80, 1.0)
    assert result.drift is not None
    assert result.drift.largest < 1e-4
    assert result.difference is not None
    assert (result.difference.metric, result.difference.value) == ("accuracy", 0.0)
    report = json.loads((made.run / "report.json").read_text(encoding="utf-8"))
    accuracy = next(m["value"] for m in report["evaluation"]["metrics"] if m["name"] == "accuracy")
    assert result.difference.original == pytest.approx(accuracy)
    assert result.exported_bytes == (onnx / "onnx" / "model.onnx").stat().st_size
    assert {file.name for file in onnx.iterdir()} >= {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert not [file.name for file in onnx.rglob("*") if file.name.startswith("model.") and file.parent == onnx]
    assert (onnx / "onnx" / "model.onnx.data").stat().st_size == 0  # a browser loads one file
    assert result.original_bytes == (made.run / "model" / "model.safetensors").stat().st_size
    assert result.exported_speed is not None
    assert result.exported_speed.one_ms > 0
    for file in onnx.glob("*.json"):
        assert str(made.cwd) not in file.read_text(encoding="utf-8"), file.name


def test_transformers_loads_it_by_its_manifest(made: Made, onnx: Path) -> None:
    from transformers.exporters import ExportedModel

    ids = batch("bert", 3, 9)
    with graph.silent():
        theirs = ExportedModel.from_pretrained(onnx)(**ids).logits
    assert theirs.shape == (3, 2)
    assert (theirs - Graph(onnx, "onnx")(**ids).logits).abs().max() < 1e-5


def asked(python: str | Path, folder: Path, rows: list[str]) -> list[list[str]]:
    """Run the program of an export, with the last row on the command line and the others on standard input."""
    options = {"input": "".join(f"{row}\n" for row in rows[:-1]), "capture_output": True, "text": True, "check": True}
    command = [str(python), str(folder / "run.py")]
    env = {**environment(), "PYTHONPATH": ""}
    lines = subprocess.run(command, cwd="/", env=env, **options).stdout  # type: ignore[call-overload]
    lines += subprocess.run([*command, rows[-1]], cwd="/", env=env, **{**options, "input": ""}).stdout  # type: ignore[call-overload]
    return [line.split("\t", 2) for line in lines.splitlines()]


def check_program(python: str | Path, made: Made, folder: Path) -> None:
    output = pq.read_table(made.run / "predictions.parquet")
    rows = output["text"].to_pylist()
    answers = asked(python, folder, rows)
    assert [text for _, _, text in answers] == rows
    assert [label for label, _, _ in answers] == [["neg", "pos"][n] for n in output["prediction"].to_pylist()]
    for (_, score, _), probabilities in zip(answers, output["probabilities"].to_pylist(), strict=True):
        assert float(score) == pytest.approx(max(probabilities), abs=1e-4)


def test_exported_program_agrees_with_toolkit(made: Made, onnx: Path) -> None:
    check_program(sys.executable, made, onnx)


def test_exported_program_handles_lines_and_closed_pipe(made: Made, onnx: Path, tmp_path: Path) -> None:
    lines = ["a wonderful film", "", "  ", "a\tdull\tstory", *["a dull story"] * 100]
    (tmp_path / "texts.txt").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode() + b"\nbad \xff byte\n")
    env = {**environment(), "PYTHONPATH": ""}
    program = f"{sys.executable} {onnx / 'run.py'} < texts.txt"
    done = subprocess.run(program, shell=True, cwd=tmp_path, env=env, capture_output=True)
    answers = [line.split("\t", 2) for line in done.stdout.decode().splitlines()]
    assert [text for _, _, text in answers] == [*lines, "bad \ufffd byte"]
    assert [bool(label) for label, _, _ in answers] == [bool(text.strip()) for _, _, text in answers]
    assert answers[1] == ["", "", ""]
    head = ["bash", "-c", f"set -o pipefail; {program} | head -1"]
    seen = subprocess.run(head, cwd=tmp_path, env=env, capture_output=True)
    assert (seen.returncode, seen.stderr) == (0, b"")
    assert seen.stdout.endswith(b"\ta wonderful film\n")


@pytest.mark.slow
def test_an_environment_of_onnxruntime_and_tokenizers_is_enough(made: Made, onnx: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "clean"], check=True)
    python = tmp_path / "clean" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "onnxruntime", "tokenizers"]
    constraints = Path(__file__).parents[2] / "constraints.txt"
    subprocess.run([*install, "-c", constraints], check=True)
    seen = "import importlib.util as u; print([n for n in ('torch', 'transformers', 'toolkit') if u.find_spec(n)])"
    result = subprocess.run([python, "-c", seen], cwd="/", env={"PATH": "/usr/bin"}, capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
    check_program(python, made, onnx)


def test_eight_bits_are_calibrated_on_validation_rows(made: Made, tmp_path: Path) -> None:
    outcome = toolkit("export", made.run, "--to", "onnx-int8", "--output", "small", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    result = facts(tmp_path / "small")
    assert result.quantization is not None
    assert result.quantization.calibrated_on == "validation"
    ways = {item.way: item for item in result.quantization.candidates}
    assert set(ways) == {"static", "dynamic"}
    assert ways[result.quantization.chosen].agreement.same == max(item.agreement.same for item in ways.values())
    assert result.quantization.calibration_rows + ways["static"].agreement.rows == 40  # all validation rows
    assert f"{result.quantization.chosen} is used" in outcome.err
    for item in ways.values():  # predicted one at a time and together
        assert item.batching.agreement.rows == item.agreement.rows
        assert item.batching.drift is not None
    fixed, anew = ways["static"].batching.drift, ways["dynamic"].batching.drift
    assert fixed is not None
    assert anew is not None
    assert fixed.largest < 1e-4
    assert fixed.largest < anew.largest
    import onnx as reader

    made_graph = reader.load(tmp_path / "small" / "onnx" / "model_quantized.onnx").graph
    tables = {item.name: item.data_type for item in made_graph.initializer if "word_embeddings" in item.name}
    assert reader.TensorProto.INT8 in tables.values()
    assert [name for name, kind in tables.items() if kind == reader.TensorProto.FLOAT and "scale" not in name] == []
    assert result.exported_bytes < 0.3 * result.original_bytes
    kinds = {node.op_type for node in made_graph.node}
    assert kinds & {"QuantizeLinear", "DynamicQuantizeLinear"}


@pytest.mark.parametrize("form", ["torch-export", "safetensors"])
def test_other_forms(form: str, made: Made, tmp_path: Path) -> None:
    outcome = toolkit("export", made.run, "--to", form, "--output", "out", "--rows", "20", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    result = facts(tmp_path / "out")
    assert (result.form, result.rows, result.agreement.same) == (form, 20, 20)
    assert not (tmp_path / "out" / "run.py").exists()
    if form == "safetensors":
        checkpoints.reviews(tmp_path / "reviews.csv", 40, seed=9)
        named = "data.label_map={negative: neg, positive: pos}"
        judged = toolkit("evaluate", "out", "--data", "reviews.csv", "--set", named, "--output", "judged", cwd=tmp_path)
        assert judged.code == 0, judged.text


def test_openvino_is_compared_in_both_precisions(made: Made, tmp_path: Path) -> None:
    run(made, tmp_path / "out", form="openvino")
    result = facts(tmp_path / "out")
    assert (result.agreement.value, result.agreement.rows) == (1.0, 80)
    assert result.drift is not None
    assert result.drift.largest < 1e-4
    weights = tmp_path / "out" / "openvino" / "openvino_model.bin"
    assert result.exported_bytes == weights.stat().st_size
    if has_fast_bf16():
        assert result.bf16 is not None
        assert result.bf16.agreement.rows == 80
        assert result.bf16.drift is not None
        assert result.drift.largest < result.bf16.drift.largest < 0.1
    else:
        assert result.bf16 is None


def test_adapters_are_merged(tiny_bert: Path, tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 120)
    training = (
        "finetune", "sentiment", "--model", tiny_bert, "--data", "reviews.csv", "--epochs", "1", "--output", "run",
        "--set", "adapter.kind=lora", "--set", "training.learning_rate=0.01",
    )  # fmt: skip
    outcome = toolkit(*training, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
    folder = tmp_path / "run" / "exports" / "onnx"
    assert written(tmp_path / "run", "onnx").agreement.value == 1.0
    import onnx as reader

    assert not [
        item.name
        for item in reader.load(folder / "onnx" / "model.onnx").graph.initializer
        if "lora" in item.name.lower()
    ]


def written(run: Path, form: str) -> Export:
    """Export a run in this process, which has imported what that needs, and return what export.json says."""
    made = exporting.export(str(run), form, None, {}, None, lambda event: None, tolerance=0.2)
    assert facts(made.folder) == made.report
    assert made.report.form == form
    return made.report


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is traced once for each kind of graph; all forms of ONNX and OpenVINO begin with the same."""
    trace, known = graph.trace, dict[str, Any]()

    def remembered(model: Any, sample: Any, form: str, *further: Any) -> Any:
        if form not in known:
            known[form] = trace(model, sample, form, *further)
        return known[form]

    monkeypatch.setattr(graph, "trace", remembered)


def run(made: Made, output: Path, **changes: Any) -> Any:
    arguments = {"target": str(made.run), "form": "onnx", "output": str(output), "values": {}, "recipe_name": None}
    return exporting.export(**{**arguments, "observe": lambda event: None, **changes})


def test_disagreeing_export_writes_nothing(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = graph.trace

    def broken(model: Any, sample: Any, form: str, *further: Any) -> Any:
        import copy

        import torch

        other = copy.deepcopy(model)
        with torch.no_grad():
            other.classifier.weight.neg_()
        return trace(other, sample, form, *further)

    monkeypatch.setattr(graph, "trace", broken)
    with refused(RunError, "export.different-predictions", "of 80 held-out rows", "0.10%") as error:
        run(made, tmp_path / "out")
    assert error.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_invalid_outputs_and_forms_are_rejected(made: Made, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine", encoding="utf-8")
    with refused(ConfigError, "output.exists", "taken"):
        run(made, tmp_path / "taken")
    with refused(ConfigError, "config.unknown-choice", "`tflite`", "onnx"):
        run(made, tmp_path / "out", form="tflite")
    assert (tmp_path / "taken" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_an_earlier_export_is_replaced(made: Made, tmp_path: Path) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    weights = run / "exports" / "safetensors" / "model.safetensors"
    written(run, "safetensors")
    weights.unlink()
    written(run, "safetensors")
    assert weights.is_file()


@pytest.mark.usefixtures("traced_once")
def test_models_of_pictures_are_exported_with_their_processor(tmp_path: Path) -> None:
    planted.folder(tmp_path / "data", 30, seed=0, names=list(planted.COLOURS))
    training = (
        "finetune", "image", "--model", "vit-tiny", "--from-scratch", "--data", "data", "--epochs", "1",
        "--output", "run", "--set", "options.image_size=32", "--set", "evaluation.checks=[]",
    )  # fmt: skip
    outcome = toolkit(*training, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    exports = {form: written(tmp_path / "run", form) for form in QUANTIZED_LAST}
    assert exports["onnx"].agreement.value == 1.0
    folder = tmp_path / "run" / "exports" / "onnx"
    assert (folder / "preprocessor_config.json").is_file()
    assert not (folder / "run.py").exists()  # it reads texts


def test_graph_above_2_gb_has_external_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model, sample = models.make("bert")
    monkeypatch.setattr(graph, "_LARGEST_FILE", 1000)
    graph.save(graph.trace(model, sample, "onnx"), tmp_path, "onnx")
    assert (tmp_path / "onnx" / "model.onnx_data").stat().st_size > 4 * 16 * 50  # the table of embeddings at least
    with torch.inference_mode():
        torch.testing.assert_close(
            Graph(tmp_path, "onnx")(**sample).logits, model(**sample).logits, atol=1e-4, rtol=1e-4
        )


def test_dynamic_ranges_are_predicted_one_at_a_time(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "QUANTIZATION_METHODS", ("dynamic",))
    run(made, tmp_path / "out", form="onnx-int8", tolerance=1.0)
    rows = pq.read_table(made.run / "predictions.parquet")["text"].to_pylist()[:6]
    together = asked(sys.executable, tmp_path / "out", [*rows, rows[0]])
    assert together[0] == together[-1]  # the last is predicted alone


@pytest.mark.usefixtures("traced_once")
def test_token_labels_are_exported_in_every_form(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [
        {"words": [name, verb, "home", str(day)], "labels": ["B-PER", "O", "B-LOC", "O"]}
        for day in range(20)
        for name, verb in (("Ann", "goes"), ("Bob", "is"), ("Cy", "ran"))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    training = ("finetune", "tokens", "--model", tiny_bert, "--data", "rows.jsonl", "--epochs", "3", "--output", "run")
    settings = ("--learning-rate", "1e-3", "--set", "evaluation.checks=[]")
    outcome = toolkit(*training, *settings, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    for form in QUANTIZED_LAST:
        found = written(tmp_path / "run", form)
        assert "labels" not in found.inputs
        assert found.difference is not None
        assert found.difference.metric == "entity_f1"
        if form != "onnx-int8":
            assert found.agreement.value == 1.0


def test_text_generation_exports_safetensors_only(tmp_path: Path) -> None:
    model = bitext.t5(tmp_path / "t5")
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(120))
    training = (
        "finetune", "translation", "--model", model, "--data", "toy.tsv", "--source", "en", "--target", "de",
        "--epochs", "1", "--output", "run",
    )  # fmt: skip
    outcomes = several([training, ("export", "run", "--to", "safetensors", "--output", "out")], tmp_path)
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[-1].text
    for form in ("onnx", "openvino"):
        refused = toolkit("export", "run", "--to", form, cwd=tmp_path)
        assert refused.code == 2, refused.text
        assert "[export.text-generation]" in refused.err
    assert facts(tmp_path / "out").agreement.value == 1.0
