"""Where the catalog's data lies: `catalogs/` of a checkout, or the copy that an installed wheel carries."""

from __future__ import annotations

from pathlib import Path

from planner.units import PlannerError
from planner.words import say

_PACKAGE = Path(__file__).resolve().parents[1]


def data_dir() -> Path:
    """The folder of shipped catalogs: the repository's `catalogs/`, else the wheel's `planner/_catalogs`.

    Raises
    ------
    PlannerError
        If neither is there, which means that the installation is incomplete.
    """
    return _shipped("catalogs")


def framework_files() -> dict[str, Path]:
    """The files of the frameworks that planner plans with, by the framework's name, which is the file's."""
    return {path.stem: path for path in sorted((data_dir() / "frameworks").glob("*.yaml"))}


def scenarios_dir() -> Path:
    """The folder of example scenarios: the repository's `scenarios/`, else the wheel's `planner/_scenarios`.

    Raises
    ------
    PlannerError
        If neither is there, which means that the installation is incomplete.
    """
    return _shipped("scenarios")


def _shipped(name: str) -> Path:
    # The wheel's copy is looked for first: a checkout never has it, while a wheel's neighbours in
    # site-packages might hold a folder called "catalogs" that is somebody else's.
    packaged = _PACKAGE / f"_{name}"
    if packaged.is_dir():
        return packaged
    checkout = _PACKAGE.parent / name
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise PlannerError(say("paths.missing", name=name, packaged=str(packaged), checkout=str(checkout)))
