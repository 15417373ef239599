"""What each engine takes: every word of the job arrives as it was, and the file is one that the engine can read."""

import dataclasses
import shutil
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.launched import echoing, expanded, words_of
from toolkit.commands.launch.job import Job
from toolkit.commands.launch.run import ENGINES

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
PIECES = st.sampled_from(["'", '"', "\\", "$(HOME)", "$$", "${HOME}", "`id`", "\n", "--", "-x", "#", "!", " ", "é"])
YAML_LIKE = st.sampled_from(["on", "1e3", "12:30:45", "0o17", "null", "~", "y", "2026-01-01", "- a", "a: b", ""])
WORDS = st.lists(TEXTS | st.lists(PIECES, max_size=5).map("".join) | YAML_LIKE, max_size=5)

Check = Callable[[dict[str, Any]], list[str]]
PLAIN = Job("toolkit-finetune", ("finetune", "text"), hardware="a10g-large")
JOBS = {
    "slurm": [
        PLAIN,
        replace(PLAIN, nodes=2, gpus=4, queue="gpu", settings={"account": "a", "cpus-per-task": "8"}),
        replace(PLAIN, image="acme/toolkit:1", setup="pip install acme", gpus=0),
        replace(PLAIN, trains=False, gpus=2),
    ],
    "hf-jobs": [
        replace(PLAIN, pushes=True),
        replace(PLAIN, image="acme/toolkit:1", volume=("hf://buckets/a/b", "/f")),
        replace(PLAIN, image="acme/toolkit:1", settings={"namespace": "acme"}),
    ],
    "sky": [
        replace(PLAIN, pushes=True, settings={"use_spot": "true", "disk_size": "100", "cpus": "8+"}),
        replace(PLAIN, nodes=2, gpus=4, volume=("s3://b", "/files")),
        replace(PLAIN, gpus=0, image="acme/t:1"),
    ],
    "kubernetes": [
        replace(PLAIN, image="acme/t:1", volume=("claim", "/files"), queue="team"),
        replace(PLAIN, image="acme/t:1", nodes=2, gpus=2, volume=("claim", "/files"), settings={"namespace": "ml"}),
        replace(PLAIN, image="acme/t:1", pushes=True, setup="echo '$HOME' > /dev/null", gpus=0),
    ],
}
CASES = [(on, job) for on, jobs in JOBS.items() for job in jobs]
EVERY = pytest.mark.parametrize(("on", "job"), CASES, ids=[f"{on}-{number}" for number, (on, _) in enumerate(CASES)])


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return echoing(tmp_path_factory.mktemp("bin"))


def rendered(on: str, job: Job, tmp: Path) -> str:
    """Return the content for a job whose volume is a folder of this machine, so that it can be entered."""
    if job.volume is not None:
        job = replace(job, volume=(job.volume[0], str(tmp)))
    return ENGINES[on].render(job)


def started(on: str, content: str, programs: Path, env: dict[str, str] | None = None) -> list[str]:
    """Return what the machine of an engine starts: the program and its arguments."""
    if on == "slurm":
        return words_of(["bash", "-c", content], programs, env)
    if on == "hf-jobs":
        from huggingface_hub.cli.jobs import jobs_cli

        call = words_of(["sh", "-c", content], programs)
        command: Any = jobs_cli.commands["run"]
        params = command.make_context("run", call[3:]).params
        assert call[:3] == ["hf", "jobs", "run"]
        return words_of(params["command"], programs)
    if on == "sky":
        ips = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1"}
        words = words_of(["bash", "-c", yaml.safe_load(content)["run"]], programs, ips)
        assert words[:2] == ["timeout", "--signal=TERM"]
        return words[4:]
    pod = list(yaml.safe_load_all(content))[-1]["spec"]["template"]["spec"]
    values = {entry["name"]: entry.get("value", "secret") for entry in pod["containers"][0]["env"]}
    command = [expanded(word, values) for word in pod["containers"][0]["command"]]
    return words_of(command, programs, {"JOB_COMPLETION_INDEX": "1"})


def of_job(words: Sequence[str]) -> list[str]:
    """Return the words after `toolkit finetune`, without those of launchers and --resume."""
    place = list(words).index("finetune")
    assert words[place - 1] == "toolkit"
    rest = list(words[place + 1 :])
    return rest[1:] if rest[:1] == ["--resume"] else rest


@EVERY
@settings(max_examples=25, deadline=None)
@given(extra=WORDS)
def test_every_word_arrives_as_it_was(on: str, job: Job, programs: Path, extra: list[str]) -> None:
    content = rendered(on, replace(job, words=("finetune", "text", *extra)), programs)
    assert of_job(started(on, content, programs)) == ["text", *extra]


@EVERY
def test_scripts_are_valid(on: str, job: Job, programs: Path, tmp_path: Path) -> None:
    content = ENGINES[on].render(replace(job, words=("finetune", "te xt", "--data", "it's; $(id)\n#")))
    scripts = [content] if on in ("slurm", "hf-jobs") else []
    if on == "sky":
        task = yaml.safe_load(content)
        scripts = [f"#!/bin/bash\n{task[key]}" for key in ("setup", "run") if key in task]
    assert scripts or on == "kubernetes"
    for number, script in enumerate(scripts):
        file = tmp_path / f"{number}.sh"
        file.write_text(script, encoding="utf-8")
        subprocess.run(["bash", "-n", file], check=True)
        if shutil.which("shellcheck"):
            assert subprocess.run(["shellcheck", "--exclude=SC2016", file], capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize(("count", "words"), [(None, ["finetune"]), ("1", ["finetune", "--resume"])])
def test_slurm_resumes_a_job_that_it_starts_again(programs: Path, count: str | None, words: list[str]) -> None:
    content = ENGINES["slurm"].render(replace(PLAIN, words=("finetune", "text", "--", "-x")))
    env = {} if count is None else {"SLURM_RESTART_COUNT": count}
    assert started("slurm", content, programs, env) == ["srun", "toolkit", *words, "text", "--", "-x"]


def directives(content: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in content.splitlines() if line.startswith("#SBATCH --")]
    return dict(line.split("=", 1) if "=" in line else (line, "") for line in lines)


def test_slurm_starts_a_process_for_each_gpu(programs: Path) -> None:
    job = replace(PLAIN, nodes=2, gpus=4, hardware="a100", minutes=1590, queue="gpu", settings={"account": "acme"})
    read = directives(ENGINES["slurm"].render(job))
    assert (read["nodes"], read["ntasks-per-node"], read["gpus-per-task"]) == ("2", "4", "a100:1")
    assert (read["time"], read["partition"], read["account"]) == ("26:30:00", "gpu", "acme")
    assert {"requeue", "signal"} <= read.keys()


def test_slurm_starts_other_commands_once(programs: Path) -> None:
    read = directives(ENGINES["slurm"].render(replace(PLAIN, trains=False, resumes=False, gpus=2, hardware=None)))
    assert (read["ntasks-per-node"], read["gpus-per-task"]) == ("1", "2")
    assert "gpus-per-task" not in directives(ENGINES["slurm"].render(replace(PLAIN, gpus=0)))


def test_hf_jobs_gets_time_hardware_and_the_name_of_the_secret(programs: Path) -> None:
    from huggingface_hub.cli.jobs import jobs_cli

    call = words_of(["sh", "-c", ENGINES["hf-jobs"].render(replace(PLAIN, minutes=90))], programs)
    command: Any = jobs_cli.commands["run"]
    params = command.make_context("run", call[3:]).params
    assert (params["timeout"], params["flavor"], params["secrets"]) == ("90m", "a10g-large", ["HF_TOKEN"])
    assert params["detach"] is True


@pytest.mark.parametrize("on", ["sky", "kubernetes"])
def test_several_machines_find_the_first_one(on: str, programs: Path) -> None:
    job = next(job for job in JOBS[on] if job.nodes == 2)
    words = started(on, rendered(on, job, programs), programs)
    address = {"sky": "10.0.0.1", "kubernetes": "toolkit-finetune-0.toolkit-finetune"}[on]
    expected = ["--nnodes=2", f"--nproc-per-node={job.gpus}", "--node-rank=1", f"--master-addr={address}"]
    assert words[:1] + words[1:5] == ["torchrun", *expected]
    assert words[6:8] == ["-m", "toolkit"]


def scalars(node: yaml.Node, key: bool = False) -> list[tuple[yaml.ScalarNode, bool]]:
    if isinstance(node, yaml.ScalarNode):
        return [(node, key)]
    if isinstance(node, yaml.MappingNode):
        return [item for name, value in node.value for item in (*scalars(name, True), *scalars(value))]
    return [item for value in node.value for item in scalars(value)]


@pytest.mark.parametrize(("on", "job"), [case for case in CASES if case[0] in ("sky", "kubernetes")])
@settings(max_examples=25, deadline=None)
@given(extra=WORDS)
def test_texts_in_yaml_are_quoted(on: str, job: Job, extra: list[str]) -> None:
    """Without quotes, parsers of YAML 1.1 and 1.2 read some texts as numbers or truth values, each in its own way."""
    content = ENGINES[on].render(replace(job, words=("finetune", *extra)))
    values = [node for document in yaml.compose_all(content) for node, key in scalars(document) if not key]
    texts = [node for node in values if node.tag == "tag:yaml.org,2002:str"]
    assert len(texts) > 3
    assert {node.style for node in texts} <= {'"', "|"}


# SkyPilot's schema of a task (`sky.utils.schemas.get_task_schema`, `get_resources_schema`) is in a package with web
# servers and database drivers among its requirements, whose Click is older than ours: so the keys are listed here.
TASK = {
    **dict.fromkeys(("name", "setup", "run"), str),
    **dict.fromkeys(("resources", "file_mounts", "secrets"), dict),
    "num_nodes": int,
}
RESOURCES = {
    **dict.fromkeys(("accelerators", "instance_type", "image_id", "infra", "cpus", "memory"), str),
    "use_spot": bool,
    "disk_size": int,
}


@pytest.mark.parametrize("job", JOBS["sky"])
def test_a_task_of_skypilot_has_known_keys_and_types(job: Job) -> None:
    task = yaml.safe_load(ENGINES["sky"].render(job))
    assert {key: type(value) for key, value in task.items()} == {key: TASK[key] for key in task}
    resources = task["resources"]
    assert {key: type(value) for key, value in resources.items()} == {key: RESOURCES[key] for key in resources}
    assert ("secrets" in task) is job.pushes
    assert task.get("secrets", {"HF_TOKEN": None}) == {"HF_TOKEN": None}
    for mount in task.get("file_mounts", {}).values():
        assert mount == {"source": "s3://b", "mode": "MOUNT"}


def unknown(value: Any, kind: Any, place: str) -> list[str]:
    """Return what a type of `lightkube.models` does not have, or has as another type; it is made from OpenAPI."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return min((unknown(value, one, place) for one in inner if one is not type(None)), key=len)
    if origin in (list, dict):
        if not isinstance(value, origin):
            return [place]
        items = value.items() if origin is dict else enumerate(value)
        return [fault for key, item in items for fault in unknown(item, inner[-1], f"{place}.{key}")]
    if not dataclasses.is_dataclass(kind):
        return [] if kind is Any or isinstance(value, kind) else [place]
    if not isinstance(value, dict):
        return [place]
    names = {field.metadata.get("json", field.name): field.name for field in dataclasses.fields(kind)}
    required = {n for n, f in names.items() if _required(kind, f)}
    hints = typing.get_type_hints(kind)
    faults = [f"{place}.{key}" for key in value if key not in names]
    faults += [f"{place}.{key} is missing" for key in required - value.keys()]
    known = [key for key in value if key in names]
    return [*faults, *(fault for key in known for fault in unknown(value[key], hints[names[key]], f"{place}.{key}"))]


def _required(kind: Any, name: str) -> bool:
    field = kind.__dataclass_fields__[name]
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@pytest.fixture
def of_kubernetes(monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a check of an object of Kubernetes; the types are classes for a client, which they need for two names."""
    core = types.ModuleType("lightkube.core.schema")
    core.__dict__.update(DictMixin=object, dataclass=dataclasses.dataclass, field=dataclasses.field)
    monkeypatch.setitem(sys.modules, "lightkube.core", types.ModuleType("lightkube.core"))
    monkeypatch.setitem(sys.modules, "lightkube.core.schema", core)
    batch = pytest.importorskip("lightkube.models.batch_v1")
    kinds = {"Job": batch.Job, "Service": batch.core_v1.Service}
    return lambda document: unknown(document, kinds[document["kind"]], document["kind"])


@pytest.mark.parametrize("job", JOBS["kubernetes"])
def test_objects_of_kubernetes_have_known_keys_and_types(job: Job, of_kubernetes: Check) -> None:
    documents = list(yaml.safe_load_all(ENGINES["kubernetes"].render(job)))
    assert [document["kind"] for document in documents] == (["Service", "Job"] if job.nodes > 1 else ["Job"])
    assert [fault for document in documents for fault in of_kubernetes(document)] == []


def test_the_check_of_keys_and_types_sees_what_is_wrong(of_kubernetes: Check) -> None:
    (job,) = yaml.safe_load_all(ENGINES["kubernetes"].render(JOBS["kubernetes"][0]))
    job["spec"]["template"]["spec"]["containers"][0]["comand"] = []
    job["spec"]["backoffLimit"] = "0"
    del job["spec"]["template"]["spec"]["containers"][0]["name"]
    assert len(of_kubernetes(job)) == 3


@pytest.mark.parametrize("job", JOBS["kubernetes"])
def test_the_container_has_no_privileges(job: Job) -> None:
    pod = list(yaml.safe_load_all(ENGINES["kubernetes"].render(job)))[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} <= {"name", "emptyDir", "persistentVolumeClaim"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) is bool(job.gpus)
    assert pod["activeDeadlineSeconds"] == job.minutes * 60


def test_a_secret_of_kubernetes_is_read_by_its_name() -> None:
    for job, name in ((replace(PLAIN, pushes=True), "hf-token"), (replace(PLAIN, settings={"secret": "mine"}), "mine")):
        (document,) = yaml.safe_load_all(ENGINES["kubernetes"].render(replace(job, image="a")))
        (container,) = document["spec"]["template"]["spec"]["containers"]
        (entry,) = [entry for entry in container["env"] if entry["name"] == "HF_TOKEN"]
        assert entry["valueFrom"] == {"secretKeyRef": {"name": name, "key": "HF_TOKEN"}}
