"""The stages in their order: this is what the commands do.

RunConfig → Splits → (model, processor) → train() → run directory → Scores → report
 prepare.py ────────────────────────────┘ finetune.py ──────────────────────────┘
"""

from toolkit.pipeline.evaluate import Examination, evaluate, prepare_evaluation
from toolkit.pipeline.events import Counted, Event, Note, Observe, Stage
from toolkit.pipeline.finetune import finetune
from toolkit.pipeline.inspect import Inspected, inspect
from toolkit.pipeline.prepare import Prepared, configure, plan, prepare

__all__ = [
    "Counted",
    "Event",
    "Examination",
    "Inspected",
    "Note",
    "Observe",
    "Prepared",
    "Stage",
    "configure",
    "evaluate",
    "finetune",
    "inspect",
    "plan",
    "prepare",
    "prepare_evaluation",
]
