"""`push`: push a run to the Hugging Face Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.api.call.caller import Caller, called
from toolkit.api.call.words import target_of
from toolkit.commands.publish import push as command
from toolkit.hub import upload
from toolkit.hub.destinations import Destination


@dataclass(frozen=True)
class Pushed:
    """The content of a push, or of a dry run.

    Attributes:
        plan: Files, title and destination.
        outcome: Where it is now; None where `dry_run` sent nothing.
    """

    plan: command.UploadPlan
    outcome: upload.Pushed | None

    @property
    def url(self) -> str | None:
        """Page of the commit or of the pull request; None where nothing was pushed."""
        return None if self.outcome is None else self.outcome.url

    @property
    def changed(self) -> bool:
        """Whether a commit was made; there is none if the Hub already has the same files."""
        return self.outcome is not None and self.outcome.changed

    @property
    def files(self) -> Mapping[str, int]:
        """Path in the repository → bytes."""
        return {path: command.size_of(content) for path, content in self.plan.files.items()}

    def __repr__(self) -> str:
        return f"<Pushed {self.plan.destination.name}: {self.url or 'nothing was pushed'}>"


def push(
    run: Any,
    name: str,
    *,
    recipe: str | None = None,
    public: bool = False,
    pr: bool = False,
    revision: str | None = None,
    tag: str | None = None,
    license: str | None = None,
    language: Sequence[str] | None = None,
    adapter: bool = False,
    examples: bool = True,
    dry_run: bool = False,
    progress: bool | Caller = True,
) -> Pushed:
    """Push a run to the Hugging Face Hub: weights, processor, report, and a model card generated from the report.

    Args:
        run: A run, or the path of its directory.
        name: Repository on the Hub, org/name; made if it is new.
        recipe: The task, or its file, where it is none that is installed.
        public: Whether everybody may read it.
        pr: Propose the change in a pull request.
        revision: Branch; main when None.
        tag: Name for the commit, such as "v1.0".
        license: The Hub's name of a licence; the fine-tuned model's own when None.
        language: Codes of the languages of the data; those that the run or the fine-tuned model states when None.
        adapter: Push the adapter alone, which others load with its base model.
        examples: Whether the report and the card may quote the data.
        dry_run: Check everything and send nothing.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: The push is not possible.
    """
    destination = Destination(name, public, revision, pr, tag)
    with called(progress, "push", [target_of(run), name], {}) as caller:
        plan = command.pack(
            target_of(run),
            destination,
            license,
            caller.observe,
            recipe_name=recipe,
            languages=tuple(language or ()),
            examples=examples,
            adapter=adapter,
            dry=dry_run,
        )
        return Pushed(plan, None if dry_run else command.push(plan, caller.observe))
