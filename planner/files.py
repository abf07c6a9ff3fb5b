"""Files at the edge: written whole or not at all, and when one is not there, which may be meant."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from planner.units import PlannerError, nearest

YAML = (".yaml", ".yml")
_LISTED = 8  # names of files that a sentence can hold


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8, line ends as they are) to `path`: into its folder first, then renamed over it.

    Links are followed, so that a linked file is replaced where it lies; permissions of a file that is there are kept.

    Raises
    ------
    PlannerError
        If the place cannot be written, saying why.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe or /dev/stdout has no half-written state; a folder is refused
        _write_special(path, target, data)
        return
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise PlannerError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except OSError as error:
        raise PlannerError(f"cannot write {path}: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def missing_file(path: Path, endings: Iterable[str] = YAML) -> str:
    """The sentence for a file that is not there: which may be meant, else which with its ending or `endings` are."""
    wanted = f"{_printable(path)}: there is no such file"
    kinds = tuple(dict.fromkeys(filter(None, (*endings, path.suffix.lower()))))
    try:
        there = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() in kinds and file.is_file())
    except OSError:
        return f"{wanted}, nor a folder `{_printable(path.parent)}` that can be read"
    stems = {Path(name).stem for name in there}
    near = [path.stem] if path.stem in stems else nearest(path.stem, sorted(stems))
    meant = [f"`{_printable(path.parent / name)}`" for name in there if Path(name).stem in near]
    if meant:
        return f"{wanted}; did you mean {' or '.join(meant[:3])}?"
    if not there:
        return f"{wanted}, and none that ends in {' or '.join(kinds)} beside it" if kinds else wanted
    more = f" and {len(there) - _LISTED:,} more" if len(there) > _LISTED else ""
    return f"{wanted}; beside it are {', '.join(map(_printable, there[:_LISTED]))}{more}"


def _printable(name: Path | str) -> str:
    """A file's name inside a sentence: whoever made the file chose its characters."""
    return "".join(char if char.isprintable() else "·" for char in str(name))


def _write_special(path: Path, target: Path, data: bytes) -> None:
    try:
        with target.open("wb") as file:
            file.write(data)
    except OSError as error:
        raise PlannerError(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
