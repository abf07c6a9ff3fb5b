"""What is to be trained: model shapes, data, iterations, counts of parameters and FLOPs, what batch size costs.

Names that need numpy are imported from their modules (`dataset`, `iterations`, `learning`), so that reading a scenario
does not pay for it.
"""

from planner.workload.counts import ParameterCounts, padded_vocab, parameter_counts
from planner.workload.flops import Flops, flops_per_token, neox_logged_flops
from planner.workload.model_catalog import load_model, model_from_mapping, model_names

__all__ = [
    "Flops",
    "ParameterCounts",
    "flops_per_token",
    "load_model",
    "model_from_mapping",
    "model_names",
    "neox_logged_flops",
    "padded_vocab",
    "parameter_counts",
]
