"""The model types of transformers: which of them planner counts and by what, and which it refuses and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.interop import hf_gpt, hf_hybrid, hf_llama, hf_others
from planner.interop.hf_keys import Keys
from planner.interop.key_kinds import by_name, table_of_keys
from planner.spec.model import ModelSpec

FAMILIES: Mapping[str, Callable[[Keys, str], ModelSpec]] = {
    "apertus": hf_others.apertus, "aquila": hf_llama.llama, "arcee": hf_others.nemotron,
    "baichuan": hf_others.baichuan, "bamba": hf_hybrid.bamba, "bloom": hf_gpt.bloom, "chatglm": hf_gpt.chatglm,
    "codegen": hf_gpt.gptj, "cohere": hf_others.cohere, "cohere2": hf_others.cohere, "cwm": hf_others.cwm,
    "dbrx": hf_gpt.dbrx, "deepseek": hf_others.shared_and_routed, "deepseek_v2": hf_llama.deepseek,
    "deepseek_v3": hf_llama.deepseek, "deepseek_v32": hf_others.deepseek_v32, "dots1": hf_others.shared_and_routed,
    "ernie4_5": hf_others.ernie, "ernie4_5_moe": hf_others.ernie4_5_moe, "exaone": hf_gpt.exaone,
    "exaone4": hf_others.exaone4, "exaone_moe": hf_others.exaone_moe, "falcon": hf_gpt.falcon,
    "falcon_mamba": hf_hybrid.mamba, "gemma": hf_others.gemma, "gemma2": hf_others.gemma2, "gemma3": hf_others.gemma3,
    "gemma3_text": hf_others.gemma3, "glm": hf_others.glm, "glm4": hf_others.glm,
    "glm4_moe": hf_others.shared_and_routed, "glm4_moe_lite": hf_llama.deepseek, "glm4v_text": hf_others.glm,
    "glm4v_moe_text": hf_others.shared_and_routed, "glm_moe_dsa": hf_others.deepseek_v32, "gpt-sw3": hf_gpt.gpt2,
    "gpt2": hf_gpt.gpt2, "gpt_bigcode": hf_gpt.gpt_bigcode, "gpt_neo": hf_gpt.gpt_neo, "gpt_neox": hf_llama.gpt_neox,
    "gpt_oss": hf_llama.gpt_oss, "gptj": hf_gpt.gptj, "granite": hf_llama.llama,
    "granitemoe": hf_others.granitemoe, "granitemoehybrid": hf_hybrid.granitemoehybrid,
    "granitemoeshared": hf_others.granitemoe, "helium": hf_llama.llama, "hunyuan_v1_dense": hf_others.hunyuan,
    "internlm": hf_others.internlm, "internlm2": hf_others.internlm, "internlm3": hf_others.internlm3,
    "jamba": hf_hybrid.jamba, "kimi_k2": hf_llama.deepseek, "llama": hf_llama.llama, "llama4": hf_others.llama4,
    "llama4_text": hf_others.llama4, "mamba": hf_hybrid.mamba, "mamba2": hf_hybrid.mamba2, "minicpm": hf_others.minicpm,
    "minimax": hf_hybrid.minimax, "minimax_m2": hf_others.minimax_m2, "minimax_text_01": hf_hybrid.minimax,
    "ministral": hf_llama.mistral, "ministral3": hf_llama.mistral, "mistral": hf_llama.mistral,
    "mixtral": hf_llama.mixtral, "mpt": hf_gpt.mpt, "nemotron": hf_others.nemotron,
    "nemotron_h": hf_hybrid.nemotron_h, "olmo": hf_others.olmo, "olmo2": hf_others.olmo2, "olmo3": hf_others.olmo2,
    "olmoe": hf_others.olmoe, "opt": hf_gpt.opt, "phi": hf_others.phi, "phi3": hf_others.phi3,
    "phimoe": hf_others.phimoe, "qwen": hf_gpt.qwen, "qwen2": hf_llama.qwen2, "qwen2_5_vl": hf_llama.qwen2,
    "qwen2_5_vl_text": hf_llama.qwen2, "qwen2_moe": hf_llama.qwen2_moe, "qwen2_vl": hf_llama.qwen2,
    "qwen2_vl_text": hf_llama.qwen2, "qwen3": hf_llama.qwen3, "qwen3_5": hf_hybrid.qwen3_next,
    "qwen3_5_moe": hf_hybrid.qwen3_next, "qwen3_5_moe_text": hf_hybrid.qwen3_next,
    "qwen3_5_text": hf_hybrid.qwen3_next, "qwen3_moe": hf_llama.qwen3_moe, "qwen3_next": hf_hybrid.qwen3_next,
    "qwen3_vl": hf_llama.qwen3, "qwen3_vl_moe": hf_llama.qwen3_moe, "qwen3_vl_moe_text": hf_llama.qwen3_moe,
    "qwen3_vl_text": hf_llama.qwen3, "refinedweb": hf_gpt.falcon, "refinedwebmodel": hf_gpt.falcon,
    "seed_oss": hf_others.seed_oss, "smollm3": hf_others.smollm3, "stablelm": hf_others.stablelm,
    "stablelm_epoch": hf_others.stablelm, "starcoder2": hf_others.starcoder2, "xverse": hf_llama.llama,
    "yi": hf_llama.llama,
}  # fmt: skip


#: What planner does not plan, by name, and what stands in its way: the end of a sentence that begins with the name.
REFUSED: Mapping[str, str] = by_name(table_of_keys("transformers")["refused"])
