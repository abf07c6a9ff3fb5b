"""What each layer of a config.json is: its mixer by `layer_types`, its MLP by the keys that place experts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from planner.interop.files import shown
from planner.interop.hf_keys import Keys
from planner.units import PlannerError
from planner.words import say
from planner.workload.layers import ATTENTION, DENSE, EXPERTS, RECURRENT, WINDOWED, pattern_of

#: transformers' names of what mixes a layer's tokens, and those of older configs.
MIXERS = {
    "full_attention": ATTENTION, "attention": ATTENTION, "sliding_attention": WINDOWED, "chunked_attention": WINDOWED,
    "linear_attention": RECURRENT, "mamba": RECURRENT, "mamba2": RECURRENT, "recurrent": RECURRENT,
    "deepseek_sparse_attention": ATTENTION,
}  # fmt: skip


def stated_mixers(k: Keys, layers: int, *names: str, known: Sequence[str] = tuple(MIXERS)) -> list[str] | None:
    """A letter a layer as the first stated of `names` has them; None where none is.

    Raises
    ------
    PlannerError
        For a kind of layer that is not known, or a list shorter than there are layers.
    """
    k.used.update(names)
    for name in names:
        kinds = k.values.get(name)
        if not isinstance(kinds, list) or not kinds:
            continue
        for kind in kinds:
            if kind not in known:
                raise PlannerError(
                    say("hf_layers.kinds", file=k.document.name, name=name, kind=shown(kind), known=list(known))
                )
        if len(kinds) < layers:
            raise PlannerError(say("hf_layers.few", file=k.document.name, name=name, named=len(kinds), layers=layers))
        k.origins["layer_pattern"] = f"{name}, {k.document.where(name)}"
        return [MIXERS[kind] for kind in kinds[:layers]]
    return None


def each(layers: int, chosen: Iterable[int], letter: str, other: str) -> list[str]:
    """`letter` in the chosen layers, `other` in the rest."""
    marked = set(chosen)
    return [letter if i in marked else other for i in range(layers)]


def pattern(mixers: Sequence[str], mlps: Sequence[str]) -> dict[str, Any]:
    """The model's `layer_pattern`; {} where all layers have attention to everything and MLPs of one kind."""
    if set(mixers) <= {ATTENTION} and len(set(mlps)) == 1:
        return {}
    return {"layer_pattern": pattern_of([mixer + mlp for mixer, mlp in zip(mixers, mlps, strict=True)])}


def expert_layers(k: Keys, layers: int, default_step: int = 1) -> list[str]:
    """Qwen's way: every decoder_sparse_step-th layer has experts, but those of mlp_only_layers."""
    step = k.number("moe.every", "decoder_sparse_step", default=default_step)
    stated = k.values.get("mlp_only_layers")
    k.used.add("mlp_only_layers")
    dense = stated if isinstance(stated, list) else []
    return each(layers, (i for i in range(layers) if (i + 1) % step == 0 and i not in dense), EXPERTS, DENSE)


def windowed(k: Keys, every: int, mlp: str = DENSE) -> dict[str, Any]:
    """A window in all layers but each `every`-th, as layer_types or sliding_window_pattern say, or the class has it.

    A list that repeats no such step becomes the model's `layer_pattern`.
    """
    window = k.maybe("sliding_window", "sliding_window") or None
    for name in ("sliding_window_pattern", "_sliding_window_pattern"):
        if name in k.values:
            every = k.number("full_attention_every", name)
    kinds = k.values.get("layer_types")
    k.used |= {"layer_types", "sliding_window_pattern", "_sliding_window_pattern"}
    if isinstance(kinds, list) and kinds:
        if "sliding_attention" not in kinds:
            return {}
        every = kinds.index("full_attention") + 1 if "full_attention" in kinds else 0
        if every and any((kind == "full_attention") != ((i + 1) % every == 0) for i, kind in enumerate(kinds)):
            mixers = stated_mixers(k, k.number("layers", "num_hidden_layers"), "layer_types") or []
            return {} if window is None else {"sliding_window": window, **pattern(mixers, [mlp] * len(mixers))}
    return {} if window is None else {"sliding_window": window, "full_attention_every": every}
