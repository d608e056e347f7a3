#!/usr/bin/env bash
# Makes .venv from one hashed lock. Works offline when the caches are warm. Usage: deploy/setup.sh LOCK
set -euo pipefail
lock=$1
python=${PYTHON:-python3}
cache=${CACHE:-$HOME/.cache/watchkeeper}
install_line="sudo apt-get install -y make python3 python3-venv"

if ! command -v "$python" >/dev/null; then
  echo "Watchkeeper needs Python 3.11 or newer. Run: $install_line" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Watchkeeper needs Python 3.11 or newer; $python is $("$python" -V 2>&1 | cut -d' ' -f2). Set PYTHON=python3.11 or newer." >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "Python's venv module is missing. Run: $install_line" >&2
  exit 1
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv

# uv installs twenty times faster than pip; its wheel is kept in our cache so that a later set-up works offline.
if [ ! -x .venv/bin/uv ]; then
  mkdir -p "$cache/wheels"
  pip=(.venv/bin/python -m pip --disable-pip-version-check -q)
  "${pip[@]}" install --require-hashes --no-index --find-links "$cache/wheels" -r requirements-uv.lock 2>/dev/null || {
    "${pip[@]}" download --require-hashes --no-deps -d "$cache/wheels" -r requirements-uv.lock &&
      "${pip[@]}" install --require-hashes --no-index --find-links "$cache/wheels" -r requirements-uv.lock
  } || echo "uv is not to be had here; going on with pip" >&2
fi

keep=$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements-uv.lock)
if [ -x .venv/bin/uv ]; then
  both=$(mktemp); trap 'rm -f "$both"' EXIT
  cat "$lock" requirements-uv.lock > "$both"
  uv=(.venv/bin/uv pip)
  "${uv[@]}" sync -q --offline --require-hashes -p .venv/bin/python "$both" 2>/dev/null ||
    "${uv[@]}" sync -q --require-hashes -p .venv/bin/python "$both" ||
    .venv/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r "$lock"
  "${uv[@]}" install -q --offline --no-deps --no-build-isolation -p .venv/bin/python -e .
else
  .venv/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r "$lock"
  .venv/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation --no-index -e .
fi

# Compile what every start loads, side by side: three processes would each do it at the first start, and at every start
# where PYTHONDONTWRITEBYTECODE is set.
export PYTHONDONTWRITEBYTECODE=
.venv/bin/python -m compileall -q watchkeeper dashboard &
.venv/bin/python -c "import watchkeeper.app.serve, watchkeeper.app.serve_actuator, watchkeeper.app.up" &
.venv/bin/python -c "import watchkeeper.app.serve_dashboard, plotly.graph_objects, pandas, sklearn.ensemble" &
wait
echo "ready: .venv/bin/watchkeeper ($(basename "$lock"), ${keep:-pip})"
