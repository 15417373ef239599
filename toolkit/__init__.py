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
    from toolkit.api.compare import compare
    from toolkit.api.dossier import dossier
    from toolkit.api.evaluate import evaluate
    from toolkit.api.explain import explain
    from toolkit.api.export import export
    from toolkit.api.finetune import finetune
    from toolkit.api.inspect import inspect
    from toolkit.api.load import load
    from toolkit.api.predict import predict
    from toolkit.api.push import push
    from toolkit.api.repair import repair
    from toolkit.api.results import Run
    from toolkit.api.select import select
    from toolkit.api.tune import tune
    from toolkit.api.watch import watch

__version__ = "0.1.0"
__all__ = [
    "Run",
    "compare",
    "dossier",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "inspect",
    "load",
    "predict",
    "push",
    "repair",
    "select",
    "tune",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module("toolkit.api.results" if name == "Run" else f"toolkit.api.{name}")
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
