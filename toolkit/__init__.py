"""Fine-tune pretrained transformers and get a report you can believe.

    from toolkit import finetune, load

    run = finetune("sentiment", model="minilm", data="reviews.csv")
    run.metrics["accuracy"]
    load(run).predict(["A film to see twice."])

Each function does what the command of the same name does, with the command's options as keyword arguments. Importing
this package imports none of them: a function is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.api.analysis.compare import compare
    from toolkit.api.analysis.evaluate import evaluate
    from toolkit.api.analysis.explain import explain
    from toolkit.api.analysis.select import select
    from toolkit.api.analysis.watch import watch
    from toolkit.api.deployment.dossier import dossier
    from toolkit.api.deployment.export import export
    from toolkit.api.deployment.launch import launch
    from toolkit.api.deployment.load import load
    from toolkit.api.deployment.predict import predict
    from toolkit.api.deployment.push import push
    from toolkit.api.preparation.inspect import inspect
    from toolkit.api.results import Run
    from toolkit.api.training.distill import distill
    from toolkit.api.training.finetune import finetune
    from toolkit.api.training.plan import plan
    from toolkit.api.training.repair import repair
    from toolkit.api.training.tune import tune

__version__ = "0.1.0"
__all__ = [
    "Run",
    "compare",
    "distill",
    "dossier",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "inspect",
    "launch",
    "load",
    "plan",
    "predict",
    "push",
    "repair",
    "select",
    "tune",
    "watch",
]

_MODULES = {  # folder of `toolkit.api` → what is imported from its modules of these names
    "analysis": ("compare", "evaluate", "explain", "select", "watch"),
    "deployment": ("dossier", "export", "launch", "load", "predict", "push"),
    "preparation": ("inspect",),
    "training": ("distill", "finetune", "plan", "repair", "tune"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = {verb: f"toolkit.api.{folder}.{verb}" for folder, verbs in _MODULES.items() for verb in verbs}
    globals()[name] = getattr(import_module(places.get(name, "toolkit.api.results")), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
