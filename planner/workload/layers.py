"""What the layers of a model are, one by one: the pattern that a model states, or what its windows and experts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from planner.reading.text import one_line, wrong_at
from planner.spec.model import ModelSpec
from planner.words import say

ATTENTION, WINDOWED, RECURRENT = "A", "W", "R"
DENSE, EXPERTS = "D", "E"
_MIXERS, _MLPS = ATTENTION + WINDOWED + RECURRENT, DENSE + EXPERTS


@lru_cache(maxsize=256)
def layer_words(model: ModelSpec) -> tuple[str, ...]:
    """The word of each layer, first to last, of a model with a pattern; () of one without."""
    words = model.layer_pattern.split()
    if not words:
        return ()
    return tuple(words[i % len(words)] for i in range(model.layers))


@lru_cache(maxsize=256)
def layer_kinds(model: ModelSpec) -> Mapping[str, int]:
    """Layers by their word, of a model with a pattern."""
    return Counter(layer_words(model))


def layers_with(model: ModelSpec, letters: str) -> int:
    """Layers of a model with a pattern that have one of these parts."""
    return sum(count for word, count in layer_kinds(model).items() if set(word) & set(letters))


def attention_count(model: ModelSpec) -> int:
    """Layers that have attention, windowed or not: all of them without a pattern."""
    return layers_with(model, ATTENTION + WINDOWED) if model.layer_pattern else model.layers


def recurrent_count(model: ModelSpec) -> int:
    """Layers that carry a state instead of attention."""
    return layers_with(model, RECURRENT) if model.layer_pattern else 0


def block_count(model: ModelSpec) -> int:
    """Mixers and MLPs of all layers: two a layer without a pattern."""
    if not model.layer_pattern:
        return 2 * model.layers
    return sum(count * len(word) for word, count in layer_kinds(model).items())


def pattern_of(words: list[str]) -> str:
    """The shortest pattern that gives these words repeated twice at least; all of them where none does."""
    for length in range(1, len(words) // 2 + 1):
        if all(word == words[i % length] for i, word in enumerate(words)):
            return " ".join(words[:length])
    return " ".join(words)


def check_pattern(model: ModelSpec, where: str) -> None:
    """Raise PlannerError if a pattern is no pattern, or names a part that the model does not state."""
    kinds = set(model.layer_pattern.split())
    for word in sorted(kinds):
        mixers, mlps = [c for c in word if c in _MIXERS], [c for c in word if c in _MLPS]
        if len(mixers) > 1 or len(mlps) > 1 or "".join((*mixers, *mlps)) != word:
            raise wrong_at(where, say("layers.word", word=one_line(word, 60)))
    parts = set("".join(kinds))
    needs = (
        (RECURRENT, model.recurrent is not None, "recurrent", "R"),
        (EXPERTS, model.moe is not None, "moe", "E"),
        (WINDOWED, model.sliding_window is not None, "sliding_window", "W"),
    )
    for letter, stated, key, mark in needs:
        if letter in parts and not stated:
            raise wrong_at(where, say("layers.not_stated", mark=mark, key=key))
        if stated and letter not in parts and (model.layer_pattern or key == "recurrent"):
            raise wrong_at(where, say("layers.no_layer", mark=mark, key=key))
    if model.layer_pattern and DENSE in parts and model.ffn == 0:
        raise wrong_at(where, say("layers.no_ffn"))
