"""Pipeline stages of different numbers of layers, as Megatron-LM and MindSpeed-LLM are told of them.

Planner cuts layers as evenly as can be: its fullest stage holds ceil(layers / pp). What a script says is understood
where its fullest stage holds no more than that, and a warning says so where it does.

Sources: megatron/training/arguments.py; megatron/core/transformer/transformer_block.py get_num_layers_to_build;
features_manager/pipeline_parallel of MindSpeed-LLM (`--num-layer-list`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from planner.interop.megatron_arguments import Arguments
from planner.words import say

FIRST = ("decoder-first-pipeline-num-layers", "num-layers-in-first-pipeline-stage")
LAST = ("decoder-last-pipeline-num-layers", "num-layers-in-last-pipeline-stage")
COUNTED = ("account-for-embedding-in-pipeline-split", "account-for-loss-in-pipeline-split")
LISTED = ("num-layer-list", "pipeline-num-transformer-layers")
UNEVEN = (*FIRST, *LAST, *LISTED, *COUNTED)  # what says that stages have different numbers of layers


def uneven_stages(a: Arguments, layers: int, pp: int) -> None:
    """Mark what was understood of the stages, and warn where the fullest holds more layers than planner's."""
    names = [name for name in UNEVEN if name in a.values]
    if not names:
        return
    sizes = _sizes(a, layers, pp)
    if sizes is None or len(sizes) != pp or sum(sizes) != layers:
        return  # the options stay among those that are warned of
    a.used.update(names)
    warn_of_stages(a, sizes, layers, f"--{names[0]}")


def warn_of_stages(a: Arguments, sizes: Sequence[int], layers: int, what: str) -> None:
    """Say it where stages are fuller than planner's."""
    most = -(-layers // len(sizes))
    if max(sizes) > most:
        listed = [*map(str, sizes[:12]), *(["…"] if len(sizes) > 12 else [])]
        a.uncertain.append(say("megatron_stages.fuller", option=what, stages=listed, most=most))


def _sizes(a: Arguments, layers: int, pp: int) -> list[int] | None:
    """Layers of each stage; None where they cannot be told."""
    listed = next((a.values[name] for name in LISTED if a.values.get(name)), None)
    if listed is not None:
        text = " ".join(listed)
        groups = re.findall(r"\[([\d,\s]+)\]", text) or re.findall(r"\d+", text)
        return [sum(map(int, re.findall(r"\d{1,6}", group))) for group in groups]
    first = next((a.optional(name, 0) for name in FIRST if name in a.values), None)
    last = next((a.optional(name, 0) for name in LAST if name in a.values), None)
    if first is None and last is None:
        embedding, loss = (int(name in a.values) for name in COUNTED)
        each = (layers + embedding + loss) // pp
        sizes = [each] * pp
        sizes[0] -= embedding
        sizes[-1] -= loss
        return sizes
    ends = (first is not None) + (last is not None)
    if pp <= ends:
        return None
    middle = (layers - (first or 0) - (last or 0)) // (pp - ends)
    sizes = [middle] * (pp - ends)
    return [*([first] if first is not None else []), *sizes, *([last] if last is not None else [])]
