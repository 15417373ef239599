"""Find a recipe's columns in a table, and bring their values into one shape."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form
from toolkit.data.formats import cells
from toolkit.data.formats.spreadsheets.workbook_reader import formulas
from toolkit.data.tables import class_names as class_names_
from toolkit.data.tables import identifiers
from toolkit.data.tables.identifiers import POSITION as POSITION
from toolkit.errors import DataError
from toolkit.tasks.task import Column, Task

_WORDS = re.compile(r"[^\W_]+")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,0{1,2}")
Listed = TypeVar("Listed")
SELECTED_BY = "selected_by"  # what chose a row to be labelled
AT_RANDOM = "random"  # value of that column for rows that are a random sample


def find(
    names: Sequence[str], columns: Sequence[Column], chosen: Mapping[str, str], *, likely: Sequence[str] = ()
) -> dict[str, str]:
    """Decide which column of a table plays which role.

    Args:
        names: The table's columns.
        columns: What the recipe reads.
        chosen: Role → column, as the user named them.
        likely: Probable names of the columns, where the header looks like data and its words mean nothing.

    Returns:
        Role → column. Roles that are neither required nor found are left out.

    Raises:
        DataError: A named or required column is missing.
    """
    names = [name for name in names if name not in POSITION]
    roles = [column.role for column in columns]
    for role in chosen:
        if role not in roles:
            raise DataError(
                f"This recipe has no column `{role}`.",
                f"Its columns are {', '.join(roles)}.",
                id="config.unknown-column-role",
            )
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    assigned = {role: _named(names, wanted, role) for role, wanted in chosen.items()}
    for column in columns:
        assigned |= _paired(column, columns[0], by_lower, assigned)
    for column in columns:
        if column.role not in assigned:
            free = [by_lower[n] for n in column.names if n in by_lower and by_lower[n] not in assigned.values()]
            if free:
                assigned[column.role] = free[0]
    labelled = Task(tuple(columns)).labelled
    labels = labelled.names if labelled is not None else ()
    for column in columns:  # "Review Text (EN)" is found by one of its words, if no other column has it
        if column.role not in assigned and not likely and (column.required or column is labelled):
            taken = {*assigned.values(), *class_names_.describing(names, labels)}
            words_of = {name: _WORDS.findall(name.lower()) for name in names if name not in taken}
            alike = ([name for name, words in words_of.items() if wanted in words] for wanted in column.names)
            only = next((holders[0] for holders in alike if len(holders) == 1), None)
            if only is not None:
                assigned[column.role] = only
    missing = [column for column in columns if column.required and column.role not in assigned]
    rest = [name for name in names if name not in assigned.values()]
    if len(rest) == 1 and [column.role for column in missing] == ["label"] and not likely:
        elsewhere = {name for column in columns for name in column.names}
        if rest[0].strip().lower() not in elsewhere and not identifiers.by_name(rest[0]):
            return {**assigned, "label": rest[0]}  # nothing else is left
    if missing:
        raise _unrecognised(names, missing[0], {role: assigned[role] for role in chosen}, likely)
    return assigned


def _paired(column: Column, first: Column, by_lower: Mapping[str, str], assigned: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of the two roles where a table has two names that belong together, and none is in use."""
    if column.role in assigned:
        return {}
    for names in column.pairs:
        both = {role: by_lower[n] for role, n in zip((first.role, column.role), names, strict=True) if n in by_lower}
        others = {name for role, name in assigned.items() if role != first.role}
        own = assigned.get(first.role, both.get(first.role))
        if len(both) == 2 and own == both[first.role] and not others & set(both.values()):
            return both
    return {}


def _unrecognised(names: Sequence[str], column: Column, chosen: Mapping[str, str], likely: Sequence[str]) -> DataError:
    """Return the error for a role without a column, with a probable reason."""
    problem = f"No column was recognised as the {column.role}: the table has {_listed(names)}."
    taken = next(((role, name) for role, name in chosen.items() if name.strip().lower() in column.names), None)
    if taken is not None:
        problem += f" `{taken[1]}` is already used as the {taken[0]}."
    elif likely:
        many = "column" if len(names) == 1 else f"{len(names)} columns in their order"
        return DataError(
            f"{problem} The first line looks like data.",
            f"Give the {many}, as in --set 'data.column_names=[{', '.join(likely)}]', or in a header line.",
            id="data.column-unrecognized",
        )
    fix = f"Select it with {flag(column.role)}."
    if column.options:
        named = " or ".join(f"`--set options.{key}=COLUMN` (--{key})" for key in column.options)
        fix = f"Give its name with {named}, or select it with {flag(column.role)}."
    return DataError(problem, fix, id="data.column-unrecognized")


def unfold(table: pa.Table) -> pa.Table:
    """Return the table with a further column for each key of its objects: "translation.en", "review.author.name"."""
    waiting = [field.name for field in table.schema if pa.types.is_struct(field.type)]
    while waiting:
        outer = waiting.pop(0)
        for field in table[outer].type:
            inner = f"{outer}.{field.name}"
            if inner not in table.column_names:
                table = table.append_column(inner, pc.struct_field(table[outer], field.name))
                waiting += [inner] if pa.types.is_struct(field.type) else []
    return table


def flag(role: str) -> str:
    """Return the option by which a user names the column of `role`."""
    return f"--{role}-column COLUMN" if role in ("text", "label") else f"--set data.columns.{role}=COLUMN"


def lacks(names: Sequence[str], wanted: str | None) -> bool:
    """Whether a column that a user named is not among a table's."""
    return wanted is not None and wanted.strip() not in {name.strip() for name in names}


def _named(names: Sequence[str], wanted: str, role: str) -> str:
    stripped = {normal_form.normal(name.strip()): name for name in names}
    sought = normal_form.normal(wanted.strip())
    if sought in stripped:
        return stripped[sought]
    near = difflib.get_close_matches(sought, list(stripped), n=1)
    guess = f" Did you mean `{near[0]}`?" if near else ""
    raise DataError(
        f"The table has no column `{wanted}` to use as the {role}; it has {_listed(names)}.{guess}",
        f"Select one of these with {flag(role)}.",
        id="data.column-missing",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "") if names else "no columns"


def take_roles(table: pa.Table, roles: Mapping[str, str], columns: Sequence[Column]) -> pa.Table:
    """Rename the found columns to their roles and coerce their values; the others stay as metadata.

    A metadata column that already has the name of a role gets the prefix "other_".
    """
    by_role = {column.role: column for column in columns}
    used = set(roles.values())
    names = set(table.column_names)
    arrays: dict[str, pa.ChunkedArray] = {}
    for role, name in roles.items():
        _refuse_formulas(table, role, name)
        try:
            arrays[role] = by_role[role].kind.in_shape(table, name)
        except cells.BrokenListError as error:
            raise DataError(
                f"{place(table, error.row)}: `{name}` {error}.",
                "Write the whole list, such as ['O', 'B-PER'], or the items separated by spaces.",
                id="data.malformed-list",
            ) from None
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in used:
            kept = name
            while kept in arrays or (kept != name and kept in names):
                kept = f"other_{kept}"
            arrays[kept] = column
    return pa.table(arrays)


def _refuse_formulas(table: pa.Table, role: str, name: str) -> None:
    """Refuse a column of a workbook that would be read as empty."""
    count = formulas(table.schema.field(name))
    if count:
        first = table[POSITION[0]][0].as_py() if POSITION[0] in table.column_names else "The workbook"
        raise DataError(
            f"{first}: the column `{name}` holds {count:,} formulas and no values: the program that wrote the file did "
            "not compute them.",
            f"Open it in a spreadsheet program and save it, or select another column with {flag(role)}.",
            id="data.formulas-without-values",
        )


def _single(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Unwrap labels from lists of one label.

    Raises:
        DataError: A row has several.
        BrokenListError: A list in a cell is cut short.
    """
    values = table[name]
    if is_list(values.type):
        rows = values.to_pylist()
    elif pa.types.is_string(values.type) and pc.any(pc.starts_with(values, "[")).as_py():
        texts = values.to_pylist()
        rows = [None if cell is None else _numbered(cells.items, cell, row) for row, cell in enumerate(texts)]
        if any(row is None and cell for row, cell in zip(rows, texts, strict=True)):
            return values
    else:
        return values
    several = [place for place, row in enumerate(rows) if row and len(row) > 1]
    if any(isinstance(item, dict | list) for row in rows for item in row or ()):
        _refuse_nested(name, values.type)
    if several:
        first = rows[several[0]]
        raise several_labels(len(several), len(rows), f"{place(table, several[0])}: {', '.join(map(str, first))}")
    single = [row[0] if row else None for row in rows]
    return pa.chunked_array([pa.array(single)])


def several_labels(count: int, rows: int, first: str) -> DataError:
    """Return the error for rows with several labels."""
    return DataError(
        f"{count:,} of {rows:,} rows have several labels ({first}).",
        "The recipes `text` and `image` predict several classes a row with --target classes. Elsewhere keep one label "
        "in each row; to use each combination as a class, map all of them with data.label_map.",
        id="label.several-in-a-row",
    )


def place(table: pa.Table, row: int) -> str:
    """Return the position of a row in the user's files."""
    if not set(POSITION) <= set(table.column_names):
        return f"row {row + 1}"
    return f"{table[POSITION[0]][row].as_py()}, row {table[POSITION[1]][row].as_py()}"


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists."""
    return any(check(kind) for check in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _numbered(read: Callable[[str], Listed], cell: str, row: int) -> Listed:
    """Read a cell; an error names the row."""
    try:
        return read(cell)
    except cells.BrokenListError as error:
        error.row = row
        raise


def _refuse_nested(name: str, kind: pa.DataType) -> None:
    """Refuse objects and lists where a text or a label is expected: their written form is not usable."""
    if pa.types.is_nested(kind):
        if pa.types.is_struct(kind) and kind.num_fields:
            inner = [f"{name}.{kind.field(place).name}" for place in range(kind.num_fields)]
            raise DataError(
                f"The column `{name}` holds objects, not single values.",
                f"Select one of their values: {_listed(inner)}, with --text-column, --label-column or, for other "
                "roles, --set data.columns.ROLE=COLUMN.",
                id="data.nested-column",
            )
        what = "objects" if pa.types.is_map(kind) else "lists"
        raise DataError(
            f"The column `{name}` holds {what}, not single values.",
            "Write the nested values into columns of their own, and select these with --text-column, --label-column "
            "or, for other roles, --set data.columns.ROLE=COLUMN.",
            id="data.nested-column",
        )


def strings(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as strings; nulls stay.

    Raises:
        DataError: It holds objects or lists.
    """
    values = _flat(table[name])
    _refuse_nested(name, values.type)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    return pa.chunked_array([pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())])


def word_lists(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as lists of words: lists, or texts cut at white space."""
    return _lists(table[name], words_of, _as_word)


def label_lists(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as lists of labels, one for each word."""
    return _lists(table[name], labels_of, normal_form.label)


def single_labels(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as labels, one for each row, in their one written form.

    Raises:
        DataError: It holds objects, or several labels in a row.
    """
    values = _single(table, name)
    _refuse_nested(name, values.type)
    return written_labels(values)


def _flat(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _lists(values: pa.ChunkedArray, read: Callable[[str], list[str]], convert: Callable[[Any], str]) -> pa.ChunkedArray:
    listed = is_list(values.type)
    rows = [
        None
        if row is None
        else [convert(v) if v is not None else "" for v in (row if listed else _numbered(read, str(row), place))]
        for place, row in enumerate(values.to_pylist())
    ]
    return pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])


def words_of(text: str) -> list[str]:
    """Return the words of a cell: a list of quoted words, or a text cut at white space.

    Raises:
        BrokenListError: The list is cut short.
    """
    listed = cells.items(text)
    return text.split() if listed is None else listed


def labels_of(text: str) -> list[str]:
    """Return the labels of a cell, one for each word: a list, or labels with white space between.

    Raises:
        BrokenListError: The list is cut short.
    """
    listed = cells.items(text, bare=True)
    return text.split() if listed is None else listed


def written_labels(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return labels in their one written form; each distinct value is converted once."""
    encoded = _flat(values).combine_chunks().dictionary_encode()
    labels = [normal_form.label(value) for value in encoded.dictionary.to_pylist()]
    if labels and all(_DECIMAL_COMMA.fullmatch(label) for label in labels if label):  # 4,0 as spreadsheets write it
        labels = [label.partition(",")[0] for label in labels]
    return pa.chunked_array([pa.array(labels, pa.string()).take(encoded.indices)])


def _as_word(value: object) -> str:
    return normal_form.label(value) if isinstance(value, bool | float) else str(value).strip()


def only_numbers(parts: Mapping[str, pa.Table], column: Column) -> list[str]:
    """Return a sentence when a column of texts holds nothing but numbers; else nothing."""
    if any(column.role not in rows.column_names for rows in parts.values()):
        return []
    if not all(
        pc.all(pc.match_substring_regex(rows[column.role], r"^\s*[-+]?[0-9][0-9.,eE+-]*\s*$")).as_py()
        for rows in parts.values()
    ):
        return []
    return [
        f"The column of the {column.role} holds only numbers. Is it the right column? {flag(column.role)} selects "
        "another."
    ]


def suspect_swap(table: pa.Table, columns: Sequence[Column]) -> str:
    """Return a sentence when the text column has few values, as if swapped with the label; else nothing."""
    text = next((c.role for c in Task(tuple(columns)).inputs if pa.types.is_string(c.kind.type)), None)
    if text is None or text not in table.column_names:
        return ""
    different = len(pc.unique(table[text]))
    if different > max(20, table.num_rows // 20):
        return ""
    return f" The {text} column has only {different:,}: are the two columns swapped?"
