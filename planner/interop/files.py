"""Other programs' small text files, read without trusting them: size, encoding, nesting and numbers are checked first.

Every problem is a PlannerError of one sentence that names the file; nothing read here is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from planner.interop.quoting import printable
from planner.reading import fault, json_of, read_text
from planner.units import PlannerError
from planner.words import say

MAX_CONFIG_BYTES = 512 << 10  # the largest published config is some 20 kB
MAX_DEPTH = 64
MAX_COMMAS = 16  # missing commas put right in one file
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def shown(text: object, limit: int = 60) -> str:
    """A value on one line, what cannot be printed replaced and cut at `limit`, fit for a sentence or a comment."""
    line = printable(re.sub(r"\s+", " ", str(text)))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def config_text(path: Path) -> str:
    """The text of another program's configuration or script; raises as `planner.reading.read_text` does."""
    return read_text(Path(path), MAX_CONFIG_BYTES, "a configuration", (), controls=True)


@contextmanager
def naming(*paths: Path) -> Iterator[None]:
    """Whatever is refused within names the file it is refused in.

    Raises
    ------
    PlannerError
        The sentence that was raised, behind the files' names where it has none of them.
    """
    try:
        yield
    except PlannerError as error:
        sentence = error.args[0] if error.args else ""
        said = named(sentence, paths)
        if said == sentence:
            raise
        raise PlannerError(said) from error


def named(sentence: str, paths: Iterable[Path]) -> str:
    """A sentence that names at least one of the files it is about, unless it is about an option of the command."""
    names = [shown(path.name, 80) for path in paths if path.name]
    known = not names or sentence.startswith("--") or any(name in sentence for name in names)
    return sentence if known else say("other_files.named", files=names, error=sentence)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file: its values, the line of each top-level key, and what had to be put right to read it.

    With `text`, a key that `lines` lacks is looked for where its name first stands.
    """

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]
    repairs: tuple[str, ...] = ()
    text: str = ""

    @property
    def name(self) -> str:
        return shown(self.path.name, 80)

    def where(self, key: str) -> str:
        """`20B.yml:21` for a top-level key."""
        line = self.lines.get(key)
        at = self.text.find(f'"{key}"') if line is None else -1
        if at >= 0:
            line = self.text.count("\n", 0, at) + 1
        return self.name if line is None else f"{self.name}:{line}"


def read_json(path: Path) -> Document:
    """A JSON object."""
    text = config_text(path)
    values = json_of(text, path)
    if not isinstance(values, dict):
        raise fault(path, say("other_files.no_object"))
    return Document(path, values, {}, text=text)


def read_yaml(path: Path) -> Document:
    """A YAML mapping (JSON-like flow mappings with comments and trailing commas included).

    A comma that is missing between two entries of a flow mapping (a published Pythia config lacks one) is put in, and
    said.
    """
    text = config_text(path)
    repairs: list[str] = []
    while True:
        try:
            return _load_yaml(path, text, tuple(repairs))
        except PlannerError:
            raise
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            missing = mark is not None and "expected ',' or" in str(error.problem)
            at = _offset(text, mark.line, mark.column) if missing else None
            if at is not None and len(repairs) < MAX_COMMAS:
                text = text[:at] + "," + text[at:]
                repairs.append(say("other_files.comma_missing", file=shown(path.name, 80), line=mark.line + 1))
                continue
            problem = say("other_files.not_yaml", problem=shown(error.problem or error, 120))
            raise fault(path, problem, 0 if mark is None else mark.line + 1) from None
        except yaml.YAMLError as error:
            raise fault(path, say("other_files.not_yaml", problem=shown(error, 120))) from None
        except RecursionError:
            raise _too_deep(path) from None
        except (ValueError, OverflowError, TypeError, AttributeError, KeyError, IndexError) as error:
            reason = shown(error, 120).rstrip(".") or say("other_files.no_sense")
            raise fault(path, say("other_files.no_configuration", problem=reason)) from None


def _offset(text: str, line: int, column: int) -> int | None:
    """Where a YAML mark stands in the text; None past its end, where there is no next entry."""
    starts = [0, *(match.end() for match in re.finditer("\r\n|[\n\r\x85\u2028\u2029]", text))]
    at = starts[line] + column if line < len(starts) else len(text)
    return at if at < len(text) else None


def _load_yaml(path: Path, text: str, repairs: tuple[str, ...]) -> Document:
    _check_depth(path, text)
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise fault(path, say("other_files.no_mapping"))
        lines = {
            key.value: key.start_mark.line + 1
            for key, _ in node.value
            if isinstance(key, yaml.ScalarNode) and isinstance(key.value, str)
        }
        values: Mapping[Hashable, Any] = loader.construct_document(node)
    finally:
        loader.dispose()
    return Document(path, {str(key): value for key, value in values.items()}, lines, repairs)


def _check_depth(path: Path, text: str) -> None:
    """Refuse deep nesting before anything recursive sees it; parsing to events needs no recursion."""
    if _bracket_depth(text) > 8 * MAX_DEPTH:
        raise _too_deep(path)
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep(path)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _bracket_depth(text: str) -> int:
    """An upper bound of flow nesting, brackets within strings and comments included."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _too_deep(path: Path) -> PlannerError:
    return fault(path, say("other_files.too_deep", depth=MAX_DEPTH))


def whole(value: object, what: str, least: int = 1, most: int = 10**15) -> int:
    """An integer within bounds; floats and strings that are whole numbers are taken.

    Raises
    ------
    PlannerError
        Naming `what`, if the value is no whole number within [least, most].
    """
    number: int | None = None
    if isinstance(value, bool):
        number = None
    elif isinstance(value, int):
        number = value
    elif (
        isinstance(value, float)
        and value.is_integer()
        or isinstance(value, str)
        and re.fullmatch(r"\s*[+-]?\d{1,30}(?:_\d+)*\s*", value)
    ):
        number = int(value)
    if number is None:
        raise PlannerError(say("other_files.not_whole", what=what, value=shown(value)))
    if not least <= number <= most:
        shown_number = number if abs(number) < 10**20 else say("other_files.too_long")
        raise PlannerError(say("other_files.out_of_bounds", what=what, value=shown_number, least=least, most=most))
    return number


def truth(value: object, what: str) -> bool:
    """A truth value; "true", "True", "false" and 0/1 are taken.

    Raises
    ------
    PlannerError
        Naming `what`, otherwise.
    """
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false", "yes", "no"):
        return value.strip().lower() in ("true", "yes")
    raise PlannerError(say("other_files.not_truth", what=what, value=shown(value)))
