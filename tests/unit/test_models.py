"""Checkpoints of several families: their configuration, rejected ones, loaded ones."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import models as toys
from tests.support.errors import refused
from toolkit import checkpoints, models, runs, sources
from toolkit.checkpoints import aliases, files
from toolkit.config.settings import LoadingConfig, TrainingConfig
from toolkit.errors import CallError, ModelError
from toolkit.model_names import ALIASES

SMALL = {"vocab_size": 40, "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}


def family(name: str):
    """Return a tiny configuration of a model family."""
    import transformers

    if name == "distilbert":
        return transformers.DistilBertConfig(vocab_size=40, n_layers=1, dim=16, n_heads=2, hidden_dim=16)
    if name == "roberta":
        return transformers.RobertaConfig(**SMALL, max_position_embeddings=34, pad_token_id=1)
    return transformers.BertConfig(**SMALL, max_position_embeddings=32)


@pytest.fixture(params=["bert", "distilbert", "roberta"])
def name(request) -> str:
    return request.param


@pytest.fixture
def folder(name, tmp_path) -> Path:
    """A random checkpoint without a head."""
    import transformers

    transformers.AutoModel.from_config(family(name)).save_pretrained(tmp_path / name)
    return tmp_path / name


def stored(folder: Path, config: object, *files: str) -> Path:
    """Write a folder that looks like a checkpoint."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    for file in files or ("model.safetensors",):
        (folder / file).touch()
    return folder


def located(config: dict) -> checkpoints.Checkpoint:
    return checkpoints.Checkpoint("x", Path("x"), "x", None, None, config)


def fault(identifier: str, name: str | Path, loading: LoadingConfig | None = None) -> str:
    with refused(CallError, identifier) as caught:
        checkpoints.locate(str(name), loading or LoadingConfig())
    return f"{caught.value.problem} {caught.value.fix}"


# --- configuration --------------------------------------------------------------------------------------------------


def test_width_and_learning_rate(name, folder):
    checkpoint = checkpoints.locate(str(folder), LoadingConfig())
    assert checkpoint.config["model_type"] == name
    assert checkpoint.hidden_size == 16
    factor = 0.2 if name in ("vit", "deit") else 1
    assert checkpoints.learning_rate(checkpoint) == pytest.approx(factor * 5e-5 * 768 / 16)


@pytest.mark.parametrize(
    ("config", "rate"), [({"hidden_size": 768}, 5e-5), ({"d_model": 384}, 1e-4), ({"dim": 3072}, 1.25e-5), ({}, 5e-5)]
)
def test_the_learning_rate_falls_with_the_width(config, rate):
    assert checkpoints.learning_rate(located(config)) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512),
        ({"model_type": "t5"}, None),
        ({"model_type": "xlnet", "max_position_embeddings": -1}, None),
    ],
)
def test_the_longest_input(config, longest):
    assert checkpoints.longest_input(located(config)) == longest


def test_adapters_learn_at_ten_times_the_rate():
    checkpoint = located({"hidden_size": 384})
    assert checkpoints.learning_rate(checkpoint, "lora") == pytest.approx(1e-3)
    assert "times 10 for adapters" in checkpoints.learning_rate_rule(checkpoint, "lora")
    assert "times" not in checkpoints.learning_rate_rule(checkpoint)
    assert checkpoints.learning_rate(checkpoint, "none") == pytest.approx(1e-4)
    assert checkpoints.learning_rate(checkpoint, head_alone=True) == pytest.approx(1e-3)


def test_a_pretrained_vision_transformer_learns_at_a_fifth_of_the_rate():
    checkpoint = located({"hidden_size": 384, "patch_size": 14, "image_size": 224})
    assert checkpoints.learning_rate(checkpoint) == pytest.approx(2e-5)
    assert "times 0.2" in checkpoints.learning_rate_rule(checkpoint)
    assert checkpoints.learning_rate(checkpoint, from_scratch=True) == pytest.approx(1e-3)
    convolutions = located({"hidden_sizes": [96, 192], "patch_size": 4, "image_size": 224})
    assert checkpoints.learning_rate(convolutions) == pytest.approx(5e-5)


def test_the_longest_input_is_one_that_the_model_takes(name, folder):
    import torch
    import transformers

    longest = checkpoints.longest_input(checkpoints.locate(str(folder), LoadingConfig()))
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = torch.full((1, longest), 5)
    assert model(input_ids=tokens).last_hidden_state.shape[1] == longest
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 5))


def test_classes_come_in_the_order_of_the_logits():
    names = {str(number): f"class {number}" for number in reversed(range(12))}
    assert checkpoints.label_names(located({"id2label": names})) == tuple(f"class {n}" for n in range(12))
    assert checkpoints.label_names(located({})) == ()
    assert checkpoints.label_names(located({"architectures": ["BertForSequenceClassification"]})) == (
        "LABEL_0",
        "LABEL_1",
    )


NAMED = {
    "a list": {"id2label": ["sad", "glad", "mad"]},
    "names to numbers": {"id2label": {"mad": 2, "sad": 0, "glad": 1}},
    "written numbers": {"id2label": {"mad": "2", "sad": "0", "glad": "1"}},
    "label2id alone": {"label2id": {"mad": 2, "sad": 0, "glad": 1}},
}


@pytest.mark.parametrize("how", NAMED)
def test_names_of_classes_are_read_whatever_way_they_are_written(tmp_path, how):
    from transformers import AutoModelForSequenceClassification as Auto

    model, _ = toys.make("bert")
    model.save_pretrained(tmp_path)
    toys.tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "id2label": None, "label2id": None, **NAMED[how]}), encoding="utf-8")
    result = checkpoints.locate(str(tmp_path), LoadingConfig())
    assert checkpoints.label_names(result) == ("sad", "glad", "mad")
    loaded = models.load(Auto, tmp_path, checkpoints.label_names(result), LoadingConfig(), TrainingConfig())
    assert loaded.config.id2label == {0: "sad", 1: "glad", 2: "mad"}
    assert models.load_tokenizer(tmp_path, LoadingConfig()).is_fast
    assert models.load_bare(tmp_path, LoadingConfig()).config.model_type == "bert"


@pytest.mark.parametrize(
    "values",
    [
        {"id2label": 7},
        {"id2label": {"sad": "first"}},
        {"id2label": {"0": None}},
        {"id2label": {"sad": 0, "glad": 0}},
        {"model_type": ["bert"]},
        {"pad_token_id": "x"},
        {"max_position_embeddings": [512]},
    ],
)
def test_a_config_that_holds_something_else_is_refused(tmp_path, values):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **values}), encoding="utf-8")
    with refused(ModelError, "model.config-damaged", next(iter(values))):
        checkpoints.locate(str(tmp_path), LoadingConfig())


@pytest.mark.parametrize(
    "values", [{"attn_implementation": "acme/kernel"}, {"text_config": {"experts_implementation": "acme/kernel@v1:f"}}]
)
def test_code_of_the_hub_that_computes_a_part_of_the_model_is_asked_for(tmp_path, values):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **values}), encoding="utf-8")
    with refused(ModelError, "model.remote-code", "--trust-remote-code"):
        checkpoints.locate(str(tmp_path), LoadingConfig())
    assert checkpoints.locate(str(tmp_path), LoadingConfig(trust_remote_code=True)).path == tmp_path


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("RobertaForSequenceClassification", "text"),
        ("DeiTForImageClassificationWithTeacher", "image"),
        ("BertForTokenClassification", "tokens"),
        ("T5ForConditionalGeneration", "translation"),
        ("MarianMTModel", "translation"),
        ("BertModel", None),
    ],
)
def test_the_task_of_a_model_of_elsewhere_is_read_off_its_class(architecture, task):
    assert checkpoints.task_of(located({"architectures": [architecture]})) == task
    assert checkpoints.task_of(located({})) is None


def test_a_model_that_gives_no_classes_is_refused():
    checkpoints.check_head(located({}))  # without a model type
    checkpoints.check_head(located({"architectures": ["BertForSequenceClassification"]}))
    with refused(ModelError, "model.not-fine-tuned", "BertForMaskedLM"):
        checkpoints.check_head(located({"architectures": ["BertForMaskedLM"]}))


@pytest.mark.parametrize(
    "training", [TrainingConfig(dropout=0.0, attention_dropout=0.0), TrainingConfig(dropout=0.3, attention_dropout=0.2)]
)
def test_dropout_reaches_every_dropout_of_the_model(name, folder, training):
    import torch
    import transformers

    auto = transformers.AutoModelForSequenceClassification
    model = models.load(auto, folder, ["a", "b", "c"], LoadingConfig(), training)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} <= {
        training.dropout,
        training.attention_dropout,
    }
    if training.dropout == 0.0:  # nothing is random any more
        batch = {"input_ids": torch.full((4, 8), 5)}
        assert torch.equal(model.train()(**batch).logits, model.train()(**batch).logits)


def test_dropout_is_the_checkpoints_when_not_given(name):
    config = family(name)
    assert models.dropout_settings(config, TrainingConfig(dropout=None, attention_dropout=None)) == {}
    only = models.dropout_settings(config, TrainingConfig(dropout=None, attention_dropout=0.0))
    assert only
    assert set(only.values()) == {0.0}
    assert all("attention" in key for key in only)


def test_a_head_alone_is_trained_without_dropout_so_that_its_inputs_are_computed_once(name, folder):
    import torch
    import transformers

    from toolkit.training.acceleration import frozen_features
    from toolkit.training.adaptation.layer_groups import freeze

    batch = {"input_ids": torch.full((4, 8), 5), "labels": torch.tensor([0, 1, 2, 0])}
    for training, stored in (
        (TrainingConfig(freeze="trunk"), True),
        (TrainingConfig(freeze="trunk", dropout=0.3), False),
    ):
        auto = transformers.AutoModelForSequenceClassification
        model = models.load(auto, folder, ["a", "b", "c"], LoadingConfig(), training)
        model.config.problem_type = "single_label_classification"
        freeze(model, "trunk")
        rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
        assert rates <= {0.0, training.dropout}
        found = frozen_features.find(model, batch)
        if not stored:
            assert found is None
        elif name in ("bert", "distilbert"):
            assert (found is not None) is (name == "bert")  # DistilBERT's head is two layers


def test_dropout_that_a_family_does_not_have_is_not_invented():
    config = SimpleNamespace(dropout=None, attention_dropout=0.1)
    assert models.dropout_settings(config, TrainingConfig(dropout=0.5, attention_dropout=0.5)) == {
        "attention_dropout": 0.5
    }


# --- loading and saving ---------------------------------------------------------------------------------------------


def test_a_saved_model_comes_back_with_its_classes(folder, tmp_path):
    import torch
    import transformers

    auto = transformers.AutoModelForSequenceClassification
    processor = SimpleNamespace(save_pretrained=lambda folder: (folder / "processor.json").touch())
    model = models.load(
        auto,
        folder,
        ["sad", "glad", "mad"],
        LoadingConfig(),
        TrainingConfig(),
        problem_type="single_label_classification",
    )
    models.save(model, processor, tmp_path / "out")
    again = checkpoints.locate(str(tmp_path / "out"), LoadingConfig())
    assert checkpoints.label_names(again) == ("sad", "glad", "mad")
    loaded = models.load(auto, again.path, checkpoints.label_names(again), LoadingConfig(), TrainingConfig())
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert loaded.dtype == torch.float32
    assert models.size(loaded)[1] == 4 * models.size(loaded)[0]
    other = models.load(auto, again.path, ["no", "yes"], LoadingConfig(), TrainingConfig())
    assert other.num_labels == 2


def test_damaged_weights_are_said(folder):
    import transformers

    with (folder / "model.safetensors").open("r+b") as stream:
        stream.truncate(100)
    with refused(ModelError, "model.weights-damaged", str(folder)):
        models.load(transformers.AutoModel, folder, ["a", "b"], LoadingConfig(), TrainingConfig())


def test_a_folder_without_a_tokenizer_is_said(folder):
    with refused(ModelError, "model.tokenizer-missing", "tokenizer.json"):
        models.load_tokenizer(folder, LoadingConfig())


def test_a_folder_in_the_place_of_a_tokenizer_is_none(folder):
    (folder / "tokenizer.json").mkdir()
    with refused(ModelError, "model.tokenizer-missing", "tokenizer.json"):
        models.load_tokenizer(folder, LoadingConfig())


def test_a_tokenizer_that_is_broken_is_said(folder):
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with refused(ModelError, "model.cannot-load", "line 1 column 2"):
        models.load_tokenizer(folder, LoadingConfig())


def test_verbosity_is_as_before_after_a_failure():
    import transformers

    level = transformers.logging.get_verbosity()
    with pytest.raises(ZeroDivisionError), models.quiet():
        assert transformers.logging.get_verbosity() > level
        raise ZeroDivisionError
    assert transformers.logging.get_verbosity() == level


def test_only_failures_of_loading_are_turned_into_messages():
    for error in (OSError("x"), KeyError("x"), RuntimeError("size mismatch"), ZeroDivisionError(), MemoryError()):
        with refused(ModelError, "model.cannot-load"), models.model_errors(Path("x")):
            raise error
    for other in (KeyboardInterrupt, SystemExit):
        with pytest.raises(other), models.model_errors(Path("x")):
            raise other
    refusal = ModelError("already said", "so")
    with pytest.raises(ModelError) as caught, models.model_errors(Path("x")):
        raise refusal
    assert caught.value is refusal


# --- what is refused ------------------------------------------------------------------------------------------------


def test_pickled_weights_are_refused(tmp_path):
    pickled = stored(tmp_path / "model", {"model_type": "bert"}, "pytorch_model.bin")
    assert "pickled code (pytorch_model.bin)" in fault("model.unsafe-weights", pickled)
    assert checkpoints.locate(str(pickled), LoadingConfig(allow_pickle=True)).path == pickled


def test_pickled_weights_are_not_loaded_even_when_located(folder):
    import torch
    import transformers

    state = transformers.AutoModel.from_pretrained(folder).state_dict()
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with refused(ModelError, "model.cannot-load"):
        models.load(transformers.AutoModel, folder, ["a", "b"], LoadingConfig(), TrainingConfig())
    loading = LoadingConfig(allow_pickle=True)
    models.load(transformers.AutoModel, folder, ["a", "b"], loading, TrainingConfig())


def test_code_of_the_checkpoints_own_is_refused_by_name(tmp_path):
    config = {"model_type": "brand_new", "auto_map": {"AutoModel": "modeling.Model"}}
    own = stored(tmp_path / "model", config)
    (own / "modeling.py").write_text("raise AssertionError('the code was run')", encoding="utf-8")
    assert "--trust-remote-code" in fault("model.remote-code", own)
    assert checkpoints.locate(str(own), LoadingConfig(trust_remote_code=True)).path == own


@pytest.mark.parametrize(
    "named",
    [
        {"attn_implementation": "org/kernel"},
        {"_experts_implementation_internal": "org/kernel"},
        {"text_config": {"inner": {"attn_implementation": {"": "org/kernel"}}}},
    ],
)
def test_kernels_of_the_hub_need_trust_however_deep_they_are_named(named, tmp_path):
    own = stored(tmp_path / "model", {"model_type": "bert", **named})
    assert "--trust-remote-code" in fault("model.remote-code", own)
    assert checkpoints.locate(str(own), LoadingConfig(trust_remote_code=True)).path == own


def test_a_known_family_that_also_brings_code_needs_no_trust(tmp_path):
    config = {"model_type": "bert", "auto_map": {"AutoModel": "modeling.Model"}}
    assert checkpoints.locate(str(stored(tmp_path / "model", config)), LoadingConfig()).config == config


@pytest.mark.parametrize("content", ["", "{", "[]", '"bert"', "\x00"])
def test_a_damaged_configuration_is_said(tmp_path, content):
    assert "config.json of" in fault("model.config-damaged", stored(tmp_path / "model", content))


def finished(folder: Path) -> runs.Run:
    run = runs.Run(folder)
    stored(run.model, {"model_type": "bert"})
    runs.write_json(run.model / "toolkit.json", {"recipe": "sentiment"})
    runs.write_text(folder / "config.yaml", "recipe: sentiment\n")
    run.record(status="complete")
    return run


def test_a_run_that_did_not_finish_holds_no_model(tmp_path):
    runs.Run(tmp_path).record(status="failed")
    assert "did not finish" in fault("run.unfinished", tmp_path)


@pytest.mark.parametrize(("content", "reason"), [('{"status": "compl', "not JSON"), ("[]", "not an object")])
def test_a_damaged_run_json_is_not_called_unfinished(tmp_path, content, reason):
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    message = fault("run.damaged", tmp_path)
    assert f"{tmp_path / 'run.json'} cannot be read" in message
    assert reason in message


@pytest.mark.parametrize("missing", ["config.yaml", "model", "model/toolkit.json"])
def test_a_run_that_lost_a_part_says_which(tmp_path, missing):
    run = finished(tmp_path)
    lost = run.path / missing
    lost.rename(tmp_path / "elsewhere")
    assert f"is incomplete: {missing} is missing" in fault("run.file-missing", tmp_path)


def test_a_finished_run_is_its_model(tmp_path):
    run = finished(tmp_path)
    checkpoint = checkpoints.locate(str(tmp_path), LoadingConfig())
    assert checkpoint.path == run.model
    assert checkpoint.name == str(tmp_path)


def test_a_misspelt_alias_is_answered_with_the_nearest(no_hub, monkeypatch):
    monkeypatch.setattr(files, "_cached", lambda *_: None)
    monkeypatch.setattr(files, "cached_models", list)
    assert "Did you mean `distilbert`?" in fault("hub.unreachable", "distillbert")


def test_with_no_network_the_message_names_what_works(no_hub, monkeypatch):
    monkeypatch.setattr(files, "_cached", lambda *_: None)
    monkeypatch.setattr(files, "cached_models", lambda: ["org/kept"])
    monkeypatch.setattr(aliases, "is_there", lambda name: True)
    said = fault("hub.unreachable", "org/absent")
    assert "org/absent is not on this machine and there is no network" in said
    assert "minilm (packaged)" in said
    assert "org/kept (cached)" in said
    assert "vit-tiny (for pictures, with --from-scratch)" in said
    monkeypatch.setattr(files, "cached_models", list)
    monkeypatch.setattr(aliases, "is_there", lambda name: False)
    assert "finetune-toolkit[demo]" in fault("hub.unreachable", "org/absent")


def test_every_alias_has_a_name_on_the_hub():
    assert {"bert", "distilbert", "minilm", "roberta"} <= ALIASES.keys()
    for alias in ALIASES.values():
        assert alias.form is not None or sources.parse(alias.hub.format(source="en", target="fr")).kind == "hub"
        assert alias.packaged is None or sources.parse(alias.packaged).kind == "package"


def test_a_form_is_there_and_needs_to_be_asked_for_from_scratch():
    assert "Add --from-scratch" in fault("model.no-weights", "vit-tiny")
    result = checkpoints.locate("vit-tiny", LoadingConfig(from_scratch=True))
    assert (result.hidden_size, result.path.is_dir()) == (96, True)
    assert checkpoints.learning_rate(result, from_scratch=True) == 2e-3


@pytest.mark.parametrize(("known", "fits"), [(9, False), (10, True), (None, True)])
def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path, known, fits):
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": known}), encoding="utf-8")
    if fits:
        models._check_vocabulary(tmp_path, range(10))
        return
    with refused(ModelError, "model.tokenizer-mismatch", "10 tokens", "9"):
        models._check_vocabulary(tmp_path, range(10))


@pytest.mark.parametrize(("family", "reads", "task"), [("bert", "text", "image"), ("vit", "image", "text")])
def test_a_family_that_reads_something_else_is_refused(family, reads, task, tmp_path):
    checkpoint = checkpoints.Checkpoint("acme/model", tmp_path, "acme/model", None, None, {"model_type": family})
    checkpoints.check_classifier(checkpoint, reads)
    checkpoints.check_classifier(checkpoint, "a modality of one's own")
    with refused(ModelError, "model.wrong-family", f"family {family}"):
        checkpoints.check_classifier(checkpoint, task)


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("t5", {"prefix": None, "source": None, "target": "fr"}, True),
        ("t5", {"prefix": None, "source": "en", "target": "fr"}, False),
        ("t5", {"prefix": "", "source": None, "target": None}, False),
        ("marian", {"prefix": None, "source": None, "target": None}, False),
        ("t5", {}, False),
    ],
)
def test_a_t5_that_is_not_told_what_to_do_is_said(family, options, said, tmp_path):
    checkpoint = checkpoints.Checkpoint("acme/model", tmp_path, "acme/model", None, None, {"model_type": family})
    assert bool(checkpoints.unasked(checkpoint, options)) == said
