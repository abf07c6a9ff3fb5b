"""The MLP of a GPT-NeoX config: gated or not, how wide, with which activation; of this release and those before it.

Source: EleutherAI/gpt-neox ea7aefd, megatron/model/transformer.py (ParallelMLP) and activations.py; of `mlp_type`,
which releases had until September 2024, the same file of 0d4bdb96^ (LLaMAParallelMLP) and 0d4bdb96.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.interop.files import shown, whole
from planner.interop.neox_config import Config
from planner.interop.neox_fields import GATED, PLAIN
from planner.units import PlannerError
from planner.words import say

OLD_MULTIPLE = 256  # of the widths that releases with `mlp_type` made themselves
NARROW = 2  # hidden sizes: no published gated MLP is narrower


@dataclass(frozen=True, slots=True)
class NeoxMLP:
    """The dense MLP: inner width, the function, whether a third matrix gates it, biases; and where each is said."""

    width: int
    gated: bool
    activation: str  # a function's name, as ModelSpec has it
    bias: bool
    width_origin: str
    kind_origin: str
    bias_origin: str


def neox_mlp(config: Config, hidden: int) -> NeoxMLP:
    """The MLP that GPT-NeoX builds.

    Raises
    ------
    PlannerError
        For keys that contradict each other or hold what GPT-NeoX does not know.
    """
    named = config.choice("activation", "gelu", (*PLAIN, *GATED))
    old = config.choice("mlp_type", "regular", ("regular", "llama", "gated"))
    if old != "regular" and named in PLAIN:
        return _llama_mlp(config, hidden, PLAIN[named], of_fork=old == "gated")
    gated = named in GATED
    multiple = config.integer("mlp_multiple_of", OLD_MULTIPLE if old == "llama" else 1, least=1)
    return NeoxMLP(
        width=_shared_width(config, hidden, gated, multiple),
        gated=gated,
        activation=GATED[named] if gated else PLAIN[named],
        bias=config.flag("use_bias_in_mlp", True),
        width_origin=_width_origin(config, gated),
        kind_origin=config.origin("activation"),
        bias_origin=config.origin("use_bias_in_mlp"),
    )


def _llama_mlp(config: Config, hidden: int, function: str, *, of_fork: bool) -> NeoxMLP:
    """`mlp_type: llama`: gate, input and output of one width, without biases; intermediate_size is taken as it is.

    Forks call theirs `gated`; what its width is by default differs among them.
    """
    stated = config.optional("intermediate_size", least=1)
    if of_fork and not stated:
        raise PlannerError(say("neox_mlp.width_of_fork", key=config.called("mlp_type")))
    config.remarks.append(say("neox_mlp.of_fork" if of_fork else "neox_mlp.llama", key=config.called("mlp_type")))
    return NeoxMLP(
        width=stated or _old_width(hidden),
        gated=True,
        activation=function,
        bias=False,
        width_origin=config.origin("intermediate_size") if stated else "8/3 x hidden_size, rounded up to 256",
        kind_origin=config.origin("mlp_type", "activation"),
        bias_origin=f"none with {config.origin('mlp_type')}",
    )


def _shared_width(config: Config, hidden: int, gated: bool, multiple: int) -> int:
    """Width of the MLP as ParallelMLP builds it.

    With a gated activation two thirds of the stated width are shared by gate and input, so that each is a third.
    """
    stated = config.optional("intermediate_size", least=1)
    factor = config.raw("expansion_factor")
    if stated and factor:
        raise PlannerError(say("neox_mlp.two_widths"))
    if factor is not None and not isinstance(factor, int | float):
        raise PlannerError(say("neox_mlp.no_number", key=config.called("expansion_factor"), value=shown(factor)))
    width = stated or (whole(int(factor * hidden), "expansion_factor x hidden_size") if factor else 4 * hidden)
    inner = width
    if gated:
        width = int(width * 2 / 3)
        inner = width // 2
    width = 2 * multiple * -(-width // (2 * multiple))
    inner = multiple * -(-inner // multiple)
    given = width // 2 if gated else width
    if given != inner:
        config.warnings.append(say("neox_mlp.unlike_widths", given=given, taken=inner))
    if gated and inner < NARROW * hidden:
        _warn_of_a_third(config, hidden, inner, stated)
    return inner


def _warn_of_a_third(config: Config, hidden: int, inner: int, stated: int | None) -> None:
    """Published configs that state a width as their model's paper does train a model of a third of it."""
    meant = stated if stated and stated >= NARROW * hidden else _old_width(hidden)
    what = (
        say("neox_mlp.stated_width", key=config.called("intermediate_size"), width=stated)
        if stated
        else say("neox_mlp.default_width")
    )
    config.warnings.append(say("neox_mlp.a_third", what=what, inner=inner, meant=meant, write=3 * meant))


def _old_width(hidden: int) -> int:
    return OLD_MULTIPLE * -(-int(2 * hidden * 4 / 3) // OLD_MULTIPLE)


def _width_origin(config: Config, gated: bool) -> str:
    key = "expansion_factor" if config.has("expansion_factor") else "intermediate_size"
    width = config.origin(key) if config.has(key) else "4 x hidden_size, GPT-NeoX's default"
    return f"a third of {width}: a gated MLP shares two thirds" if gated else width
