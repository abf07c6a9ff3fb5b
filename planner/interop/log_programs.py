"""Lines by which training programs tell their steps, beside GPT-NeoX's, Megatron-LM's and DeepSpeed's own.

A form is told by a word that each of its lines has, and read by one pattern for the step and one for each other fact.
Line forms are those of public logs of each program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_N = rb"(\d[\d,]{0,17}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?[KMBGT]?)"
#: `step N`, `iteration: N/M`, `Iter(train) [N/M]`, on a line that is of no evaluation.
_ANY_STEP = (
    rb"^(?![^\r\n]{0,300}?\b(?:val|valid|validation|eval|evaluation)\b)[^\r\n]{0,200}?"
    rb"\b(?:global[ _])?(?:step|iter|iteration)s?\b[ :=#\[]{0,12}(\d{1,15})(?: ?/ {0,8}(\d{1,15}))?(?![\d.])"
)
_LOSS = rb"[ \t,|'\"]{0,3}[=:]?[ \t'\"]{0,10}(-?\d{1,12}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)"


@dataclass(frozen=True, slots=True)
class Form:
    """How one program's line tells a step.

    `step` has the step in its first group and, where it has a second, the last step of the run. `facts` are patterns of
    one number each, by what it is: seconds, ms, elapsed, micro, micro_ms, steps_per_s, samples_per_s, tokens_per_s,
    tokens_per_s_gpu, batch, loss; epoch (from one) and epoch_zero, of which each counts its steps anew; and global_step
    (from zero), beside which `step` may count micro-batches. With `zero`, steps are counted from
    zero, or, where it is None, from zero if the first one is; with `block`, the lines after it that begin with a space
    belong to it.
    """

    name: str
    shown: str
    needle: bytes
    step: re.Pattern[bytes]
    facts: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)
    zero: bool | None = False
    block: bool = False


def _form(
    name: str, shown: str, needle: str, step: bytes, *, zero: bool | None = False, block: bool = False, **facts: bytes
) -> Form:
    patterns = {kind: re.compile(text.replace(b"<n>", _N).replace(b"<loss>", _LOSS)) for kind, text in facts.items()}
    return Form(name, shown, needle.encode(), re.compile(step.replace(b"<n>", _N)), patterns, zero, block)


FORMS: tuple[Form, ...] = (
    _form(
        "Megatron-LM in seconds (BigScience)", "iteration N/M | … | elapsed time per iteration (s): T",
        "per iteration (s): ", rb"iteration {1,10}(\d{1,15})/ {0,10}(\d{1,15}) \|",
        seconds=rb"per iteration \(s\): {0,10}<n>", batch=rb"global batch size: {0,10}<n>", loss=rb"lm[ _]loss<loss>",
    ),
    _form(
        "NeMo 2", "Training epoch E, iteration N/M | … | global_step: N | … | train_step_timing in s: T",
        "train_step_timing in s: ", rb"global_step: {0,3}(\d{1,15})", zero=True,
        seconds=rb"train_step_timing in s: {0,3}<n>", batch=rb"global_batch_size: {0,3}<n>",
        loss=rb"reduced_train_loss<loss>",
    ),
    _form(
        "NeMo 1", "Epoch E: … N/M […, reduced_train_loss=L, global_step=N, …, train_step_timing in s=T]",
        "train_step_timing in s=", rb"\| {0,3}(\d{1,15})/(\d{1,15}) \[", block=False,
        global_step=rb"\bglobal_step=<n>", seconds=rb"train_step_timing in s=<n>", loss=rb"reduced_train_loss<loss>",
    ),
    _form(
        "NeMo 1 without the length of its epoch", "Epoch E: : Nit […, global_step=N, …, train_step_timing in s=T]",
        "train_step_timing in s=", rb"\bglobal_step=<n>", zero=True, seconds=rb"train_step_timing in s=<n>",
        loss=rb"reduced_train_loss<loss>",
    ),
    _form(
        "torchtitan", "step: N loss: L … tps: R", "tps: ", rb"\bstep: {0,8}(\d{1,15}) .{0,400}?\btps: ",
        tokens_per_s_gpu=rb"\btps: {0,8}<n>", loss=rb"\b(?:global_avg_)?loss<loss>",
    ),
    _form(
        "torchtitan of 2024", "step: N loss: L … wps: R", "wps: ", rb"\bstep: {0,8}(\d{1,15}) .{0,400}?\bwps: ",
        tokens_per_s_gpu=rb"\bwps: {0,8}<n>", loss=rb"\b(?:global_avg_)?loss<loss>",
    ),
    _form(
        "nanotron", "iteration: N / M | … | elapsed_time_per_iteration_ms: T | … | global_batch_size: B",
        "elapsed_time_per_iteration_ms: ", rb"iteration: {0,8}(\d{1,15}) / (\d{1,15}) ",
        ms=rb"elapsed_time_per_iteration_ms: {0,8}<n>", batch=rb"global_batch_size: {0,8}<n>", loss=rb"lm_loss<loss>",
    ),
    _form(
        "MaxText", "completed step: N, seconds: T", "completed step: ", rb"completed step: (\d{1,15}), seconds: ",
        zero=True, seconds=rb", seconds: {0,8}<n>", loss=rb"\bloss<loss>",
    ),
    _form(
        "OLMo", "[step=N/M…] with throughput/device/… below it", "[step=", rb"\[step=([\d,]{1,15})(?:/([\d,]{1,15}))?",
        block=True, steps_per_s=rb"throughput/device/(?:batches_per_second|BPS)=<n>",
        tokens_per_s_gpu=rb"throughput/device/(?:tokens_per_second|TPS)=<n>",
        loss=rb"train/(?:CE loss|CrossEntropyLoss)=<loss>",
    ),
    _form(
        "Composer (llm-foundry)", "[batch=N/M]: with Train throughput/batches_per_sec: R below it", "[batch=",
        rb"\[batch=([\d,]{1,15})/([\d,]{1,15})\]", block=True,
        steps_per_s=rb"Train throughput/batches_per_sec: {0,3}<n>", loss=rb"Train loss/train/total<loss>",
    ),
    _form(
        "litgpt", "Epoch E | iter I step N | loss train: L, … | iter time: T ms", "iter time: ",
        rb"\biter \d{1,15}\b[ |]{1,4}st[Ee]p (\d{1,15})\b",
        micro=rb"\biter <n>\b", micro_ms=rb"iter time: {0,3}<n> ?ms", loss=rb"loss(?: train)?(?: \(curr\))?<loss>",
    ),
    _form(
        "nanoGPT", "iter N: loss L, time Tms", ", time ", rb"\biter (\d{1,15}): loss [-\d.na]{1,20}, time ", zero=True,
        ms=rb", time {0,3}<n> ?ms", loss=rb"\bloss<loss>",
    ),
    _form(
        "llm.c", "step N/M | loss L … | T ms", " ms |", rb"\bstep {1,8}(\d{1,15})/(\d{1,15}) \|",
        ms=rb"\| {0,8}<n> ms \|", loss=rb"\bloss<loss>",
    ),
    _form(
        "modded-nanogpt", "step:N/M … train_time:Tms step_avg:Tms", "train_time:", rb"\bstep:(\d{1,15})/(\d{1,15}) ",
        elapsed_ms=rb"train_time:<n>ms", loss=rb"train_loss<loss>",
    ),
    _form(
        "InternLM", "step=N … loss=L … tgs (tokens/gpu/second)=R", "tgs (tokens/gpu/second)=",
        rb"[ ,]step=(\d{1,15})[ ,]", zero=True, tokens_per_s_gpu=rb"[ ,]tgs \(tokens/gpu/second\)=<n>",
        loss=rb"[ ,]loss=<loss>",
    ),
    _form(
        "torchtune", "Step N | loss:L … tokens_per_second_per_gpu:R", "tokens_per_second_per_gpu:",
        rb"\bStep (\d{1,15}) \|", tokens_per_s_gpu=rb"tokens_per_second_per_gpu:<n>", loss=rb"\bloss<loss>",
    ),
    _form(
        "PaddleNLP", "loss: L, … global_step: N, … interval_steps_per_second: R", "global_step: ",
        rb"\bglobal_step: (\d{1,15}), interval_runtime", steps_per_s=rb"interval_steps_per_second: {0,3}<n>",
        loss=rb"\bloss<loss>",
    ),
    _form(
        "fairseq", "train_inner | … ups=R, … num_updates=N", "num_updates=", rb"\bnum_updates=(\d{1,15}),",
        steps_per_s=rb"\bups=<n>,", loss=rb"[ |]loss=<loss>",
    ),
    _form(
        "metaseq", 'train_inner | {… "ups": R, … "num_updates": N}', '"num_updates": ', rb'"num_updates": "?(\d{1,15})',
        steps_per_s=rb'"ups": "?<n>', loss=rb'"loss": "?<loss>',
    ),
    _form(
        "pith-train and the like", "step N/M | step-time T sec", "step-time ", rb"\bstep (\d{1,15})/(\d{1,15}) \|",
        seconds=rb"step-time {0,3}<n> sec", loss=rb"loss<loss>",
    ),
    _form(
        "verl", "step:N - … - perf/time_per_step:T", "perf/time_per_step:", rb"\bstep:(\d{1,15}) - ",
        seconds=rb"perf/time_per_step:<n>",
    ),
    _form(
        "verl of 2025", "step:N - … - timing_s/step:T", "timing_s/step:", rb"\bstep:(\d{1,15}) - ",
        seconds=rb"timing_s/step:<n>",
    ),
    _form(
        "MMEngine (XTuner)", "Iter(train) [N/M] … time: T", "Iter(train) [",
        rb"Iter\(train\) \[ {0,8}(\d{1,15})/(\d{1,15})\]",
        seconds=rb" time: {0,3}<n> ", loss=rb" loss<loss>",
    ),
    _form(
        "MindSpore Transformers", "{ Epoch:[E/F], step:[N/M], loss: L, per_step_time: Tms", "per_step_time: ",
        rb"\bstep(?:: ?\[| ) {0,8}(\d{1,15})/ {0,8}(\d{1,15})\b", epoch=rb"Epoch: ?\[ {0,8}<n>/",
        ms=rb"per_step_time: {0,8}<n> ?ms", loss=rb"\bloss<loss>",
    ),
    _form(
        "LLaMA2-Accessory and other heirs of MAE", "Epoch: [E]  [N/M] … loss: L … time: T", "  time: ",
        rb"Epoch: \[\d{1,9}\] {1,4}\[ {0,8}(\d{1,15})/(\d{1,15})\]", zero=True,
        epoch_zero=rb"Epoch: \[<n>\]", seconds=rb"  time: {0,3}<n>", loss=rb"loss<loss>",
    ),
    _form(
        "MLX-LM", "Iter N: Train loss L, … It/sec R", ", It/sec ", rb"\bIter (\d{1,15}): Train loss ",
        steps_per_s=rb", It/sec <n>", loss=rb"Train loss<loss>",
    ),
    _form(
        "diffusion-pipe", "step: N / M loss: L iter time (s): T", "iter time (s): ",
        rb"\bstep: {0,8}(\d{1,15}) / {0,8}(\d{1,15}) ", seconds=rb"iter time \(s\): {0,3}<n>", loss=rb"\bloss<loss>",
    ),
    _form(
        "MMEngine by epochs", "Epoch(train) [E][N/M] … time: T", "data_time: ",
        rb"Epoch(?:\(train\))? \[ {0,8}\d{1,9}\]\[ {0,8}(\d{1,15})/(\d{1,15})\]",
        epoch=rb"Epoch(?:\(train\))? \[ {0,8}<n>\]", seconds=rb" time: {0,3}<n>[ ,]", loss=rb" loss<loss>",
    ),
    _form(
        "NeMo AutoModel", "step N | epoch E | loss L | … | tps R(R/gpu)", " | tps ",
        rb"\bstep (\d{1,15}) \| epoch ", zero=True, tokens_per_s=rb" \| tps <n>\(", loss=rb" \| loss<loss>",
    ),
    _form(
        "nanoGPT's descendants", "step N … loss L … dt: Tms", "dt: ", _ANY_STEP, zero=None,
        ms=rb"\bdt: {0,3}<n> ?ms\b", loss=rb"\bloss<loss>",
    ),
    _form(
        "any program that says seconds a step", "step N … loss L … T sec/step, or s/iter", "/", _ANY_STEP, zero=None,
        seconds=rb"<n> ?(?:sec|s)(?:ond|onds)?/(?:step|iter|iteration)\b", loss=rb"\bloss<loss>",
    ),
    _form(
        "any program that says a step's time", "step N … loss L … step time: T ms, or s", "ime", _ANY_STEP, zero=None,
        ms=rb"\b(?:step|iter|iteration)[ _-]time[:= ]{1,3}<n> ?(?:ms|msec)\b",
        seconds=rb"\b(?:step|iter|iteration)[ _-]time[:= ]{1,3}<n> ?(?:s|sec|secs|seconds)\b", loss=rb"\bloss<loss>",
    ),
)  # fmt: skip
