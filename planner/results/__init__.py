"""What planner answers with: plans, frontiers, comparisons; field for field their JSON."""
