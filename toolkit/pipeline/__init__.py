"""The stages in their order: this is what the commands do.

RunConfig → Splits → (model, processor) → train() → run directory → Scores → report
 prepare.py ────────────────────────────┘ finetune.py ──────────────────────────┘
"""

from toolkit.pipeline.attend import attend
from toolkit.pipeline.auto_model import choose_model
from toolkit.pipeline.compare import compare
from toolkit.pipeline.defaults import KEYS as KEYS_FROM_ROWS
from toolkit.pipeline.defaults import fill_from_data
from toolkit.pipeline.evaluate import evaluate, prepare_evaluation
from toolkit.pipeline.events import Counted, Event, Note, Observe, Stage
from toolkit.pipeline.examination import Examination
from toolkit.pipeline.explain import explain
from toolkit.pipeline.explain import measure as measure_explanations
from toolkit.pipeline.explain_inputs import read_inputs, reads_pictures
from toolkit.pipeline.explain_order import EXAMPLES, Order
from toolkit.pipeline.explanation_store import command as measuring_command
from toolkit.pipeline.export import Exported, export
from toolkit.pipeline.finetune import finetune
from toolkit.pipeline.inspect import Inspected, inspect
from toolkit.pipeline.lr_find import lr_find
from toolkit.pipeline.predict import Predicted, predict
from toolkit.pipeline.predict_inputs import predict_inputs
from toolkit.pipeline.prepare import Prepared, configure, plan, prepare
from toolkit.pipeline.pretrain import pretrain
from toolkit.pipeline.prune import Pruning, prune_heads
from toolkit.pipeline.push import Parcel, check_destination, check_licence, pack, push, size_of
from toolkit.pipeline.resume import unfinished
from toolkit.pipeline.seeds import finetune_seeds
from toolkit.pipeline.show import show
from toolkit.pipeline.tune import folder_of as search_folder
from toolkit.pipeline.tune import tune
from toolkit.training.search_space import build as search_space

__all__ = [
    "EXAMPLES",
    "KEYS_FROM_ROWS",
    "Counted",
    "Event",
    "Examination",
    "Exported",
    "Inspected",
    "Note",
    "Observe",
    "Order",
    "Parcel",
    "Predicted",
    "Prepared",
    "Pruning",
    "Stage",
    "attend",
    "check_destination",
    "check_licence",
    "choose_model",
    "compare",
    "configure",
    "evaluate",
    "explain",
    "export",
    "fill_from_data",
    "finetune",
    "finetune_seeds",
    "inspect",
    "lr_find",
    "measure_explanations",
    "measuring_command",
    "pack",
    "plan",
    "predict",
    "predict_inputs",
    "prepare",
    "prepare_evaluation",
    "pretrain",
    "prune_heads",
    "push",
    "read_inputs",
    "reads_pictures",
    "search_folder",
    "search_space",
    "show",
    "size_of",
    "tune",
    "unfinished",
]
