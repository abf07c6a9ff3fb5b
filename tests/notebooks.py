"""Notebooks without Jupyter: their code cells run in order, and what they show is kept beside them."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any


def executed(path: Path) -> str:
    """The notebook's text with its cells run anew, in this process and folder. An exception of a cell is raised."""
    book = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            cell["execution_count"] = number
            cell["outputs"] = _outputs(_text(cell["source"]), names, number, f"{path.name}, cell {number}")
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _text(source: str | list[str]) -> str:
    """A cell's text: editors keep it as lines."""
    return source if isinstance(source, str) else "".join(source)


def _outputs(source: str, names: dict[str, Any], number: int, name: str) -> list[dict[str, Any]]:
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), names)  # noqa: S102 - the project's own notebook
        value = None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue()})
    if value is not None:
        shown = {"text/plain": repr(value)}
        if hasattr(value, "_repr_html_") and not hasattr(value, "_repr_png_"):
            shown = {"text/html": value._repr_html_(), **shown}
        outputs.append({"data": shown, "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    return outputs
