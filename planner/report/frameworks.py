"""The page of frameworks: what each runs, keeps in memory and is handed, out of its YAML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.performance.framework_table import Framework, StateBytes, frameworks

HEAD = """\
# Frameworks

<!-- written by `make refresh` from catalogs/frameworks -->

What each framework runs, what it keeps in memory, and where planner knows it from. A scenario names one as
`training.framework`; `any` chooses among those marked so. The files are `catalogs/frameworks/*.yaml`, where every
value has its source.
"""


def _pipeline(row: Framework) -> str:
    if not row.pipeline_parallel:
        return "no"
    return "interleaved, too" if row.interleaving else "yes"


def _yes(has: bool, words: Mapping[str, str] | None = None, key: str = "") -> str:
    return (words or {}).get(key, "yes") if has else "no"


def _stages(stages: tuple[int, ...]) -> str:
    return ", ".join(map(str, stages)) or "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


COLUMNS: Mapping[str, Callable[[Framework], str]] = {
    "framework": lambda row: f"`{row.name}`",
    "also called": lambda row: ", ".join(f"`{name}`" for name in row.aliases) or "-",
    "under `any`": lambda row: "no" if row.by_name else "yes",
    "tensor": lambda row: _yes(row.tensor_parallel, {"with_tensor": "with sequence parallel"}, row.sequence_parallel),
    "pipeline": _pipeline,
    "context": lambda row: _yes(row.context_parallel),
    "experts": lambda row: {"none": "no", "tensor_group": "over tensor ranks", "any": "yes"}[row.expert_parallel],
    "ZeRO": lambda row: _stages(row.zero_stages),
    "ZeRO with pipeline": lambda row: _stages(row.zero_stages_with_pipeline) if row.pipeline_parallel else "-",
    "recompute": lambda row: ", ".join(row.recompute),
    "precisions": lambda row: ", ".join(row.precisions),
    "optimizers": lambda row: ", ".join(row.optimizers),
    "adapters": lambda row: ", ".join(row.adapters) or "no",
    "`export --to`": lambda row: ", ".join(f"`{name}`" for name in row.exports) or "`slurm` (a script of yours)",
}


def framework_page() -> str:
    """The page as Markdown: a table of layouts, bytes a parameter, and each framework's sources."""
    rows = list(frameworks().values())
    parts = [HEAD, *_turned(rows), "", "Files for `slurm`, `skypilot`, `jobset` and `pytorchjob` start any of them; "]
    parts[-1] += "GPT-NeoX's launcher reaches all nodes from the first, and has no Kubernetes manifest."
    parts += ["", "## Bytes a parameter", "", *_states(rows), "", "## Sources", ""]
    for row in rows:
        parts += [f"### {row.title}", "", "| rule | source |", "|---|---|"]
        parts += [f"| `{name}` | {_cell(source)} |" for name, source in row.sources.items()]
        parts.append("")
    return "\n".join(parts)


def _turned(rows: list[Framework]) -> list[str]:
    """A column a framework."""
    titles = ["", *(_cell(row.title) for row in rows)]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return [*lines, *(f"| {name} | {' | '.join(_cell(of(row)) for row in rows)} |" for name, of in COLUMNS.items())]


def _states(rows: list[Framework]) -> list[str]:
    lines = [
        "Of weights, gradients and AdamW's states, whole on every rank and (divided) over the ranks of a ZeRO group.",
        "",
        "| framework | precision | ZeRO | weights | gradients | optimizer |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        precision = "bf16"
        lines += [
            f"| `{row.name}` | {precision} | {stage} | {_bytes(row.state_bytes(precision), stage)} |"
            for stage in row.zero_stages_by_precision.get(precision, row.zero_stages)
        ]
    return lines


def _bytes(state: StateBytes, stage: int) -> str:
    cells = []
    for kind in (state.weights, state.gradients, state.optimizer):
        whole, divided = kind.full[stage], kind.shard[stage]
        words = [f"{whole:g}"] if whole or not divided else []
        cells.append(" + ".join([*words, *([f"({divided:g})"] if divided else [])]))
    return " | ".join(cells)
