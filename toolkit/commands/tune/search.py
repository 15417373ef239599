"""Hyperparameter search: many short trainings, evaluated on validation and never on test.

    runs/tune-sentiment-distilbert-1f0c23ab/
        study.db          Optuna's record of every trial; a second process that opens it shares the work
        study.lock        lock while a trial is started
        running/0003      lock of the process that runs the trial; the system releases it when the process dies
        trials/0003/      configuration and metrics of one trial; its weights are not kept
        best.yaml         the best trial's values, for `toolkit finetune RECIPE --config`, and how far it is ahead
        trial-3.yaml      those of a cheaper trial that is as good, where there is one

Every trial draws from a generator of its own, made of the seed and the trial's number, so that processes that share
a search try different values. A trial whose process was killed is repeated with its values and number.
"""

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.fit import fit
from toolkit.commands.finetune.training.validation import counted, higher_is_better, tolerance
from toolkit.commands.tune import lead as tune_lead
from toolkit.commands.tune.lead import Trial
from toolkit.commands.tune.search_space import Space, nested, suggest
from toolkit.config import leaves, merge
from toolkit.config.files import to_yaml, values_to_yaml
from toolkit.config.own_parts import SECTION
from toolkit.distributed.process_group import ALONE
from toolkit.errors import ConfigError, Interrupted, RunError
from toolkit.events import Note, Observe, Stage
from toolkit.report.document.advice import Advice
from toolkit.training.loop.progress import Progress, Validation

_FOUND = ("command", "recipe", "from the model", "default")  # origins of values that the user did not set


@dataclass(frozen=True)
class Search:
    """The outcome of a search.

    Attributes:
        folder: Where it is stored.
        metric: The validation figure that decides.
        trials: All of them.
        best: The best one.
        preset: File of the best values.
        command: The command that runs it.
        lead: How far the best trial is ahead; None where it is the only complete one.
        advice: What to do where chance decided, as in a report.
    """

    folder: Path
    metric: str
    trials: Sequence[Trial]
    best: Trial
    preset: Path
    command: str
    lead: tune_lead.Lead | None = None
    advice: Sequence[Advice] = ()


def folder_of(prepared: Prepared, space: Space) -> Path:
    """Return the folder of a search when none is named: the same model, data, values and space give the same one."""
    made_of = json.dumps(_made_of(prepared, space), sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:8]
    return runs.HOME / f"tune-{Path(prepared.config.recipe).stem}-{runs.slug(prepared.config.model)}-{digest}"


def _made_of(prepared: Prepared, space: Space) -> dict[str, str]:
    """Return the values that identify a search, each as a text."""
    values = {".".join(key): value for key, value in leaves(prepared.config.model_dump())}
    values = {key: value for key, value in values.items() if key not in ("output", "data.cache_gib")}
    ranges = {f"--search {key}": [type(part).__name__, asdict(part)] for key, part in space.items()}
    everything = {**values, **ranges, "data": prepared.splits.facts["fingerprint"]}
    return {key: json.dumps(value, sort_keys=True, default=str) for key, value in everything.items()}


def tune(prepared: Prepared, space: Space, folder: Path, trials: int, command: str, observe: Observe) -> Search:
    """Search until `trials` trials have been made, those of earlier and of other processes included.

    Args:
        prepared: From `prepare`; the test part is not used.
        space: What may be tried.
        folder: Folder of the search; an earlier one of the same kind is resumed.
        trials: How many in all.
        command: The command line, which resumes the search.
        observe: Called with each event.

    Raises:
        ConfigError: Optuna is not installed, or the folder holds another search.
        Interrupted: Ctrl-C; what was found is kept.
        RunError: Every trial failed.
    """
    if prepared.config.training.budget is not None:
        raise ConfigError(
            "`training.budget` limits one run, but a search makes many.",
            "Unset it; limit a search with --trials.",
            id="config.conflict",
        )
    study = _open(prepared, space, folder)
    search = _Searching(study, prepared, space, folder, trials, observe)
    with search.alone():
        already = len(_counted(study))
    if already:
        observe(Note(f"Resuming {folder}: {already} of {trials} trials are complete or running."))
    while (begun := search.begin()) is not None:
        try:
            search.make(*begun)
        except KeyboardInterrupt:
            raise Interrupted(
                f"Stopped. The results so far are in {folder}.", f"Resume with: {command}", id="run.interrupted"
            ) from None
    places = _places(study)
    outcomes = sorted((_trial(trial, places) for trial in _counted(study)), key=lambda trial: trial.number)
    running = [str(trial.number + 1) for trial in outcomes if trial.state == "running"]
    if running:
        observe(Note(f"Trial {' and '.join(running)} is running in another process."))
    complete = [trial for trial in outcomes if trial.state == "complete"]
    if not complete:
        error = next((trial.error for trial in outcomes if trial.error), "none is complete yet")
        raise RunError(
            f"None of {len(outcomes)} trials finished ({error}).",
            "Run `toolkit finetune` once to see the full error.",
            id="run.all-trials-failed",
        )
    sign = 1 if higher_is_better(prepared.recipe, prepared.config.training.best_metric) else -1
    best = max(complete, key=lambda trial: (sign * (trial.value or 0.0), -trial.number))
    loading = prepared.config.loading
    trusting = ["--trust-remote-code"] if loading.trust_remote_code else []  # files may not set this
    trusting += ["--set", "loading.allow_pickle=true"] if loading.allow_pickle else []
    own = prepared.config.own.model_dump(exclude_defaults=True)
    trusting += [word for key, value in own.items() for word in ("--set", f"{SECTION}.{key}={json.dumps(value)}")]

    def train(preset: Path) -> str:
        return shlex.join(["toolkit", "finetune", prepared.config.recipe, "--config", str(preset), *trusting])

    def preset_of(trial: Trial) -> str:
        preset = folder / f"trial-{trial.number + 1}.yaml"
        _write_preset(prepared, trial, preset, train(preset), ())
        return train(preset)

    lead, advice = _lead(prepared, outcomes, best, command, preset_of)
    preset, metric = folder / "best.yaml", prepared.config.training.best_metric
    remarks = [lead.sentence(metric)] if lead is not None else []
    for piece in advice:
        remarks += [f"{piece['evidence']} {piece['advice']}", *filter(None, [piece["command"]])]
    _write_preset(prepared, best, preset, train(preset), remarks)
    return Search(folder, metric, outcomes, best, preset, train(preset), lead, advice)


def _lead(
    prepared: Prepared, trials: Sequence[Trial], best: Trial, command: str, preset_of: Callable[[Trial], str]
) -> tuple[tune_lead.Lead | None, list[Advice]]:
    metric = prepared.config.training.best_metric
    rows, given = tune_lead.validation_part(prepared.splits.facts)
    splits = prepared.splits
    of = counted(prepared.recipe, metric, splits.validation, splits.labels)
    error, higher = tolerance(prepared.recipe, metric, of), higher_is_better(prepared.recipe, metric)
    lead = tune_lead.lead(trials, best, error, rows, higher)
    if lead is None:
        return None, []
    fraction = None if given else prepared.config.data.validation_fraction
    return lead, list(tune_lead.advice(lead, command, fraction, preset_of))


def _open(prepared: Prepared, space: Space, folder: Path) -> Any:
    """Open or create the study.

    Raises:
        ConfigError: Optuna is not installed, or the folder is another search's.
    """
    try:
        import optuna
        from filelock import FileLock
    except ImportError:
        raise ConfigError(
            "The search needs Optuna, which is not installed.",
            "pip install 'finetune-toolkit[tune]'",
            id="machine.package-missing",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    identity = folder_of(prepared, space).name
    upwards = higher_is_better(prepared.recipe, prepared.config.training.best_metric)
    with runs.disk_errors(folder):
        (folder / "running").mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "study.lock")
        lock.acquire()  # two processes must not both create the database
    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{(folder / 'study.db').resolve()}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        names = optuna.study.get_all_study_names(storage)
        if names and identity not in names:
            made_of = optuna.load_study(study_name=names[0], storage=storage).user_attrs.get("made_of", {})
            raise ConfigError(
                f"{folder} contains a search with {_differing(made_of, _made_of(prepared, space))}.",
                "Give the same values, or another --output.",
                id="run.other-configuration",
            )
        study = optuna.create_study(
            storage=storage,
            study_name=identity,
            direction="maximize" if upwards else "minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
            load_if_exists=True,
        )
        study.set_user_attr("made_of", _made_of(prepared, space))
        return study
    finally:
        lock.release()


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Describe how the search on the disk differs."""
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return f"a different {', a different '.join(keys)}" if keys else "a different model, data, space or values"


def _again(study: Any, trial: Any) -> None:
    """Queue the values of a killed or interrupted trial again."""
    study.enqueue_trial(trial.params, user_attrs={"replaces": trial.number})


def _counted(study: Any) -> list[Any]:
    """Return the trials that are complete or running, without those that were repeated."""
    trials = study.get_trials(deepcopy=False)
    replaced = {trial.user_attrs.get("replaces") for trial in trials}
    return [trial for trial in trials if trial.state.name != "WAITING" and trial.number not in replaced]


def _places(study: Any) -> dict[int, int]:
    """Return Optuna's number of each trial → its own, from 0; a repeated trial keeps it."""
    places: dict[int, int] = {}
    for trial in study.get_trials(deepcopy=False):
        replaced = trial.user_attrs.get("replaces")
        places[trial.number] = len(set(places.values())) if replaced is None else places[replaced]
    return places


def _trial(trial: Any, places: Mapping[int, int]) -> Trial:
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}.get(trial.state.name, "running")
    values = dict(trial.user_attrs.get("values", trial.params))
    attributes = trial.user_attrs
    return Trial(places[trial.number], state, trial.value, values, attributes.get("error"), attributes.get("seconds"))


@dataclass(frozen=True)
class _Searching:
    """A search under way in this process; the attributes are the arguments of `tune`."""

    study: Any
    prepared: Prepared
    space: Space
    folder: Path
    trials: int
    observe: Observe

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the start of a trial against other processes; mark trials of killed processes as failed."""
        from filelock import FileLock, Timeout

        with FileLock(self.folder / "study.lock"):
            for trial in _counted(self.study):
                if trial.state.name != "RUNNING":
                    continue
                with suppress(Timeout), self._held(trial.number):  # the lock is free, so its process has ended
                    self.study.tell(trial.number, state=_state("FAIL"))
                    _again(self.study, trial)
                    self._mark(trial.number).unlink()
            yield

    def _held(self, number: int) -> Any:
        """Return the lock on a trial, which is not waited for."""
        from filelock import FileLock

        return FileLock(self._mark(number), timeout=0)

    def _mark(self, number: int) -> Path:
        return self.folder / "running" / f"{number:04d}"

    def begin(self) -> tuple[Any, int, Any] | None:
        """Begin a trial: return it, its own number, and the lock on it that is held; None when all are begun."""
        with self.alone():
            if len(_counted(self.study)) >= self.trials:
                return None
            trial = self.study.ask()
            held = self._held(trial.number)
            held.acquire()
            return trial, _places(self.study)[trial.number], held

    def make(self, trial: Any, place: int, held: Any) -> None:
        """Train with one trial's values, and return the best validation result to the study.

        Raises:
            KeyboardInterrupt: Ctrl-C; the trial's values wait to be tried again.
        """
        import optuna

        try:
            self.study.tell(trial, self._train(trial, place))
        except optuna.TrialPruned:
            self.study.tell(trial, state=_state("PRUNED"))
            self.observe(Note(f"Trial {place + 1} is pruned: worse than the median at this point."))
        except (Interrupted, KeyboardInterrupt):
            self.study.tell(trial, state=_state("FAIL"))
            _again(self.study, trial)
            raise KeyboardInterrupt from None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            trial.set_user_attr("error", reason)
            self.study.tell(trial, state=_state("FAIL"))
            self.observe(Note(f"Trial {place + 1} failed ({reason}); the search continues."))
        finally:
            held.release()
            self._mark(trial.number).unlink(missing_ok=True)

    def _train(self, trial: Any, place: int) -> float:
        import optuna

        values = self._draw(trial, place)
        self.observe(Stage(f"Trial {place + 1} of {self.trials}: {described(values)}"))
        layer: dict[str, Any] = {}
        for dotted, value in values.items():
            layer = merge(layer, nested(dotted.split("."), value))
        prepared = replace(self.prepared, resolved=self.prepared.resolved.with_values("search", layer))
        run = runs.Run(self.folder / "trials" / f"{place + 1:04d}")
        shutil.rmtree(run.path, ignore_errors=True)  # files of a killed process
        metric = prepared.config.training.best_metric

        def watch(event: Any) -> None:
            if isinstance(event, Progress):
                self.observe(event)
            elif isinstance(event, Validation):
                self.observe(event)
                if event.early:
                    return
                trial.report(event.values[metric], round(100 * event.epoch))
                if trial.should_prune():
                    raise optuna.TrialPruned

        try:
            runs.write_text(run.path / "config.yaml", to_yaml(prepared.config))
            facts = fit(run, prepared, watch, None, ALONE).facts
            trial.set_user_attr("seconds", facts.get("seconds"))
        finally:
            shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
        best = next(values for values in facts["evaluations"] if values["step"] == facts["best_step"])
        return float(best[metric])

    def _draw(self, trial: Any, place: int) -> dict[str, Any]:
        """Draw the trial's values, by a generator of its own."""
        import numpy as np
        import optuna

        seed = np.random.SeedSequence([self.prepared.config.training.seed, place]).generate_state(1)[0]
        trial.study.sampler = optuna.samplers.TPESampler(seed=int(seed), multivariate=False)
        values = suggest(trial, self.space)
        trial.set_user_attr("values", values)
        return values


def described(values: Mapping[str, Any]) -> str:
    """Return a trial's values in one line."""
    return ", ".join(
        f"{key.rpartition('.')[2]} {value:g}" if isinstance(value, float) else f"{key.rpartition('.')[2]} {value}"
        for key, value in values.items()
    )


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]


def _write_preset(prepared: Prepared, best: Trial, path: Path, command: str, remarks: Sequence[str]) -> None:
    """Write what the user set and what the search found; the first line is the command that runs it.

    `remarks` follow as comments.
    """
    values: dict[str, Any] = {"recipe": prepared.config.recipe}
    for key, value in leaves(prepared.config.model_dump()):
        if prepared.resolved.layer(".".join(key)) not in _FOUND and key[0] not in ("output", SECTION):
            values = merge(values, nested(key, value))
    for dotted, value in best.values.items():
        values = merge(values, nested(dotted.split("."), value))
    figure = f"# {prepared.config.training.best_metric} {best.value:.4f} on validation, trial {best.number + 1}"
    comments = "".join(f"# {one_line}\n" for remark in remarks for one_line in remark.splitlines())
    runs.write_text(path, f"# {command}\n{figure}\n{comments}{values_to_yaml(values)}")
