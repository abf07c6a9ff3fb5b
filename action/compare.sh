#!/usr/bin/env bash
# Markdown on standard output: each scenario as it is at the commit BASE, beside what it is in the work tree.
# SCENARIOS: files, with spaces between them; otherwise every YAML file that differs from BASE and is a scenario.
# shellcheck disable=SC2016 # backticks are Markdown's
set -euo pipefail

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT

changed() {
  git diff --name-only --diff-filter=AM "$BASE" -- '*.yaml' '*.yml' | while read -r file; do
    if grep -q '^model:' "$file" && grep -q '^data:' "$file"; then echo "$file"; fi
  done
}

fenced() { printf '\n```text\n%s\n```\n' "$1"; }

one() {
  local file=$1 told status=0
  printf '\n### `%s`\n' "$file"
  if git cat-file -e "$BASE:$file" 2>/dev/null; then
    # The whole tree, as a scenario may name files beside it.
    if [ ! -e "$before/tree" ]; then mkdir "$before/tree" && git archive "$BASE" | tar -x -C "$before/tree"; fi
    told=$(COLUMNS=100 NO_COLOR=1 planner compare "$before/tree/$file" "$file" 2>&1) || status=$?
    told=${told//"$before/tree/"/}
  else
    told=$(COLUMNS=100 NO_COLOR=1 planner optimize "$file" 2>&1) || status=$?
    echo 'A new scenario.'
  fi
  if [ "$status" -eq 3 ]; then echo 'Nothing is feasible.'; fi
  if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then echo '**It cannot be planned.**'; failed=1; fi
  fenced "$told"
}

failed=0
echo '## What this does to the plan'
files=${SCENARIOS:-$(changed)}
if [ -z "$files" ]; then printf '\nNo scenario changes.\n'; fi
for file in $files; do one "$file"; done
exit "$failed"
