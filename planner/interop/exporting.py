"""`planner export`: the launch-ready files of a saved plan, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from planner.files import write_all
from planner.interop.export_accelerate import accelerate_files
from planner.interop.export_common import Export, export_of
from planner.interop.export_deepspeed import deepspeed_files
from planner.interop.export_kubernetes import jobset_files, pytorchjob_files
from planner.interop.export_megatron import megatron_files
from planner.interop.export_megatron_bridge import megatron_bridge_files
from planner.interop.export_nanotron import nanotron_files
from planner.interop.export_neox import neox_files
from planner.interop.export_skypilot import skypilot_files
from planner.interop.export_slurm import slurm_files
from planner.interop.export_torchtitan import torchtitan_files
from planner.interop.quoting import printable
from planner.money import in_its_money
from planner.performance.framework_table import frameworks, known_framework
from planner.results.answers import Optimization, Trained
from planner.units import PlannerError
from planner.words import say

Exporter = Callable[[Export], dict[str, str]]
#: What starts the files of any framework.
LAUNCHERS: Mapping[str, Exporter] = {
    "slurm": slurm_files,
    "skypilot": skypilot_files,
    "jobset": jobset_files,
    "pytorchjob": pytorchjob_files,
}
#: All that a plan may be exported to; those that are no launcher are named by a framework (`Framework.exports`).
TARGETS: Mapping[str, Exporter] = {
    "neox": neox_files,
    "megatron": megatron_files,
    "megatron-bridge": megatron_bridge_files,
    "torchtitan": torchtitan_files,
    "deepspeed": deepspeed_files,
    "accelerate": accelerate_files,
    "nanotron": nanotron_files,
    **LAUNCHERS,
}


@in_its_money
def export_files(answer: Optimization, target: str, trained: Trained | None = None) -> tuple[dict[str, str], list[str]]:
    """The files of a plan for `target`, by name, and what a user should know of them.

    Parameters
    ----------
    answer : a saved `optimize --json` document
    target : a framework's (`Framework.exports`: neox, megatron, torchtitan, …), or what starts any of them: slurm,
        skypilot, jobset, pytorchjob
    trained : what is trained, for documents that do not hold it

    Raises
    ------
    PlannerError
        If there is no plan, the target is unknown or of another framework than the plan's, or it cannot run what was
        planned, saying what it lacks.
    """
    if target not in TARGETS:
        raise PlannerError(say("exporting.to", target=target, targets=list(TARGETS)))
    export = export_of(answer, trained)
    _refuse_another(export, target)
    files = TARGETS[target](export)
    return files, export.notes


def _refuse_another(export: Export, target: str) -> None:
    """Refuse files of a framework whose memory and time the plan's are not."""
    wanted = next((row for row in frameworks().values() if target in row.exports), None)
    planned = known_framework(export.plan.framework)
    if wanted is None or planned is wanted:
        return
    name = planned.title if planned is not None else printable(export.plan.framework)
    can = "slurm"
    for other in reversed(planned.exports if planned is not None else ()):
        can = say("exporting.or", one=other, other=can)
    values = {"target": target, "title": wanted.title, "planned": name, "can": can, "framework": wanted.name}
    raise PlannerError(say("exporting.another", **values))


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write all files into `folder`, or none; scripts are made executable. Raises as `planner.files.write_all` does."""
    return write_all(folder, files, (".sh", ".sbatch"))
