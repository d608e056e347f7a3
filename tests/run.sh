#!/usr/bin/env bash
# What `make test` runs: ruff and walls, then every test, with mypy beside them on whatever the cores have left.
set -euo pipefail
cd "$(dirname "$0")/.."
# A test starts hundreds of programs: each would compile again what it imports.
export PYTHONDONTWRITEBYTECODE=
bin=.venv/bin

# Types cost two minutes of one core when nothing is cached, and tests wait more than that: journeys stay first in line.
nice -n 19 "$bin/mypy" &
types=$!
trap 'kill "$types" 2>/dev/null || true' EXIT

if [ "${CI:-}" = true ]; then bash tests/servers/install.sh; fi
make --no-print-directory lint-quick

failed=0
"$bin/python" -m pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder \
  --cov --cov-report=term:skip-covered --durations=10 "$@" || failed=$?
wait "$types" || { echo "types: see mypy's lines above" >&2; failed=1; }
exit "$failed"
