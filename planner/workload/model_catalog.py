"""Where model shapes come from: `catalogs/models/*.yaml`, directories of the user's own, or a mapping.

One file a model, named by it; keys are those of `ModelSpec`, with `moe:`, `mla:`, `recurrent:` and `sparse:` nested.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from planner.reading.names import did_you_mean
from planner.reading.text import wrong_at
from planner.spec.model import (
    ACTIVATIONS,
    MIXERS,
    NORMS,
    PARTS,
    POSITIONS,
    MLASpec,
    ModelSpec,
    MoESpec,
    RecurrentSpec,
    SparseSpec,
)
from planner.units import PlannerError
from planner.words import phrase, say
from planner.workload.layers import check_pattern

if TYPE_CHECKING:
    from planner.reading.tree import Node

_Part = TypeVar("_Part", MoESpec, MLASpec, RecurrentSpec, SparseSpec)
_LONGEST_NAME = 200  # bytes; file systems take 255 with the ending
#: Words of a hub's id, at its end or before a version, that say how weights were tuned or stored, not their shape.
_TUNED = re.compile(
    r"[-_](?:instruct|chat|base|hf|it|sft|dpo|rlhf|thinking|deduped|bf16|fp8|nvfp4|gguf|awq|gptq|bnb[-_]4bit|4bit|8bit|int4|int8|\d{4})(?=$|[-_]v\d)",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"[+-]?\d{1,3}(_?\d{1,3}){0,6}")
_MAY_BE_ZERO = {
    "learned_positions", "full_attention_every", "mtp_layers", "shared_experts", "shared_ffn", "first_dense_layers",
    "q_lora_rank", "ffn", "latent", "conv", "step_rank",
}  # fmt: skip


@lru_cache(maxsize=1)
def models_dir() -> Path:
    """The shipped models: package data of an installed wheel, else the checkout's `catalogs/models`."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_catalogs" / "models"
    return inside if inside.is_dir() else package.parent / "catalogs" / "models"


def model_names(extra_dirs: Iterable[Path] = ()) -> list[str]:
    """Names that `load_model` knows, sorted, aliases left out."""
    return sorted({path.stem for directory in _directories(extra_dirs) for path in directory.glob("*.yaml")})


def load_model(name: str, extra_dirs: Iterable[Path] = ()) -> ModelSpec:
    """The model called `name` (or by one of its aliases); directories of `extra_dirs` win over the shipped ones.

    Case never matters, and punctuation only between digits: "Llama 3 8B" is llama3-8b, and "llama-38b" is not. Of an id
    of a model hub ("meta-llama/Meta-Llama-3-8B-Instruct") the maker and words of tuning say nothing of the shape.

    Raises PlannerError naming the nearest spellings when there is none.
    """
    extra = tuple(extra_dirs)
    if (found := find_model(name, extra)) is not None:
        return found
    known = sorted({*model_names(extra), *(alias for d in _directories(extra) for alias in _aliases(d))})
    near = difflib.get_close_matches(plain_name(name), known, n=3, cutoff=0.5)
    raise PlannerError(
        say("model_catalog.unknown_near" if near else "model_catalog.unknown", name=name, names=near or known)
    )


def find_model(name: str, extra_dirs: Iterable[Path] = ()) -> ModelSpec | None:
    """What `load_model` finds, None where there is none; raises PlannerError for what is wrong in its file."""
    directories = _directories(extra_dirs)
    for spelled in _spellings(name):
        path = _path_of(spelled, directories)
        if path is not None:
            return read_model(path)
    return None


def _spellings(name: str) -> Iterable[str]:
    """A name, and of a hub's id what is left without its maker, then without each word of tuning."""
    yield name
    maker, slash, last = name.strip().rpartition("/")
    if not slash or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}", maker):
        return
    while True:
        yield last
        shorter = _TUNED.sub("", last, count=1)
        if shorter in ("", last):
            return
        last = shorter


def _path_of(name: str, directories: Iterable[Path]) -> Path | None:
    """The file of the model of this name, by its own name, an alias, or either without punctuation."""
    wanted, directories = plain_name(name), list(directories)
    for directory in directories:
        path = directory / f"{wanted}.yaml"
        if _is_file_name(wanted) and path.is_file():
            return path
    for directory in directories:
        found = _aliases(directory).get(wanted)
        if found is not None:
            return found
    for directory in directories:
        found = _punctuated(directory).get(_unpunctuated(name))
        if found is not None:
            return found
    return None


def plain_name(name: str) -> str:
    """A model's name without what writers differ in: case, and blanks or underscores instead of dashes."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def read_model(path: Path) -> ModelSpec:
    """One model file. Raises PlannerError with the file's name for whatever is wrong in it."""
    try:
        stat = path.stat()
    except OSError as error:
        why = phrase("system", str(error.strerror))
        raise PlannerError(say("model_catalog.unreadable", file=path.name, why=why)) from error
    return _read_model(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=512)
def _read_model(path: Path, _changed_ns: int, _size: int) -> ModelSpec:
    """A model file as it is since it last changed."""
    return model_from_mapping(_values(path), name=path.stem, where=path.name)


def model_from_mapping(values: Mapping[str, Any], name: str = "custom", where: str = "model") -> ModelSpec:
    """A ModelSpec from plain values, defaults filled in: kv_heads = heads, head_dim = hidden / heads, ffn = 4 hidden.

    Raises PlannerError for unknown keys, wrong types and shapes that cannot be.
    """
    given = {str(key): value for key, value in values.items() if value is not None}
    given.setdefault("name", name)
    for key in ("layers", "hidden", "heads", "vocab"):
        if key not in given:
            raise wrong_at(where, say("model_catalog.needs", key=key))
    moe = _nested(MoESpec, given.pop("moe", None), say("reading.at", file=where, what="moe"))
    mla = _nested(MLASpec, given.pop("mla", None), say("reading.at", file=where, what="mla"))
    recurrent = _nested(RecurrentSpec, given.pop("recurrent", None), say("reading.at", file=where, what="recurrent"))
    sparse = _nested(SparseSpec, given.pop("sparse", None), say("reading.at", file=where, what="sparse"))
    heads, hidden = _integer(given, "heads", where), _integer(given, "hidden", where)
    given.setdefault("kv_heads", heads)
    given.setdefault("ffn", 4 * hidden)
    if "head_dim" not in given:
        if mla is not None:
            given["head_dim"] = mla.qk_nope_head_dim + mla.qk_rope_head_dim
        elif hidden % heads:
            raise wrong_at(where, say("model_catalog.heads", hidden=hidden, heads=heads))
        else:
            given["head_dim"] = hidden // heads
    if isinstance(given.get("aliases"), (list, tuple)):
        given["aliases"] = tuple(str(alias) for alias in given["aliases"])
    spec = ModelSpec(**_checked(ModelSpec, given, where), moe=moe, mla=mla, recurrent=recurrent, sparse=sparse)
    _check_shape(spec, where)
    return spec


def _check_shape(spec: ModelSpec, where: str) -> None:
    for key, words in (("norm", NORMS), ("activation", ("", *ACTIVATIONS)), ("position_embedding", ("", *POSITIONS))):
        value = getattr(spec, key)
        if value not in words:
            raise wrong_at(
                where, say("model_catalog.may_be", key=key, value=value, words=[word for word in words if word])
            )
    if spec.recurrent is not None and spec.recurrent.kind not in MIXERS:
        given = {"value": spec.recurrent.kind, "words": list(MIXERS)}
        raise wrong_at(where, say("model_catalog.may_be", key="recurrent.kind", **given))
    check_pattern(spec, where)
    if spec.heads % spec.kv_heads:
        raise wrong_at(where, say("model_catalog.kv_heads", heads=spec.heads, kv_heads=spec.kv_heads))
    if spec.moe is not None and spec.moe.top_k > spec.moe.experts:
        raise wrong_at(where, say("model_catalog.top_k", top_k=spec.moe.top_k, experts=spec.moe.experts))
    if spec.moe is not None and spec.moe.first_dense_layers > spec.layers:
        raise wrong_at(where, say("model_catalog.first_dense", layers=spec.layers))
    if spec.moe is None and spec.ffn == 0 and not spec.layer_pattern:
        raise wrong_at(where, say("model_catalog.ffn"))


def _nested(kind: type[_Part], value: object, where: str) -> _Part | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        keys = [field.name for field in fields(kind)]
        raise PlannerError(say("model_catalog.not_a_map", where=where, value=value, keys=keys))
    return kind(**_checked(kind, {str(k): v for k, v in value.items()}, where))


def _checked(kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`values` if each is a field of `kind` and of its type, else a sentence."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind) if f.name not in PARTS}
    for key, value in values.items():
        if key not in known:
            raise wrong_at(
                where,
                say("model_catalog.unknown_key", key=key, near=did_you_mean(key, known) or say("model_catalog.stop")),
            )
        wanted = str(known[key].type)
        if wanted.startswith("int"):
            _integer(values, key, where)
        elif wanted == "bool" and not isinstance(value, bool):
            raise wrong_at(where, say("model_catalog.flag", key=key, value=value))
        elif wanted == "str" and not isinstance(value, str):
            raise wrong_at(where, say("model_catalog.text", key=key, value=value))
        elif wanted.startswith("tuple") and not isinstance(value, tuple):
            raise wrong_at(where, say("model_catalog.names", key=key, value=value))
    for key, spec in known.items():
        if key not in values and spec.default is MISSING and spec.default_factory is MISSING:
            raise wrong_at(where, say("model_catalog.missing", key=key))
    return dict(values)


def _integer(values: Mapping[str, Any], key: str, where: str) -> int:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_at(where, say("model_catalog.whole", key=key, value=value))
    if not (0 if key in _MAY_BE_ZERO else 1) <= value < 2**53:
        code = "model_catalog.zero_or_more" if key in _MAY_BE_ZERO else "model_catalog.positive"
        raise wrong_at(where, say(code, key=key, value=value))
    return value


def _directories(extra: Iterable[Path]) -> list[Path]:
    """Overlays first, the last one on top; each may be a directory of models or hold one called `models`."""
    overlays = [d for path in reversed(list(extra)) for d in (Path(path) / "models", Path(path)) if d.is_dir()]
    return [*overlays, models_dir()]


@lru_cache(maxsize=16)
def _aliases(directory: Path) -> dict[str, Path]:
    """Alias -> file, for one directory; files that do not parse have none here and complain when they are asked for."""
    found: dict[str, Path] = {}
    for path in sorted(directory.glob("*.yaml")):
        try:
            names = _values(path).get("aliases")
        except PlannerError:
            continue
        for alias in names if isinstance(names, list) else ():
            found.setdefault(plain_name(str(alias)), path)
    return found


@lru_cache(maxsize=16)
def _punctuated(directory: Path) -> dict[str, Path]:
    """Name or alias without its punctuation -> file, for one directory."""
    named = {path.stem: path for path in sorted(directory.glob("*.yaml"))} | _aliases(directory)
    return {_unpunctuated(name): path for name, path in named.items()}


def _unpunctuated(name: str) -> str:
    return re.sub(r"(?<!\d)-|-(?!\d)", "", re.sub(r"[^\w.]+", "-", plain_name(name)))


def _is_file_name(name: str) -> bool:
    """Whether a name can be a file's: no path may hide in it, and file systems take it."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME
        and not any(c in name for c in "/\\:\0")
        and not name.startswith(".")
    )


def _values(path: Path) -> dict[str, Any]:
    """The YAML of one model file as plain values, read strictly.

    Whole numbers, true and false are what they look like; every other scalar is text (no `12:30`, no `1e3`, no `no`).
    """
    from planner.reading import read_bytes
    from planner.reading.tree import read_yaml

    root = read_yaml(read_bytes(path), str(path), "model file")
    if root.fields is None:
        raise PlannerError(say("model_catalog.map", file=str(path)))
    values: dict[str, Any] = _value_of(root)
    return values


def _value_of(node: Node) -> Any:
    if node.fields is not None:
        return {key: _value_of(value) for key, value in node.fields.items()}
    if node.items is not None:
        return [_value_of(value) for value in node.items]
    if isinstance(node.value, str) and _WHOLE.fullmatch(node.value):
        return int(node.value.replace("_", ""))
    return node.text if isinstance(node.value, float) else node.value
