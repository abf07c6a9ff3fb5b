"""The model's constants: what each is called, and how one is put together for a stack, a GPU family and a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.performance.shapes import Number


@dataclass(frozen=True, slots=True)
class Rates:
    """The constants of the step-time model, each a number, an array of rows, or (parameter sets, rows)."""

    matmul: Number  # share of the measured ceiling that large matmuls reach
    wave: Number  # half waves that a matmul loses
    expert: Number  # the same for grouped expert matmuls, imbalance included
    attention: Number  # share of the 16-bit ceiling, forward; the backward pass takes three times as long
    scores: Number  # bytes moved / counted by attention that writes its scores to memory
    pointwise: Number  # bytes moved by memory-bound operations / counted
    routing: Number  # the same for permuting tokens to experts and back
    loss: Number  # the same for logits and loss
    host_layer: Number  # s of host work a layer and micro-batch, forward and backward
    host_moe: Number  # s more for a MoE layer
    host_expert: Number  # s more for each local expert
    micro_batch: Number  # s a micro-batch
    step: Number  # s a step
    recompute: Number  # of a forward pass that full recomputation repeats (it may stop before the last matmul)
    tensor: Number  # exposed share of tensor-parallel traffic
    narrow: Number  # power of 8 / tp by which all-reduces of a part of a node take longer than their bytes say
    network: Number  # share of the network's measured rate that is reached
    context: Number  # exposed share of the context-parallel ring
    expert_exchange: Number  # of the expert all-to-all
    pipeline: Number  # of stage-to-stage messages
    data: Number  # of gradient and weight traffic once a step
    shard: Number  # of per-micro-batch weight traffic (FSDP, ZeRO-3)
    optimizer: Number  # bytes moved by the optimizer / counted


BOUND_SHARPNESS = 16.0
RATE_NAMES = tuple(f.name for f in fields(Rates))
Context = Mapping[str, str]  # what a row is: labels (stack, family, ...); an empty one applies to nothing


@dataclass(frozen=True, slots=True)
class RateRule:
    """How a rate is made: prior x exp(sum of parameters), one parameter for each combination of labels in `by`.

    A combination is written "family+format". `sigma` is the prior spread (log) of each parameter, `means` their prior
    means by name where not zero. `measured` are spreads of parameters that a site's own benches narrowed
    (`benches.py`); they enter the rows of that site and GPU alone.
    """

    prior: float
    by: tuple[str, ...]
    sigma: tuple[float, ...]
    at_most: float | None = None
    means: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)


def site_parameter(rate: str, site: str, gpu: str) -> str:
    """What the parameter of a site's own rate on a GPU is called."""
    return f"{rate}[site={site},gpu={gpu}]"


def parameter_keys(rate: str, rule: RateRule, context: Context) -> list[tuple[str, float]]:
    """(name, sigma) of the parameters that enter `rate` for a row with this context."""
    found = []
    for by, sigma in zip(rule.by, rule.sigma, strict=True):
        names = by.split("+")
        if all(context.get(n) for n in names):
            found.append((f"{rate}[{','.join(f'{n}={context[n]}' for n in names)}]", sigma))
    if rule.measured:
        own = site_parameter(rate, context.get("site", ""), context.get("gpu", ""))
        found += [(own, rule.measured[own])] if own in rule.measured else []
    return found


def resolve(rules: Mapping[str, RateRule], values: Mapping[str, float], context: Context) -> Rates:
    """The rates of one setting; a parameter without a fitted value stays at its prior."""
    out = {}
    for name in RATE_NAMES:
        rule = rules[name]
        keys = parameter_keys(name, rule, context)
        log = sum(values.get(key, rule.means.get(key, 0.0)) for key, _ in keys)
        out[name] = _bounded(rule, rule.prior * float(np.exp(log)))
    return Rates(**out)


@dataclass(frozen=True, slots=True)
class Design:
    """Rates of many rows as functions of one parameter vector: log rate = log prior + sum of its parameters."""

    names: tuple[str, ...]
    mean: FloatArray  # (p,), prior
    sigma: FloatArray  # (p,), prior
    matrix: FloatArray  # (n, p), 1 where a parameter enters a row's rate
    rate_at: IntArray  # (p,), index in RATE_NAMES of the one rate that each parameter is of
    rules: Mapping[str, RateRule]

    def rates(self, parameters: FloatArray) -> Rates:
        """The rows' rates at these parameters (p,), each (n,)."""
        logs = self._logs(parameters)
        return Rates(
            **{
                name: _bounded(self.rules[name], self.rules[name].prior * np.exp(log))
                for name, log in zip(RATE_NAMES, logs, strict=True)
            }
        )

    def moved(self, parameters: FloatArray, step: float) -> Rates:
        """Each rate raised by `step` (of its logarithm) in its own copy: (rates + 1, n), the first as is."""
        out = {}
        logs = self._logs(parameters)
        for i, name in enumerate(RATE_NAMES):
            raised = np.zeros((len(RATE_NAMES) + 1, 1))
            raised[i + 1] = step
            rule = self.rules[name]
            out[name] = _bounded(rule, rule.prior * np.exp(logs[i] + raised))
        return Rates(**out)

    def chain(self, by_rate: FloatArray) -> FloatArray:
        """Derivatives by parameter, (n, p), from those by the logarithm of each rate, (rates, n)."""
        return np.asarray(self.matrix * by_rate[self.rate_at].T)

    def _logs(self, parameters: FloatArray) -> FloatArray:
        """ln(rate / prior) at these parameters (p,), (rates, n)."""
        of_rate = self.rate_at[:, None] == np.arange(len(RATE_NAMES))
        return np.asarray((self.matrix @ (parameters[:, None] * of_rate)).T)


def design(rules: Mapping[str, RateRule], contexts: Sequence[Context]) -> Design:
    """The parameters that these rows call for, in a fixed order, and where each enters."""
    kinds = {tuple(sorted(context.items())): context for context in contexts}
    found = {
        kind: [(name, *hit) for name in RATE_NAMES for hit in parameter_keys(name, rules[name], context)]
        for kind, context in kinds.items()
    }
    entries = [
        (name, row, key, sigma)
        for row, context in enumerate(contexts)
        for name, key, sigma in found[tuple(sorted(context.items()))]
    ]
    sigma = {key: s for _, _, key, s in entries}
    names = tuple(sorted(sigma))
    column = {key: i for i, key in enumerate(names)}
    matrix, rate_at = np.zeros((len(contexts), len(names))), np.zeros(len(names), dtype=np.int64)
    for name, row, key, _ in entries:
        matrix[row, column[key]] = 1.0
        rate_at[column[key]] = RATE_NAMES.index(name)
    means = {key: mean for rule in rules.values() for key, mean in rule.means.items()}
    mean = np.asarray([means.get(n, 0.0) for n in names])
    return Design(names, mean, np.asarray([sigma[n] for n in names]), matrix, rate_at, dict(rules))


def _bounded(rule: RateRule, value: Number) -> Number:
    """The value itself well below the bound, the bound far above it, smooth between, so that a fit can feel its way."""
    if rule.at_most is None:
        return value
    return value * (1.0 + (value / rule.at_most) ** BOUND_SHARPNESS) ** (-1.0 / BOUND_SHARPNESS)
