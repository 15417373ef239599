"""The model card: a report as the Hub's README.md, with its metadata, and results as the Hub reads them.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting"; the metadata are those of the Hub's model cards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from toolkit.exporting.schema import Export
from toolkit.report.pages.render import environment
from toolkit.report.pages.view import view

TAG = "finetune-toolkit"
_SHOWN = ("robustness", "bias", "cost")  # checks whose absence the card's limits mention
_HUB_NAMES = {
    "matthews": "matthews_correlation",
    "auroc": "roc_auc",
    **dict.fromkeys(("macro_f1", "micro_f1", "samples_f1", "entity_f1"), "f1"),
    "r2": "r_squared",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
# names that the Hub explains
_KNOWN_METRICS = ("accuracy", "mae", *_HUB_NAMES.values(), "f1", "bleu", "chrf", "ter", "wer", "cer")
_TAGS = {"onnx": "onnx/", "transformers.js": "onnx/", "openvino": "openvino/"}  # tag → folder with what it stands for
_TASKS = {
    "text-classification": "Text classification",
    "token-classification": "Token classification",
    "image-classification": "Image classification",
    "audio-classification": "Audio classification",
    "automatic-speech-recognition": "Automatic speech recognition",
    "translation": "Translation",
}


@dataclass(frozen=True)
class Publication:
    """Facts of a card that the report does not hold.

    Attributes:
        name: The repository, org/name.
        task: The Hub's name of the task: "text-classification".
        licence: The Hub's name of a licence, if one is known.
        base_model: Hub id of the model that was fine-tuned, if it has one.
        data: Hub id of the data set, if it has one.
        data_name: Display name of the data set.
        revision: Of the data set on the Hub.
        files: Names of the files beside the card.
        max_length: Tokens that an input may have.
        from_scratch: Whether training began with random weights.
        pairs: Whether two texts are classified together.
        code: A program that uses the model with transformers alone.
        benchmark: The Hub's name of the task of the benchmark that the data set is, if it is one.
        languages: Codes of the languages of the data.
        widgets: Examples for the page, as of `widget_examples.of_run`.
        exports: Comparison of each pushed export with the model.
        adapter: Whether the repository holds an adapter, without the weights of its base model.
        script: A program in JavaScript that uses the model.
    """

    name: str
    task: str | None
    licence: str | None
    base_model: str | None
    data: str | None
    data_name: str
    revision: str | None
    files: Sequence[str]
    max_length: int | None
    from_scratch: bool = False
    pairs: bool = False
    code: str | None = None
    benchmark: str | None = None
    languages: Sequence[str] = ()
    widgets: Sequence[Mapping[str, Any]] = ()
    exports: Sequence[Export] = ()
    adapter: bool = False
    script: str | None = None

    @property
    def relation(self) -> str | None:
        """How the model is made from its base model, in the Hub's words."""
        if self.base_model is None:
            return None
        return "adapter" if self.adapter else "finetune"


def to_card(report: Mapping[str, Any], publication: Publication) -> str:
    """Return the text of README.md.

    Args:
        report: The report, without private names.
        publication: Facts of the card that are not in the report.
    """
    content = view(report)
    # other checks are of interest to those who train, and the command for further ones names a folder of this machine
    found = [*content["findings"], *(section for section in content["checks"] if section.key in _SHOWN)]
    body = environment("markdown").get_template("report/card.md.j2").render(content, found=found, card=publication)
    lines = [line.rstrip() for line in body.splitlines()]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return f"---\n{_metadata(report, publication)}---\n\n" + "\n".join(kept).strip() + "\n"


def _metadata(report: Mapping[str, Any], publication: Publication) -> str:
    from huggingface_hub import ModelCardData

    metrics = report["evaluation"]["metrics"]
    named = dict.fromkeys(_HUB_NAMES.get(metric["name"], metric["name"]) for metric in metrics)
    data = ModelCardData(
        license=publication.licence,
        language=list(publication.languages) or None,
        base_model=publication.base_model,
        base_model_relation=publication.relation,
        datasets=[publication.data] if publication.data else None,
        library_name="peft" if publication.adapter else "transformers",
        pipeline_tag=publication.task,
        tags=[TAG, *(tag for tag, folder in _TAGS.items() if any(f.startswith(folder) for f in publication.files))],
        metrics=[name for name in named if name in _KNOWN_METRICS] or None,
        widget=[dict(example) for example in publication.widgets] or None,
        model_name=publication.name.partition("/")[2] if publication.task else None,
        eval_results=_results(report, publication) if publication.task else None,
    )
    return str(data.to_yaml()).strip() + "\n"


def _results(report: Mapping[str, Any], publication: Publication) -> list[Any]:
    """Return the figures as the card's `model-index` holds them."""
    from huggingface_hub import EvalResult

    evaluation, data = report["evaluation"], report["data"]
    return [
        EvalResult(
            task_type=str(publication.task),
            task_name=_TASKS.get(str(publication.task), str(publication.task)),
            dataset_type=publication.data or publication.data_name,
            dataset_name=publication.data_name,
            dataset_split=evaluation["split"],
            dataset_revision=publication.revision,
            dataset_args={"fingerprint": data.get("fingerprint"), "rows": evaluation["rows"]},
            metric_type=_HUB_NAMES.get(metric["name"], metric["name"]),
            metric_name=metric["title"],
            metric_value=round(metric["value"], 6),
        )
        for metric in evaluation["metrics"]
    ]


def to_eval_results(report: Mapping[str, Any], publication: Publication) -> str | None:
    """Return the first figure as `.eval_results/*.yaml` holds it; None for data that are no benchmark of the Hub's."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    if publication.data is None or publication.benchmark is None:
        return None
    evaluation = report["evaluation"]
    metric = evaluation["metrics"][0]
    notes = f"{metric['title']}, {evaluation['split']}, {evaluation['rows']} rows, {report['data'].get('fingerprint')}"
    entry = EvalResultEntry(
        dataset_id=publication.data,
        task_id=publication.benchmark,
        value=round(metric["value"], 6),
        dataset_revision=publication.revision,
        date=report["created"],
        notes=notes + _interval(metric, evaluation["confidence"]),
    )
    return str(yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True))


def _interval(metric: Mapping[str, Any], confidence: float) -> str:
    if metric.get("low") is None:
        return ""
    return f", {100 * confidence:g} % interval {metric['low']:.4f} to {metric['high']:.4f}"
