"""Accelerators by the names that people, programs and clouds give them; a near name is never taken for another chip."""

from __future__ import annotations

import pytest

from planner.catalog import load_catalog
from planner.catalog.part_names import parts_meant, the_part
from planner.catalog.paths import scenarios_dir
from planner.scenario import load_scenario
from planner.units import PlannerError

IDS = tuple(load_catalog().accelerators)

ONE = {
    "H200": "h200-sxm5-141gb", "h200-sxm": "h200-sxm5-141gb", "H200 141GB": "h200-sxm5-141gb", "H20": "h20-sxm5-96gb",
    "H800": "h800-sxm5-80gb", "H100 PCIe": "h100-pcie-80gb", "h100-nvl": "h100-nvl-94gb", "A100-SXM4-80GB":
    "a100-sxm4-80gb", "NVIDIA A100-SXM4-40GB": "a100-sxm4-40gb", "a100-pcie-80": "a100-pcie-80gb", "A10G": "a10g-24gb",
    "A6000": "rtx-a6000-48gb", "NVIDIA RTX A6000": "rtx-a6000-48gb", "L4": "l4-24gb", "nvidia l4": "l4-24gb",
    "L40S": "l40s-48gb", "4090": "rtx-4090-24gb", "RTX 4090": "rtx-4090-24gb", "rtx4090": "rtx-4090-24gb",
    "NVIDIA GeForce RTX 4090": "rtx-4090-24gb", "GeForce RTX 3090": "rtx-3090-24gb", "5090": "rtx-5090-32gb",
    "RTX PRO 6000": "rtx-pro6000-96gb", "B200": "b200-sxm6-180gb", "nvidia b300": "b300-sxm6-288gb",
    "GB200": "gb200-nvl72", "gb300": "gb300-nvl72", "MI300X": "mi300x-192gb", "AMD Instinct MI300X": "mi300x-192gb",
    "mi325x": "mi325x-256gb", "MI355X": "mi355x-288gb", "TPU v5p": "tpu-v5p", "v5e": "tpu-v5e", "tpu-v6e": "tpu-v6e",
    "Trillium": "tpu-v6e", "TPU v4": "tpu-v4", "Gaudi 3": "gaudi3-128gb", "gaudi2": "gaudi2-96gb",
    "trn2": "trainium2", "Trainium1": "trainium1", "V100-SXM2-32GB": "v100-sxm2-32gb",
}  # fmt: skip
SEVERAL = {
    "h100": {"h100-sxm5-80gb", "h100-sxm5-96gb", "h100-nvl-94gb", "h100-pcie-80gb"},
    "A100 80GB": {"a100-sxm4-80gb", "a100-pcie-80gb"},
    "NVIDIA H100 80GB HBM3": {"h100-sxm5-80gb", "h100-pcie-80gb"},
    "V100": {"v100-sxm2-16gb", "v100-sxm2-32gb", "v100-pcie-16gb", "v100-pcie-32gb"},
    "GH200": {"gh200-96gb", "gh200-144gb"},
}
#: Chips that the catalog lacks, or variants of those it has.
NONE = (
    "A10", "A30", "A40", "L40", "H200 NVL", "H20-3e", "MI250", "MI300A", "MI210", "T4", "P100", "6000 Ada", "H10",
    "B20", "RTX 4090 D", "A100 MIG", "H100 CNX", "3090 Ti", "L", "h", "",
)  # fmt: skip


@pytest.mark.parametrize(("name", "part"), ONE.items())
def test_a_name_that_people_use_is_one_part(name: str, part: str) -> None:
    assert parts_meant(name, IDS) == (part,)
    assert load_catalog().accelerator(name).id == part


@pytest.mark.parametrize(("name", "parts"), SEVERAL.items())
def test_a_chip_is_all_its_parts_in_a_filter_and_ambiguous_elsewhere(name: str, parts: set[str]) -> None:
    assert set(parts_meant(name, IDS)) == parts
    scenario = load_scenario(scenarios_dir() / "smallest.yaml", [f'cluster.gpus=["{name}", h200]'])
    assert set(scenario.cluster.gpus) == parts | {"h200-sxm5-141gb"}
    with pytest.raises(PlannerError, match="is ambiguous: "):
        the_part(name, IDS)


@pytest.mark.parametrize("name", NONE)
def test_a_near_name_is_never_another_chip(name: str) -> None:
    assert parts_meant(name, IDS) == ()
    with pytest.raises(PlannerError) as error:
        the_part(name, IDS)
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize("part", IDS)
def test_every_id_is_itself_whatever_its_case(part: str) -> None:
    assert parts_meant(part, IDS) == parts_meant(part.upper(), IDS) == (part,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("L40", "`L40`; l40s-48gb is another chip"),
        ("H200 NVL", "of that chip the catalog has h200-sxm5-141gb"),
        ("A40", "`planner catalog list gpus` names those there are"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(name: str, said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        the_part(name, IDS)
