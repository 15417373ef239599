"""Kubernetes: a Job, for several machines an indexed one with a Service through which they find each other.

The container has no privileges, and writes only below /tmp and in its volume. A pod that is evicted is replaced; one
that fails is not. The time limit is the pod's, so that waiting for a machine does not count.
"""

from typing import Any

from toolkit.commands.launch.job import TOKEN, Engine, Job
from toolkit.commands.launch.text import to_yaml, torchrun, wrapped

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_NAME = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
_QUANTITY = r"[0-9]+(\.[0-9]+)?(m|[kMGTP]i?)?"
_STORE_SECONDS = 120  # between SIGTERM and SIGKILL
_HOME = "/tmp"


def render(job: Job) -> str:
    """Return the file."""
    settings = job.settings
    place = {"namespace": settings["namespace"]} if "namespace" in settings else {}
    labels = {"app.kubernetes.io/name": "finetune-toolkit"}
    queue = {"kueue.x-k8s.io/queue-name": job.queue} if job.queue else {}
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
    }
    if job.nodes > 1:
        spec |= {"completionMode": "Indexed", "completions": job.nodes, "parallelism": job.nodes}
    spec["template"] = {"metadata": {"labels": labels}, "spec": _pod(job)}
    metadata = {"name": job.name, **place, "labels": {**labels, **queue}}
    documents = [{"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}]
    if job.nodes > 1:
        network = {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": job.name},
        }
        headless = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": job.name, **place}, "spec": network}
        documents.insert(0, headless)
    return to_yaml(*documents)


def _pod(job: Job) -> dict[str, Any]:
    settings = job.settings
    user = int(settings.get("user", "1000"))
    mounts = [{"name": "tmp", "mountPath": _HOME}, {"name": "shm", "mountPath": "/dev/shm"}]
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if job.volume is not None:
        mounts.append({"name": "files", "mountPath": job.volume[1]})
        volumes.append({"name": "files", "persistentVolumeClaim": {"claimName": job.volume[0]}})
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": job.minutes * 60,
        "terminationGracePeriodSeconds": _STORE_SECONDS,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), user),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if job.nodes > 1:
        pod["subdomain"] = job.name
    if job.hardware:
        pod["nodeSelector"] = {"nvidia.com/gpu.product": job.hardware}
    container = {
        "name": "toolkit",
        "image": job.image,
        "command": [literal(word) for word in _command(job)],
        "workingDir": job.volume[1] if job.volume is not None else _HOME,
        "env": _environment(job),
        "resources": _resources(job),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    return {**pod, "containers": [container], "volumes": volumes}


def _command(job: Job) -> list[str]:
    if job.nodes > 1:
        return wrapped(job, torchrun(job, '"$JOB_COMPLETION_INDEX"', f"{job.name}-0.{job.name}"))
    return wrapped(job, "toolkit") if job.setup else ["toolkit", *job.arguments()]


def literal(word: str) -> str:
    """Return a word of a command that Kubernetes leaves as it was: it replaces `$(NAME)`, and `$$` by `$`."""
    return word.replace("$", "$$")


def _environment(job: Job) -> list[dict[str, Any]]:
    values = {"HOME": _HOME, "HF_HOME": f"{_HOME}/huggingface", "USER": "toolkit"}  # the user has no entry in passwd
    variables: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    secret = job.settings.get("secret", "hf-token" if job.pushes else None)
    if secret is not None:
        variables.append({"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": secret, "key": TOKEN}}})
    return variables


def _resources(job: Job) -> dict[str, Any]:
    parts = max(1, job.gpus or 0)
    amounts = {
        "cpu": job.settings.get("cpu", str(4 * parts)),
        "memory": job.settings.get("memory", f"{16 * parts}Gi"),
        **({job.settings.get("gpu-resource", "nvidia.com/gpu"): str(job.gpus)} if job.gpus else {}),
    }
    return {"requests": amounts, "limits": amounts}


KUBERNETES = Engine(
    title="Kubernetes",
    suffix="k8s.yaml",
    program="kubectl",
    render=render,
    submit=lambda _job, file: ["kubectl", "create", "--filename", file],
    takes={
        "hardware": (_LABEL, "a value of the label nvidia.com/gpu.product"),
        "queue": (_NAME, "a queue of Kueue"),
        "image": (r"[A-Za-z0-9][^\s$]*", "a container image with the toolkit"),
        "volume": (_NAME, "CLAIM:/FOLDER with the name of a PersistentVolumeClaim"),
    },
    needs=("image",),
    settings={
        "cpu": _QUANTITY,
        "memory": _QUANTITY,
        "namespace": _NAME,
        "secret": _NAME,
        "user": "[1-9][0-9]{0,8}",
        "gpu-resource": r"[a-z0-9.-]+/[A-Za-z0-9_.-]+",
    },
)
