"""Which data sets on the Hub are benchmarks: those with an `eval.yaml`, which names their tasks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from toolkit import sources


def task_of(source: sources.Source, part: str) -> str | None:
    """Return the only task of a benchmark on this part of a data set; None where there is none or several.

    Args:
        source: A data set on the Hub.
        part: "test".
    """
    from huggingface_hub import hf_hub_download

    if sources.hub_problem() is not None:
        return None
    try:
        file = hf_hub_download(source.name, "eval.yaml", repo_type="dataset")
        stated = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except Exception:  # no benchmark, or none that can be read
        return None
    listed = stated.get("tasks") if isinstance(stated, Mapping) else None
    named = [task["id"] for task in listed or () if isinstance(task, Mapping) and _is_on(task, source.config, part)]
    return str(named[0]) if len(named) == 1 else None


def _is_on(task: Mapping[str, Any], config: str | None, part: str) -> bool:
    """Whether a task is on a part of a configuration; an omitted value means the data set's only one."""
    return "id" in task and task.get("split", part) == part and (config is None or task.get("config", config) == config)
