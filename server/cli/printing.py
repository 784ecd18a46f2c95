"""
Printing: what goes to stdout, which carries only data.

Programs get JSON, people get tables. A terminal gets colours and lines cut to its width; a pipe gets plain text, whole.
What players wrote may hold controls that steer a terminal, and what rich takes for markup; both are shown as they are
spelled.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

#: C0 and C1 controls, and the line separators of Unicode, spelled as in JSON: it stays JSON, and one line, whatever a
#: reader takes for the end of a line.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
#: Columns of a pipe: none of our lines is folded there.
_PIPE_WIDTH = 10**7


def print_json(*values: object) -> None:
    """Each value as one line of JSON."""
    sys.stdout.write("".join(f"{as_json(value)}\n" for value in values))
    sys.stdout.flush()


def print_lines(lines: Iterable[Text]) -> None:
    """Each text as one line, cut at a terminal's edge."""
    _print(*lines, is_cut=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their columns' names; a terminal too narrow for a cell gets it on several lines."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _print(table)


def print_tree(title: str, values: Mapping[str, Any]) -> None:
    """An object's members by depth, what is no object on one line."""
    tree = Tree(Text(shown(title), style="bold"), guide_style="dim")
    _grow(tree, values)
    _print(tree, is_cut=True)


def as_json(value: object) -> str:
    return shown(msgspec.json.encode(value).decode())


def shown(text: str) -> str:
    """The text, or the JSON, with controls spelled out."""
    return text.translate(_CONTROLS)


def moment(at_ms: int) -> str:
    """A time of the journal, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")


def _print(*values: RenderableType, is_cut: bool = False) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)
    # Written by us: rich would end the process where a reader has closed the pipe.
    with console.capture() as captured:
        for value in values:
            console.print(value, no_wrap=is_cut, overflow="ellipsis" if is_cut else None)
    # Without the spaces that fill the last column.
    sys.stdout.write("".join(f"{line.rstrip(' ')}\n" for line in captured.get().split("\n")[:-1]))
    sys.stdout.flush()


def _cell(value: object) -> Text:
    if value is None:
        return Text("-", style="dim")
    return Text(shown(value) if isinstance(value, str) else as_json(value), overflow="fold")


def _grow(tree: Tree, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        name = Text(shown(key), style="cyan")
        if isinstance(value, dict) and value:
            _grow(tree.add(name), value)
        else:
            tree.add(name.append(f"  {as_json(value)}", style="default"))
