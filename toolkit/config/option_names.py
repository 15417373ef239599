"""The options of commands that set a value of the configuration, by their names as keyword arguments."""

# `output` is a key of training alone, so its commands add it.
KEYS = {
    "model": "model",
    "data": "data.source",
    "max_length": "data.max_length",
    "text_column": "data.columns.text",
    "label_column": "data.columns.label",
    "target": "data.target",
    "group_column": "data.group_column",
    "streaming": "data.streaming",
    "time_column": "data.time_column",
    "unlabelled": "data.unlabelled",
    "attention": "attention",
    "epochs": "training.epochs",
    "budget": "training.budget",
    "batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "seed": "training.seed",
    "num_processes": "training.num_processes",
    "max_restarts": "training.max_restarts",
    "strategy": "training.strategy",
    "tune_speed": "training.tune_speed",
    "from_scratch": "loading.from_scratch",
    "trust_remote_code": "loading.trust_remote_code",
    "glossary": "evaluation.glossary",
    "checks": "evaluation.checks",
}
