"""A command that is forked sees the environment that it was given, also in what libraries kept when imported."""

import json
from pathlib import Path

from tests.support.cli import toolkit
from tests.support.hub import LocalHub

RECIPE = """
import json, os, sys
from pathlib import Path

import datasets.config, evaluate.config, huggingface_hub, transformers.utils.hub
from huggingface_hub import constants

kept = [
    (name, key, str(getattr(value, "endpoint", value)))
    for name, module in list(sys.modules.items())
    if name.startswith(("accelerate", "datasets", "evaluate", "huggingface_hub", "peft", "transformers"))
    for key, value in list(vars(module).items())
    if isinstance(value, str | Path | frozenset | huggingface_hub.HfApi)
]
seen = {
    "endpoints": [constants.ENDPOINT, datasets.config.HF_ENDPOINT, evaluate.config.HF_ENDPOINT],
    "endpoint": str(huggingface_hub.HfApi().endpoint),
    "homes": [constants.HF_HOME, datasets.config.HF_CACHE_HOME, evaluate.config.HF_CACHE_HOME],
    "modules": [str(transformers.utils.hub.HF_MODULES_CACHE), str(datasets.config.HF_MODULES_CACHE)],
    "cache": constants.HF_HUB_CACHE,
    "datasets": str(datasets.config.HF_DATASETS_CACHE),
    "tokens": [constants.HF_TOKEN_PATH, constants.HF_STORED_TOKENS_PATH],
    "environment": dict(os.environ),
    "elsewhere": [item for item in kept if "nowhere-yet" in item[2]],
}
Path("seen.json").write_text(json.dumps(seen))
"""


def seen(folder: Path, env: dict[str, str]) -> dict:
    folder.mkdir()
    (folder / "mine.py").write_text(RECIPE, encoding="utf-8")
    outcome = toolkit("finetune", "./mine.py", cwd=folder, env=env)
    assert outcome.code == 2, outcome.text
    assert (folder / "seen.json").is_file(), outcome.text  # it is no recipe, but it was run
    return json.loads((folder / "seen.json").read_text(encoding="utf-8"))


def test_forked_commands_see_their_own_hub_and_caches(tmp_path: Path) -> None:
    for name in ("one", "two"):
        home = tmp_path / name / "hf"
        with LocalHub() as hub:
            env = hub.environment(home, name)
        found = seen(tmp_path / name, env)
        assert {*found["endpoints"], found["endpoint"]} == {hub.endpoint}
        assert set(found["homes"]) == {str(home)}
        assert set(found["modules"]) == {str(home / "modules")}
        assert (found["cache"], found["datasets"]) == (env["HF_HUB_CACHE"], env["HF_DATASETS_CACHE"])
        assert found["tokens"] == [env["HF_TOKEN_PATH"], str(home / "stored_tokens")]
        assert found["elsewhere"] == []
        assert {variable: found["environment"][variable] for variable in env} == env


def test_forked_commands_without_variables_have_the_default_places(tmp_path: Path) -> None:
    found = seen(tmp_path / "plain", {})
    assert set(found["homes"]) == {found["environment"]["XDG_CACHE_HOME"] + "/huggingface"}
    assert "HF_HOME" not in found["environment"]
    assert found["elsewhere"] == []
