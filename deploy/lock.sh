#!/usr/bin/env bash
# Resolves the locks anew: hashed, for every platform, naming no registry host.
set -euo pipefail
uv=${UV:-.venv/bin/uv}
compile() {
  "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@"
}
compile pyproject.toml --group build -o requirements.lock
compile pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock
echo "uv==0.13.9" | compile - -o requirements-uv.lock
# A server of the tests in an environment of its own: botocore holds packages back that we need newer.
printf 'moto==5.2.5\nflask\nflask-cors\n' | compile - -o requirements-moto.lock
if grep -nE 'https?://|--(extra-)?index-url|--find-links' requirements*.lock; then
  echo "a lock names a host" >&2
  exit 1
fi
