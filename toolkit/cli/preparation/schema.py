"""`toolkit schema`."""

import json
from typing import Annotated

import typer

from toolkit.cli.console import say, say_document, table


def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a schema; all are listed when not given.")
    ] = None,
) -> None:
    """Print a JSON Schema of what --json prints or of a file such as report.json, or list all schemas."""
    from toolkit.api.documents.preparation import NamedSchema, Schemas
    from toolkit.api.documents.schemas import all_schemas, find

    named = None if name is None else find(name)
    chosen = all_schemas() if name is None or named is None else {name: named}
    listed = [NamedSchema(each, content["$id"], content["title"]) for each, content in chosen.items()]
    say_document(lambda: Schemas(listed, named))
    if named is None:
        say(table([(each.name, each.title) for each in listed]))
    else:
        say(json.dumps(named, indent=2))
