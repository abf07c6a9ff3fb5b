"""The MLP of a GPT-NeoX config: gated or not, how wide, with which activation; of this release and those before it.

Source: EleutherAI/gpt-neox ea7aefd, megatron/model/transformer.py (ParallelMLP) and activations.py; of `mlp_type`,
which releases had until September 2024, the same file of 0d4bdb96^ (LLaMAParallelMLP) and 0d4bdb96.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.interop.files import shown, whole
from planner.interop.neox_config import Config
from planner.units import PlannerError

PLAIN = {"gelu": "gelu", "relu": "relu", "softsign": "softsign", "swish": "silu", "mish": "mish", "silu": "silu"}
GATED = {"geglu": "gelu", "reglu": "relu", "bilinear": "linear", "swiglu": "silu", "glu": "sigmoid"}
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


def activation_name(function: str, gated: bool) -> str:
    """GPT-NeoX's name of an MLP's activation; "" where it has none. `function`: as ModelSpec has it, "" its default."""
    names = GATED if gated else PLAIN
    wanted = function or ("silu" if gated else "gelu")
    return next((name for name, known in reversed(names.items()) if known == wanted), "")


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
        raise PlannerError(
            f"{config.what('mlp_type')} is a gated MLP of a fork of GPT-NeoX, and forks differ in its width: write "
            "intermediate_size."
        )
    said = (
        "a gated MLP of a fork: three matrices of the width stated, without biases"
        if of_fork
        else "a key that GPT-NeoX had until September 2024: the MLP is read as those releases build it, and an export "
        "writes the same MLP for the present one (activation and intermediate_size)"
    )
    config.remarks.append(f"{config.what('mlp_type')} is {said}")
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
        raise PlannerError(
            "Must pass either the absolute intermediate size or the relative expansion factor, not both."
        )
    if factor is not None and not isinstance(factor, int | float):
        raise PlannerError(f"{config.what('expansion_factor')} is {shown(factor)!r}, where a number is needed.")
    width = stated or (whole(int(factor * hidden), "expansion_factor x hidden_size") if factor else 4 * hidden)
    inner = width
    if gated:
        width = int(width * 2 / 3)
        inner = width // 2
    width = 2 * multiple * -(-width // (2 * multiple))
    inner = multiple * -(-inner // multiple)
    if (width // 2 if gated else width) != inner:
        config.warnings.append(
            f"linear1 gives {width // 2 if gated else width} columns and linear2 takes {inner}: GPT-NeoX stops at the "
            "first step; set intermediate_size (three times the wanted width when gated) and mlp_multiple_of to agree"
        )
    if gated and inner < NARROW * hidden:
        _warn_of_a_third(config, hidden, inner, stated)
    return inner


def _warn_of_a_third(config: Config, hidden: int, inner: int, stated: int | None) -> None:
    """Published configs that state a width as their model's paper does train a model of a third of it."""
    meant = stated if stated and stated >= NARROW * hidden else _old_width(hidden)
    what = f"{config.what('intermediate_size')} {stated:,}" if stated else "the default width of 4 x hidden_size"
    config.warnings.append(
        f"{what} makes a gated MLP {inner:,} wide, since GPT-NeoX shares it out by a third; its releases "
        f"before September 2024 made {meant:,}: if the model's name or paper has that (as of configs/mistral/7B.yml "
        f"and llemma/7B.yml), write intermediate_size: {3 * meant}"
    )


def _old_width(hidden: int) -> int:
    return OLD_MULTIPLE * -(-int(2 * hidden * 4 / 3) // OLD_MULTIPLE)


def _width_origin(config: Config, gated: bool) -> str:
    key = "expansion_factor" if config.has("expansion_factor") else "intermediate_size"
    width = config.origin(key) if config.has(key) else "4 x hidden_size, GPT-NeoX's default"
    return f"a third of {width}: a gated MLP shares two thirds" if gated else width
