"""What forks of Megatron-LM and its earlier years write otherwise, told as Megatron-LM's own arguments.

Sources: megatron/arguments.py of Megatron-DeepSpeed, BigScience, epfLLM and BigCode; megatron_patch/arguments.py of
Pai; features_manager/ of MindSpeed-LLM.
"""

from __future__ import annotations

import json
import re
from typing import Any

from planner.interop.files import shown
from planner.interop.megatron_arguments import Arguments
from planner.units import PlannerError
from planner.words import say

# Where epfLLM differs: no biases unless asked for, a width of 4 h for gated MLPs too.
_EPFLLM = ("model-name", "use-rms-norm", "use-bias", "parallel-attn", "use-multiquery-attn")
# Modules whose layers are those that the other options say: norms more or fewer, no matrices. Those of the second group
# are so where latent attention is asked for. (megatron/core/models/gpt, mindspeed_llm/tasks/models/spec.)
_SPECS = re.compile(r"(?:^|\.)(?:gpt_layer_specs|(?:qwen3|gemma2|grok|phi35_moe|gpt_oss)_spec)(?:\.\w+)?$")
_LATENT_SPECS = re.compile(r"(?:^|\.)(?:deepseek|minicpm|plm)_spec(?:\.\w+)?$")
_MAMBA_SPECS = re.compile(r"(?:^|[._])(?:mamba|hybrid)\w*_specs?\b")
_DEEPSPEED_MOE = (
    "topk", "expert-interval", "mlp-type", "deepspeed", "moe-train-capacity-factor", "moe-eval-capacity-factor",
)  # fmt: skip


def rename_fork_options(a: Arguments) -> None:
    """Put what forks write into the names that the readers ask for; what is put there is marked as read."""
    for name, value in _renamed(a):
        a.values.setdefault(name, value)
    if a.underscored or any(name in a.values for name in _EPFLLM):
        a.used |= {"model-name", "use-bias"}
        if "use-bias" not in a.values:
            a.values.setdefault("disable-bias-linear", [])
    if "num-experts" in a.values and any(name in a.values for name in _DEEPSPEED_MOE):
        # Megatron-DeepSpeed: one expert a token, in every second layer, unless said otherwise.
        a.values.setdefault("moe-router-topk", a.values.get("topk") or ["1"])
        every = a.number("expert-interval", 2)
        placed = [str(int((layer + 1) % every == 0)) for layer in range(min(a.number("num-layers"), 10_000))]
        a.values.setdefault("moe-layer-freq", [f"([{','.join(placed)}])"])
        a.used |= {"topk", "expert-interval"}
        if len(set(a.values["num-experts"])) > 1:
            a.remarks.append(say("megatron_forks.unlike_experts"))
    if a.values.get("num-experts") == ["1"]:  # Megatron-DeepSpeed's default: no experts
        del a.values["num-experts"]
        a.used.add("num-experts")
    _known_spec(a)
    if a.flag("embed-layernorm"):
        a.remarks.append(say("megatron_forks.embedding_norm"))


def _known_spec(a: Arguments) -> None:
    """`--spec MODULE FUNCTION`: understood where the module's layers are those that the other options say.

    Raises
    ------
    PlannerError
        If the module builds Mamba layers.
    """
    module = (a.values.get("spec") or [""])[0]
    if _MAMBA_SPECS.search(module):
        raise PlannerError(say("megatron_forks.mamba", file=a.name, module=shown(module)))
    latent = "multi-latent-attention" in a.values
    if _SPECS.search(module) or module == "local" or (latent and _LATENT_SPECS.search(module)):
        a.used.add("spec")


def _renamed(a: Arguments) -> list[tuple[str, list[str]]]:
    """Arguments of forks that are one of Megatron-LM's with another value."""
    found: list[tuple[str, list[str]]] = []
    if glu := a.text("glu-activation", ""):
        found.append(("swiglu" if glu == "swiglu" else "geglu", []))
        if "ffn-hidden-size" not in a.values and a.values.get("hidden-size", [""])[0].isdigit():
            found.append(("ffn-hidden-size", [str(4 * a.number("hidden-size"))]))  # these forks do not shrink it
    if a.flag("use-rms-norm"):
        found.append(("normalization", ["RMSNorm"]))
    if a.text("attention-head-type", "multihead") == "multiquery" or a.flag("use-multiquery-attn"):
        found += [("group-query-attention", []), ("num-query-groups", ["1"])]
    if a.text("attention-head-type", "multihead") not in ("multihead", "multiquery"):
        a.used.discard("attention-head-type")
    if a.text("mlp-type", "standard") != "standard":
        a.used.discard("mlp-type")
    first, shared = a.optional("first-k-dense-replace", -1), a.optional("n-shared-experts", 0)  # -1: no such layers
    layers = a.optional("num-layers")
    if first and layers and 0 < first < layers:
        every = a.text("moe-layer-freq", "1")
        step = int(every) if every.isdigit() and 0 < len(every) < 7 and int(every) else 1
        bits = ",".join(str(int(i >= first and i % step == 0)) for i in range(layers))
        if every.isdigit():
            a.values.pop("moe-layer-freq", None)
            found.append(("moe-layer-freq", [f"([{bits}])"]))
    if shared:
        width = a.values.get("moe-ffn-hidden-size") or a.values.get("ffn-hidden-size") or ["0"]
        if width[0].isdigit():
            found.append(("moe-shared-expert-intermediate-size", [str(shared * int(width[0][:12]))]))
    return found


def zero_of(a: Arguments) -> tuple[int, str] | None:
    """The ZeRO stage of DeepSpeed, of its configuration where the script writes that, else of `--zero-stage`."""
    a.used |= {"zero-stage", "deepspeed-config"}
    if not a.flag("deepspeed"):
        return None
    config = _config(a)
    stage = config.get("zero_optimization", {}).get("stage") if config else None
    if isinstance(stage, int) and 0 <= stage <= 3:
        return stage, f"zero_optimization.stage of the DeepSpeed configuration, {a.name}"
    stated = a.values.get("zero-stage")
    if stated and stated[0] in ("0", "1", "2", "3"):
        return int(stated[0]), a.origin("zero-stage")
    if stated and "$" in stated[0]:
        return a.number("zero-stage", 0), a.origin("zero-stage")
    a.uncertain.append(say("megatron_forks.zero_stage"))
    return 0, "not said in the script"


def offloads(a: Arguments) -> bool:
    """Whether the optimizer's states wait in host memory."""
    config = _config(a) or {}
    zero = config.get("zero_optimization")
    device = zero.get("offload_optimizer") if isinstance(zero, dict) else None
    said = [a.flag(name) for name in ("optimizer-cpu-offload", "cpu-optimizer", "swap-optimizer")]
    return any(said) or (isinstance(device, dict) and device.get("device") == "cpu")


def _config(a: Arguments) -> dict[str, Any] | None:
    """DeepSpeed's configuration, if the script writes it; comments and what a shell would fill in are passed over."""
    name = a.text("deepspeed-config", "")
    text = a.files.get(name)
    if text is None:
        base = name.rsplit("/", 1)[-1]
        text = next((t for f, t in a.files.items() if f.rsplit("/", 1)[-1] == base), None) if base else None
    if text is None:
        return None
    try:
        found = json.loads(re.sub(r"\$\{?\w+\}?", "0", text))
    except (ValueError, RecursionError):
        a.remarks.append(say("megatron_forks.no_json", name=shown(name)))
        return None
    if not isinstance(found, dict) or not isinstance(found.get("zero_optimization", {}), dict):
        return None
    return found
