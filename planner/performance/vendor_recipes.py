"""What a published recipe switched on: CUDA graphs, expert dispatch and overlap, fused experts, FP8 attention.

Megatron-Bridge publishes throughput of its own recipes, and their files say what the table of throughputs does not:
the same layout ran up to 1.6 times faster one release later because its recipe had changed. `catalogs/recipes` holds
what each recipe set; a MoE model without one is taken to run what most recipes of the release did on such a part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from planner.catalog.paths import data_dir
from planner.performance.arrays import Setting
from planner.performance.cells import Cells
from planner.performance.columns import quoted
from planner.reading import read_csv
from planner.words import say

Release = tuple[int, ...]
#: The columns of recipes, and what may stand in them; a row of measured runs may state them, too.
SWITCHES = {
    "graphs": ("none", "router", "attention", "attention+router", "full"),
    "dispatch": ("alltoall", "deepep", "hybridep"),
    "overlap": ("no", "yes"),
    "fused_experts": ("no", "yes"),
    "fp8_attention": ("no", "yes"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run had switched on; all off is how a framework runs unless told otherwise."""

    graphs: str = "none"  # what CUDA graphs replay
    dispatch: str = "alltoall"  # how tokens reach their experts
    overlap: bool = False  # expert exchange of one micro-batch behind the computation of another
    fused_experts: bool = False  # an expert MLP's matmuls, activation and casts in grouped kernels
    fp8_attention: bool = False
    recomputes: tuple[str, ...] = ()  # parts of a layer that the backward pass computes again

    @property
    def switched_on(self) -> dict[str, str]:
        """The switches that are not as a framework runs unless told otherwise: column, position."""
        return {
            name: value if isinstance(value, str) else "yes" if value else "no"
            for name in SWITCHES
            if (value := getattr(self, name)) != getattr(ALL_OFF, name)
        }

    def in_words(self) -> str:
        """What is on, as a list in a sentence."""
        if self.graphs in ("none", "full"):
            on = [say(f"vendor_recipes.graphs_{self.graphs}")]
        else:
            on = [say("vendor_recipes.graphs", parts=self.graphs.split("+"))]
        code = "vendor_recipes.dispatch_behind" if self.overlap else "vendor_recipes.dispatch"
        on.append(say(code, dispatch=_DISPATCH[self.dispatch]))
        on += [say("vendor_recipes.fused_experts")] * self.fused_experts + [
            say("vendor_recipes.fp8_attention")
        ] * self.fp8_attention
        return say("vendor_recipes.all", on=on)


ALL_OFF = Recipe()
_YES_NO = {"1": "yes", "true": "yes", "0": "no", "false": "no"}  # as spreadsheets write them
_DISPATCH = {"alltoall": "all-to-all", "deepep": "DeepEP", "hybridep": "HybridEP"}


def recipe_of(setting: Setting, stack: str, release: str) -> Recipe:
    """The recipe that a setting is taken to run: what it states, else the newest up to its release, else the oldest.

    Parameters
    ----------
    stack : the software stack's name, as in `stacks.stack_of`
    release : the release run, as in `stacks.release_of`; one without a date counts as the newest
    """
    published = _published(setting, stack, release) if setting.conditions.tuning == "vendor" else ALL_OFF
    return _switched(published, dict(setting.recipe))


def _published(setting: Setting, stack: str, release: str) -> Recipe:
    table = _recipes(stack)
    part, model = setting.accelerator, setting.model
    host = "grace" if on_grace(setting) else "x86"
    keys = [(model.name, part.id, setting.precision)]
    if model.moe:
        keys += [("", name, p) for name in (f"{part.family} {host}", "") for p in (setting.precision, "")]
    now = release_numbers(release)
    for key in keys:
        known = [recipe for since, recipe in table.get(key, ()) if not now or since <= now]
        if known:
            return known[-1]
    oldest = (table[key][0][1] for key in keys if key in table)
    return next(oldest, ALL_OFF) if model.moe else ALL_OFF  # a release from before all recipes


def _switched(recipe: Recipe, stated: Mapping[str, str]) -> Recipe:
    """The recipe with the switches that are stated."""

    def on(name: str, otherwise: bool) -> bool:
        return stated[name] == "yes" if name in stated else otherwise

    return Recipe(
        graphs=stated.get("graphs", recipe.graphs),
        dispatch=stated.get("dispatch", recipe.dispatch),
        overlap=on("overlap", recipe.overlap),
        fused_experts=on("fused_experts", recipe.fused_experts),
        fp8_attention=on("fp8_attention", recipe.fp8_attention),
        recomputes=recipe.recomputes,
    )


def stated_recipe(cell: Cells) -> tuple[tuple[str, str], ...]:
    """What a row of runs states of its recipe.

    Raises
    ------
    PlannerError
        If a switch has no such position, naming the row.
    """
    stated = []
    for name, positions in SWITCHES.items():
        text = cell.text(name)
        value = _YES_NO.get(text.lower(), text.lower()) if "yes" in positions else text.lower()
        if value and value not in positions:
            raise cell.refused(say("cells.none_of", column=name, found=quoted(text), known=list(positions)))
        if value:
            stated.append((name, value))
    return tuple(stated)


def recipe_files() -> list[Path]:
    """The tables of recipes, one a software stack, in order of name."""
    return sorted((data_dir() / "recipes").glob("*.csv"))


def has_recipes(stack: str) -> bool:
    """Whether recipes of this software stack are published."""
    return bool(_recipes(stack))


def on_grace(setting: Setting) -> bool:
    """Whether the accelerator shares its board with a Grace CPU."""
    return setting.accelerator.form_factor.startswith(("NVL", "Super"))


def release_numbers(release: str) -> Release:
    """The numbers of a YY.MM(.PP) release, in order; none if the text does not begin with one."""
    found = re.match(r"(\d\d)\.(\d\d)(?:\.(\d{1,2}))?(?!\d)", release, re.ASCII)
    return tuple(int(number) for number in found.groups() if number) if found else ()


@cache
def _recipes(stack: str) -> Mapping[tuple[str, str, str], list[tuple[Release, Recipe]]]:
    """Recipes of a stack by model, part and precision ("": any), oldest first."""
    table: dict[tuple[str, str, str], list[tuple[Release, Recipe]]] = {}
    path = {path.stem: path for path in recipe_files()}.get(stack)
    if path is None:
        return table
    for row in read_csv(path).rows():
        recipe = replace(_switched(ALL_OFF, row), recomputes=tuple(row["recomputes"].split()))
        since = (release_numbers(row["since"]), recipe)
        table.setdefault((row["model"], row["gpu"], row["precision"]), []).append(since)
    for dated in table.values():
        dated.sort(key=lambda entry: entry[0])
    return table
