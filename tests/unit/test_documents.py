"""The documents fit the program: commands, keys, links, and pages that are generated."""

from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
import yaml

from tests.support import api_page, command_page, documents
from toolkit.cli import app
from toolkit.cli.conventions import rewritten
from toolkit.config import describe
from toolkit.tasks import catalogue

COMMAND = typer.main.get_command(app)
PAGES = [pytest.param(path, id=str(path.relative_to(documents.ROOT))) for path in documents.pages()]


def parsed(arguments: list[str], *, may_lack: bool = False) -> dict[str, object] | None:
    """Return name → value of the options of a call; None where it lacks arguments and may."""
    everywhere = {"--help", *(name for parameter in COMMAND.params for name in parameter.opts)}
    command, rest = COMMAND, [word for word in rewritten(arguments, lambda: COMMAND) if word not in everywhere]
    while hasattr(command, "commands") and rest:
        if may_lack and not rest[0].islower():
            return None  # a placeholder
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        return command.make_context("toolkit", rest).params if not hasattr(command, "commands") else {}
    except Exception as error:
        if may_lack and type(error).__name__ == "MissingParameter":
            return None
        raise


@pytest.mark.parametrize("path", PAGES)
def test_commands_exist_with_their_options(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    presets, keys = catalogue.presets(), {key for key, _ in describe()}
    for arguments in documents.commands(text):
        values = parsed(arguments)
        assert values is not None
        assert values.get("preset") in {None, *presets}
        for assignment in values.get("set") or ():
            key = assignment.partition("=")[0]
            assert key.startswith(("options.", "data.columns.")) or key in keys, key
    for arguments in documents.inline_commands(text):
        parsed(arguments, may_lack=True)


def test_commands_are_found() -> None:
    text = "```bash\nA=1 toolkit runs list | head  # all\nsrun toolkit doctor\npip install it\n```\n`toolkit tune x`"
    assert documents.commands(text) == [["runs", "list"], ["doctor"]]
    assert documents.inline_commands(text) == [["tune", "x"]]
    with pytest.raises(Exception, match="--no-such-option"):
        parsed(["doctor", "--no-such-option"])
    assert sum(len(documents.commands(path.read_text(encoding="utf-8"))) for path in documents.pages()) > 100


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: Path) -> None:
    for link in documents.links(path.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(documents.ROOT) and target.exists(), link
        assert not anchor or anchor in documents.anchors(target.read_text(encoding="utf-8")), link
        assert path.is_relative_to(documents.DOCS) <= target.is_relative_to(documents.DOCS), f"not on the site: {link}"


@pytest.mark.parametrize("generated", [api_page, command_page])
def test_generated_pages_are_current(generated) -> None:
    assert generated.PAGE.read_text(encoding="utf-8") == generated.page(), "run `make docs`"


def test_command_page_has_every_command() -> None:
    names = [name for name, _ in command_page.commands()]
    assert {"toolkit finetune", "toolkit runs list"} <= set(names)
    text = command_page.page()
    for name, command in command_page.commands():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            assert all(option in section for option in parameter.opts if option[0] == "-"), (name, parameter.opts)


def test_api_page_has_every_function() -> None:
    import toolkit

    text = api_page.page()
    for name in toolkit.__all__:
        assert f"\n### {name}\n" in text
    assert "| `max_error` |" in text  # an argument
    assert "| `report` |" in text  # a property


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """YAML that passes over the tags of Python."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    navigation = yaml.load((documents.ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]

    def named(entries: object) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        values = entries.values() if isinstance(entries, dict) else entries
        return {name for value in values for name in named(value)}

    assert named(navigation) == {path.relative_to(documents.DOCS).as_posix() for path in documents.DOCS.rglob("*.md")}
