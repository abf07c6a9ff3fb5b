"""Files at the edge: written whole or not at all, even under `kill -9`; which may be meant when one is not there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from planner.units import PlannerError, nearest
from planner.words import phrase, say

YAML = (".yaml", ".yml")
_PREFIX, _SUFFIX = ".planner-", ".part"
_PART = re.compile(r"\.planner-\w+\.part")  # what is not whole yet
_JOURNAL = ".planner-journal"
_MOST_JOURNAL = 1 << 20
_FORMULA = ("=", "+", "-", "@")
_LONGEST_NAME = 200
_LISTED = 8  # names of files that a sentence can hold


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8, line ends as they are) to `path`: beside it first, then renamed over it.

    Links are followed, so that a linked file is replaced where it lies; permissions of a file that is there are kept.

    Raises
    ------
    PlannerError
        If the place cannot be written, saying why.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():  # a pipe or /dev/stdout has no half-written state
            with target.open("wb") as file:
                file.write(data)
            return
        _clear(target.parent)
        with ExitStack() as stack:
            _staged(target.parent, data, _mode(target), stack).replace(target)
    except (OSError, ValueError) as error:
        raise PlannerError(say("files.cannot_write", place=printable_name(path), why=_why(error))) from None


def write_all(folder: Path, files: Mapping[str, str | bytes], scripts: Collection[str] = ()) -> list[Path]:
    """Write files into `folder`, all of them or none, even if this process is killed at any moment.

    A folder that is not there is made beside its place and renamed there once. In one that is there, what is to be
    renamed is written down first: whoever uses the folder next (`finish`) does what a killed process left undone.

    Parameters
    ----------
    folder : made where it is missing, with those above it
    files : content by path within the folder; folders on the way are made
    scripts : endings of files that are made executable

    Raises
    ------
    PlannerError
        If the folder or a file in it cannot be written; what was there is then as it was.
    """
    place = folder
    try:
        root = Path(os.path.realpath(folder))
        if not root.exists():
            _write_folder(root, files, scripts)
        else:
            finish(root)
            _clear(root)
            for name in files:
                place = folder / name
                if place.exists() and not (place.is_file() and os.access(place, os.W_OK)):
                    raise PlannerError(say("files.protected", place=printable_name(place)))
            place = folder
            _write_into(root, files, scripts)
    except (OSError, ValueError) as error:
        if isinstance(error, PlannerError):
            raise
        raise PlannerError(say("files.cannot_write_to", place=printable_name(place), why=_why(error))) from None
    return [folder / name for name in files]


def finish(folder: Path) -> None:
    """Do what a process that was killed in `write_all` had yet to rename in `folder`; nothing where nobody was.

    Raises
    ------
    PlannerError
        If that cannot be done.
    """
    journal = folder / _JOURNAL
    if not os.path.isfile(journal):  # noqa: PTH113 - a path that nothing can have is no journal either
        return
    try:
        with journal.open("rb") as file:
            left = json.loads(file.read(_MOST_JOURNAL))
        for part, name in left:
            inside = not Path(name).is_absolute() and ".." not in Path(name).parts
            if not (inside and _PART.fullmatch(part)):
                raise PlannerError(say("files.not_planners"))
        _rename(folder, left)
        journal.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        said = say("files.unfinished", journal=printable_name(journal), why=_why(error))
        raise PlannerError(said) from None


def _write_folder(root: Path, files: Mapping[str, str | bytes], scripts: Collection[str]) -> None:
    """A new folder, whole from the moment it has its name."""
    first = root
    while not first.parent.exists():
        first = first.parent
    _clear(first.parent)
    part = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=first.parent))
    try:
        with ExitStack() as stack:
            _lock(os.open(part, os.O_RDONLY) if os.name == "posix" else None, stack)
            inside = part / root.relative_to(first)
            inside.mkdir(parents=True, exist_ok=True)
            part.chmod(0o777 & ~_umask())
            for name, content in files.items():
                path = inside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    _fill(file.fileno(), content)
                path.chmod(_mode(path, scripts))
            part.replace(first)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_into(root: Path, files: Mapping[str, str | bytes], scripts: Collection[str]) -> None:
    """Files of a folder that is there: all staged, what to rename written down, then renamed."""
    with ExitStack() as stack:
        todo: list[tuple[str, str]] = []
        before: dict[Path, Path | None] = {}
        for name, content in files.items():
            target = Path(os.path.realpath(root / name))
            beside = target.parent if target.parent.exists() else root
            staged = _staged(root if _same_disk(root, beside) else beside, content, _mode(target, scripts), stack)
            todo.append((staged.name, name))
            if len(files) > 1:  # of one file the rename is all
                before[target] = _kept(target, stack)
        if len(todo) > 1:
            _staged(root, json.dumps(todo), 0o666 & ~_umask(), stack).replace(root / _JOURNAL)
        try:
            _rename(root, todo)
        except BaseException:  # no kill, but a refusal or Ctrl-C: back to what was there
            for target, old in before.items():
                if old is not None:
                    old.replace(target)
                else:
                    target.unlink(missing_ok=True)
            raise
        finally:
            (root / _JOURNAL).unlink(missing_ok=True)


def _kept(path: Path, stack: ExitStack) -> Path | None:
    """What is there under a second name, of any size: a link, or a copy where the disk has none; None: nothing is."""
    if not path.exists():
        return None
    kept = _staged(path.parent, "", 0o600, stack)
    kept.unlink()
    try:
        os.link(path, kept)
    except OSError:
        shutil.copy2(path, kept)
    with suppress(OSError):  # who may not read it cannot clear it away either
        _lock(os.open(kept, os.O_RDONLY) if os.name == "posix" else None, stack)
    return kept


def _rename(root: Path, todo: Iterable[tuple[str, str]]) -> None:
    for part, name in todo:
        target = Path(os.path.realpath(root / name))
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = next((place / part for place in (root, target.parent) if (place / part).exists()), None)
        if staged is not None:  # else it was renamed before
            staged.replace(target)


def _staged(folder: Path, content: str | bytes, mode: int, stack: ExitStack) -> Path:
    """A file with this content and a name of its own; `stack` holds its lock, and takes away what was not renamed."""
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
    _lock(handle, stack)
    stack.callback(Path(name).unlink, missing_ok=True)
    _fill(handle, content)
    Path(name).chmod(mode)
    return Path(name)


def _fill(handle: int, content: str | bytes) -> None:
    with os.fdopen(handle, "wb", closefd=False) as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(handle)


def _lock(handle: int | None, stack: ExitStack) -> None:
    """What is locked is somebody's; a lock ends with its process, however that ends."""
    if handle is None:
        return
    stack.callback(os.close, handle)
    with suppress(ImportError, OSError):  # Windows has none, nor have some network disks
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(handle, LOCK_EX | LOCK_NB)


def _clear(folder: Path) -> None:
    """Take away what processes that were killed left unfinished in a folder."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        stale = [part for part in folder.iterdir() if _PART.fullmatch(part.name)]
    except (ImportError, OSError):
        return
    for part in stale:
        with suppress(OSError), ExitStack() as stack:
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
            stack.callback(os.close, handle)
            flock(handle, LOCK_EX | LOCK_NB)
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()


def _mode(target: Path, scripts: Collection[str] = ()) -> int:
    """The permissions of a file that is there, of a new one what the process's mask leaves."""
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    return mode | 0o111 & ~_umask() if target.suffix in scripts else mode


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _why(error: Exception) -> str:
    if isinstance(error, PlannerError):
        return error.args[0]  # type: ignore[no-any-return]
    return phrase("system", getattr(error, "strerror", None) or " ".join(str(error).split())[:200])


def guarded(cell: object) -> object:
    """A cell as no spreadsheet takes it for a formula: a text that would be one gets an apostrophe before it."""
    formula = isinstance(cell, str) and cell.lstrip("' \t\r\n").startswith(_FORMULA) and not _is_number(cell)
    return f"'{cell}" if formula else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given."""
    return cell[1:] if cell[:1] == "'" and guarded(cell[1:]) == cell else cell


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, the header first; no text in them is a formula to a spreadsheet, and numbers are numbers."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([guarded(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def missing_file(path: Path, endings: Iterable[str] = YAML) -> str:
    """The sentence for a file that is not there: which may be meant, else which with its ending or `endings` are."""
    file = printable_name(path)
    kinds = tuple(dict.fromkeys(filter(None, (*endings, path.suffix.lower()))))
    try:
        there = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() in kinds and file.is_file())
    except OSError:
        return say("files.missing_folder", file=file, folder=printable_name(path.parent))
    stems = {Path(name).stem for name in there}
    near = [path.stem] if path.stem in stems else nearest(path.stem, sorted(stems))
    meant = [f"`{printable_name(path.parent / name)}`" for name in there if Path(name).stem in near]
    if meant:
        return say("files.meant", file=file, names=_either(meant[:3]))
    if not there:
        return say("files.none_of_kind", file=file, kinds=_either(kinds)) if kinds else say("files.missing", file=file)
    names = [printable_name(name) for name in there[:_LISTED]]
    if len(there) > _LISTED:
        return say("files.beside_more", file=file, names=names, more=len(there) - _LISTED)
    return say("files.beside", file=file, names=names)


def _either(names: Sequence[str]) -> str:
    return say("names.either", some=names[0], other=_either(names[1:])) if len(names) > 1 else names[0]


def printable_name(name: Path | str) -> str:
    """A file's name inside a sentence: whoever made the file chose its characters, and how many."""
    seen = "".join(char if char.isprintable() else "·" for char in str(name))
    return seen if len(seen) <= _LONGEST_NAME else f"{seen[:60]}…{seen[-100:]}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
