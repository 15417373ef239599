"""Every command as a function."""

from toolkit.commands.attend import attend
from toolkit.commands.compare import compare
from toolkit.commands.evaluate.examination import Examination
from toolkit.commands.evaluate.run import evaluate, prepare_evaluation
from toolkit.commands.explain.inputs import read_inputs, reads_pictures
from toolkit.commands.explain.request import EXAMPLES, Order
from toolkit.commands.explain.run import explain
from toolkit.commands.explain.run import measure as measure_explanations
from toolkit.commands.explain.store import command as measuring_command
from toolkit.commands.export import Exported, export
from toolkit.commands.finetune.defaults import KEYS as KEYS_FROM_ROWS
from toolkit.commands.finetune.defaults import fill_from_data
from toolkit.commands.finetune.prepare import Prepared, configure, plan, prepare
from toolkit.commands.finetune.resume import unfinished
from toolkit.commands.finetune.run import finetune
from toolkit.commands.finetune.seeds import finetune_seeds
from toolkit.commands.inspect import Inspected, inspect
from toolkit.commands.inspect_images import show
from toolkit.commands.lr_find import lr_find
from toolkit.commands.predict.inputs import predict_inputs
from toolkit.commands.predict.run import Predicted, predict
from toolkit.commands.pretrain import pretrain
from toolkit.commands.prune_heads import Pruning, prune_heads
from toolkit.commands.push import Parcel, check_destination, check_licence, pack, push, size_of
from toolkit.commands.time_budget.auto_model import choose_model
from toolkit.commands.tune.search import folder_of as search_folder
from toolkit.commands.tune.search import tune
from toolkit.events import Counted, Event, Note, Observe, Stage
from toolkit.training.adaptation.search_space import build as search_space

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
