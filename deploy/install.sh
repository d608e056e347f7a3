#!/usr/bin/env bash
# Installs this bundle without network: ./install.sh /opt/watchkeeper
# Nothing outside the folder is touched. A second run with a newer bundle is the upgrade; the old release stays for a way back.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:?usage: ./install.sh FOLDER, for example ./install.sh /opt/watchkeeper}
python=${PYTHON:-python3}
fail() { echo "install: $*" >&2; exit 1; }
wanted() { sed -n "s/^$1=//p" "$here/BUNDLE"; }

# 1. Is everything here, unharmed, and made for this host?
(cd "$here" && sha256sum --quiet --strict -c SHA256SUMS) || fail "the bundle is damaged; fetch it again"
command -v "$python" >/dev/null || fail "this bundle needs Python $(wanted python). Run: sudo apt-get install -y python3"
found=$("$python" -c 'import sys, sysconfig; print("%d.%d %s" % (*sys.version_info[:2], sysconfig.get_platform()))')
[ "$found" = "$(wanted python) $(wanted platform)" ] ||
  fail "this bundle is for Python $(wanted python) on $(wanted platform), here is $found; set PYTHON or make a bundle on a host like this"

# 2. A release folder of its own, complete or not there at all.
mkdir -p "$prefix/releases"
prefix=$(cd "$prefix" && pwd)
release=$prefix/releases/$(wanted version)-$(wanted wheel | cut -c1-8)
if [ ! -e "$release/.complete" ]; then
  rm -rf "$release"
  mkdir -p "$release"
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  # uv makes the environment and checks every hash; it comes as a wheel, which is a zip file.
  "$python" -m zipfile -e "$here"/wheels/uv-*.whl "$tools"
  uv=$(find "$tools" -type f -name uv -path '*/bin/*' -o -type f -name uv -path '*/scripts/*' | head -n 1)
  [ -n "$uv" ] || fail "the bundle's uv wheel holds no uv"
  chmod +x "$uv"
  export UV_OFFLINE=1 UV_NO_CONFIG=1 UV_CACHE_DIR=$tools/cache UV_PYTHON_DOWNLOADS=never
  "$uv" venv -q --python "$(command -v "$python")" "$release/venv"
  "$uv" pip install -q -p "$release/venv/bin/python" --no-index --find-links "$here/wheels" --no-build --no-deps \
    --require-hashes --compile-bytecode -r "$here/requirements.lock"
  "$release/venv/bin/watchkeeper" version >/dev/null
  touch "$release/.complete"
fi

# 3. Units with this folder in them, the example, and the switch to the release: one rename.
mkdir -p "$prefix/bin" "$prefix/systemd"
for unit in "$here"/systemd/*; do
  sed "s|/opt/watchkeeper|$prefix|g" "$unit" > "$prefix/systemd/$(basename "$unit")"
done
cp "$here/watchkeeper.example.yaml" "$here/install.md" "$prefix/"
ln -sfn ../current/venv/bin/watchkeeper "$prefix/bin/watchkeeper"
ln -sfn "releases/$(basename "$release")" "$prefix/.current"
mv -T "$prefix/.current" "$prefix/current"
echo "Watchkeeper $("$prefix/bin/watchkeeper" version) is in $prefix"
echo "  try it:        $prefix/bin/watchkeeper up"
echo "  as a service:  see $prefix/install.md"
