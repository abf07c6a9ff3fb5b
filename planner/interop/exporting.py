"""`planner export`: the launch-ready files of a saved plan, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from planner.files import write_all
from planner.interop.export_common import Export, export_of
from planner.interop.export_megatron import megatron_files
from planner.interop.export_neox import neox_files
from planner.interop.export_skypilot import skypilot_files
from planner.interop.export_slurm import slurm_files
from planner.plan import Optimization, Trained
from planner.units import PlannerError

TARGETS: Mapping[str, Callable[[Export], dict[str, str]]] = {
    "neox": neox_files,
    "megatron": megatron_files,
    "slurm": slurm_files,
    "skypilot": skypilot_files,
}


def export_files(answer: Optimization, target: str, trained: Trained | None = None) -> tuple[dict[str, str], list[str]]:
    """The files of a plan for `target`, by name, and what a user should know of them.

    Parameters
    ----------
    answer : a saved `optimize --json` document
    target : neox | megatron | slurm | skypilot
    trained : what is trained, for documents that do not hold it

    Raises
    ------
    PlannerError
        If there is no plan, the target is unknown, or the target cannot run what was planned, saying what it lacks.
    """
    if target not in TARGETS:
        raise PlannerError(f"--to {target!r} is unknown; it may be {', '.join(TARGETS)}.")
    export = export_of(answer, trained)
    files = TARGETS[target](export)
    return files, export.notes


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write all files into `folder`, or none; scripts are made executable. Raises as `planner.files.write_all` does."""
    return write_all(folder, files, (".sh", ".sbatch"))
