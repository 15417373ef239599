"""Tables of figures, from which rows without a value are left out."""

from typing import Any

from toolkit.report.dossier.content import Block, Cell, Evidence, Gap, Table
from toolkit.report.dossier.traces import NOTHING, Figure, Node, plain


def facts(*rows: tuple[str, Cell]) -> Table:
    """Return a table of names and values, of those that have one."""
    known = [(name, cell) for name, cell in rows if (cell.text != NOTHING if isinstance(cell, Figure) else cell)]
    return Table(["", "Value"], known)


def listing(title: str, nodes: Node) -> Table:
    """Return the entries of a list, a row each."""
    return Table([title], [[plain(node)] for node in nodes])


def leaves(node: Node, prefix: str = "") -> list[tuple[str, Node]]:
    """Return the dotted key and the value of each leaf of nested mappings."""
    found: list[tuple[str, Node]] = []
    for name, inner in node.items():
        key = f"{prefix}.{name}" if prefix else name
        found += leaves(inner, key) if isinstance(inner.value, dict) and inner.value else [(key, inner)]
    return found


def written(*blocks: Block) -> list[Block]:
    """Return the blocks, without tables that have no rows."""
    return [block for block in blocks if not isinstance(block, Table) or block.rows]


def unit_of(node: Node, usual: str = "fraction") -> str:
    """Return the unit that a section of the report names."""
    return str(node["unit"].value or usual)


def gap(evidence: Evidence, check: str, noun: str, options: str = "") -> Gap:
    """Return why a check has no section: it does not apply to the task, or was not run.

    Args:
        evidence: What the run knows.
        check: Key of the check.
        noun: What it measures, as the start of a sentence.
        options: Of `toolkit evaluate`, that run it.
    """
    if not evidence.applies.get(check, False):
        target: Any = evidence.task.target.kind
        return Gap(f"{noun} is not defined for this task, which predicts {target.title or 'something else'}.")
    return Gap(f"{noun} was not measured.", evaluate(evidence, options))


def evaluate(evidence: Evidence, options: str = "") -> str:
    """Return the command that evaluates the run with some options."""
    return f"toolkit evaluate {evidence.target} {options}".rstrip()
