"""A spare node of one's own cluster, where a throughput was measured on it."""

from __future__ import annotations

import json

from planner.catalog.paths import scenarios_dir


def test_an_own_cluster_keeps_its_measured_plan_with_one_node_spare(planner):
    answer = planner("optimize", scenarios_dir() / "own-cluster.yaml", "--set=risk.spare_nodes=1", "--json", "--quiet")
    assert json.loads(answer.out)["status"] == "optimal"
