"""simpletransformers: its ClassificationModel with its defaults, and what the task fixes for everybody.

Nothing is written to disk during training, as with the others.
"""

import tempfile

from benchmarks.contenders.clock import Clock
from benchmarks.contenders.common import Evaluator, Outcome, main
from benchmarks.task import Task


def contend(task: Task, _variant: str) -> Outcome:
    """Train with `simpletransformers.classification.ClassificationModel`."""
    import pandas as pd
    from simpletransformers.classification import ClassificationArgs, ClassificationModel

    texts, labels = task.rows("train")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ClassificationArgs(
            num_train_epochs=task.epochs,
            train_batch_size=task.batch_size,
            learning_rate=task.learning_rate,
            scheduler="linear_schedule_with_warmup",
            warmup_steps=task.warmup_steps,
            weight_decay=task.weight_decay,
            max_seq_length=task.max_length,
            manual_seed=task.seed,
            output_dir=f"{folder}/out",
            cache_dir=f"{folder}/cache",
            tensorboard_dir=f"{folder}/log",
            no_save=True,
            no_cache=True,
            save_steps=-1,
            save_model_every_epoch=False,
            silent=True,
        )
        subject = ClassificationModel("bert", task.model, num_labels=2, args=arguments, use_cuda=False)
        evaluator = Evaluator(task, subject.tokenizer)
        clock = Clock(task.steps, task.evaluate_every, evaluator.at_mark)
        subject.train_model(pd.DataFrame({"text": texts, "labels": labels}))
    return Outcome(clock, evaluator.curve, evaluator.accuracy(subject.model, "test"))


if __name__ == "__main__":
    main(contend, ("torch", "transformers", "simpletransformers"))
