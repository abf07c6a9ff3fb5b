"""Which of Megatron-LM's options, of all years and forks, decide what is planned, and which do not."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from planner.interop.kinds import Kinds

# Options that decide what is trained, how it is laid out, what memory holds or how long it runs, and that are not read.
MODEL = """
    heterogeneous-layers-config-path heterogeneous-layers-config-encoded-json heterogeneous-block-specs
    experimental-attention-variant linear-attention-freq linear-attention-type moe-latent-size attention-output-gate
    retro-add-retriever yaml-cfg use-checkpoint-args use-mp-args-from-checkpoint-args glu-linear-offset layer-type-list
    attention-head-type mlp-type lora-r lora-rank spec use-moba-attn layerzero disable-bias-attn-fc
    full-attention-interval disable-bias-linear-fc moe-expert-int-list moe-expert-per-list mlp-int-list
    mlp-per-list num-zero-experts
    interleave-sliding-window no-attn-layernorm no-mlp-layernorm no-final-layernorm
    index-n-heads index-head-dim index-topk dsa-indexer-n-heads dsa-indexer-head-dim mtp-use-repeated-layer
    mtp-hybrid-override-pattern hc-mult mhc-num-residual-streams moe-use-upcycling use-embedding-sharing use-normhead
    flextron-config-file shared-moe-hidden-size enable-shared-expert decoder-num-layers encoder-num-layers
    hybrid-mlp-ratio router-inter-dim n-hash-layers freeze-all-layers freeze-model moe-num-experts-per-layer
    gdp-num-householder use-pipe-experts no-post-layer-norm window-size-list cp-window-size n-window-size
    add-rmsnorm-offset no-layer-norm kd-teacher-config export-kd-teacher-load load-teacher teacher-model-config
    num-layers-teacher hidden-size-teacher num-attention-heads-teacher num-experts-teacher compression-training
"""
LAYOUT = """
    decoder-first-pipeline-num-layers decoder-last-pipeline-num-layers num-layers-in-first-pipeline-stage
    num-layers-in-last-pipeline-stage num-layer-list account-for-embedding-in-pipeline-split
    account-for-loss-in-pipeline-split tp-2d tp-x tp-y pipeline-num-transformer-layers expert-tensor-parallel-size
    expert-tensor-parallelism enable-expert-tensor-parallelism moe-extended-tp moe-tp-extend-ep
    pipeline-model-parallel-split-rank encoder-pipeline-model-parallel-size encoder-tensor-model-parallel-size
    standalone-embedding-stage mtp-standalone schedules-method automated-pipeline automated-pipeline-perf auto-settings
    gtp-weight-remat-size expert-gtp-weight-remat-size enable-zero3 pp-schedule-list outer-dp-sharding-strategy
    use-layer-wise-distributed-optimizer ds-sequence-parallel-fpdt hybrid-context-parallel enable-zbh1-pipeline
    layerwise-disaggregated-training dist-train fsdp2-config-path
    enable-recompute-layers-per-pp-rank pp-partition-method
"""
MEMORY = """
    adaptive-recompute-device-swap adaptive-memory-optimization swap-attention swap-layer-input cpu-offloading
    cpu-offloading-num-layers fine-grained-activation-offloading offload-modules checkpoint-in-cpu partition-activations
    recompute-activation-function recompute-norm recompute-in-advance recompute-in-bubble moe-layer-recompute
    moe-zero-memory mla-zero-memory save-activations-interval compress-activation compress-optimizer remote-device
    recompute-mla-up-proj recompute-module-list cpu-offloading-activations cpu-offloading-weights
"""
LENGTH = """
    epochs skip-train curriculum-learning curriculum-learning-legacy data-efficiency-curriculum-learning random-ltd
    adaptive-seq-len phase-transition-iterations train-data-exact-num-epochs retro-cyclic-train-iters
    decrease-batch-size-if-needed optimized-mbs-list train-epochs num-train-epochs max-steps
"""
DECIDING = {
    name: what
    for names, what in (
        (MODEL, "the model"),
        (LAYOUT, "the layout"),
        (MEMORY, "what memory holds"),
        (LENGTH, "the length"),
    )
    for name in names.split()
}


@cache
def known_options() -> frozenset[str]:
    """All names that Megatron-LM or a fork of it has or had (megatron_options.txt says which, and its sources)."""
    text = files("planner.interop").joinpath("megatron_options.txt").read_text(encoding="utf-8")
    return frozenset(line.split()[0] for line in text.splitlines() if line and not line.startswith("#")) | _ELSEWHERE


# DeepSpeed adds the first to a program's arguments itself (deepspeed/__init__.py, add_config_arguments); the others are
# of branches of BigScience's copy (z-loss, prefix LM, muP), as its launch scripts name them.
_ELSEWHERE = frozenset(
    """
    deepspeed deepspeed-config deepscale deepscale-config deepspeed-mpi
    norm-target-loss reset-progress use-z-loss mup mup-input-mult mup-attn-mult mup-output-mult
    """.split()
)


def option_kinds() -> Kinds:
    """The kinds of Megatron-LM's options, beside those that are read."""
    return Kinds("Megatron-LM", known_options(), DECIDING, "--")
