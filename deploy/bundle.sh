#!/usr/bin/env bash
# Makes dist/watchkeeper-<version>-bundle.tar.gz: everything a host without internet needs beside Python itself, for this
# platform and this Python. Wheels once fetched are kept in the cache, so that a later bundle is made offline.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${BUNDLE_PYTHON:-.venv/bin/python}
cache=${CACHE:-$HOME/.cache/watchkeeper}
out=${OUT:-dist}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
name=watchkeeper-$version-bundle
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name
mkdir -p "$tree/wheels" "$cache/wheels" "$out"

# 1. Every dependency, as a wheel whose hash is in the lock. pip downloads (uv does not); it lives in a venv of its own.
cat requirements.lock requirements-uv.lock > "$tree/requirements.lock"
"$("$python" -c 'import sys; print(sys._base_executable)')" -m venv "$work/pip"
fetch=("$work/pip/bin/python" -m pip --disable-pip-version-check -qq download --only-binary :all: --no-deps --require-hashes)
"${fetch[@]}" --no-index --find-links "$cache/wheels" -d "$tree/wheels" -r "$tree/requirements.lock" 2>"$work/offline.log" ||
  "${fetch[@]}" --find-links "$cache/wheels" -d "$tree/wheels" -r "$tree/requirements.lock"
cp -n "$tree"/wheels/*.whl "$cache/wheels/"

# 2. Watchkeeper itself, built with the locked backend.
"$python" -m hatchling build -t wheel -d "$work/wheel" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
wheel=$(cd "$work/wheel" && echo watchkeeper-*.whl)
mv "$work/wheel/$wheel" "$tree/wheels/"
sum=$(sha256sum "$tree/wheels/$wheel" | cut -d' ' -f1)
printf '%s==%s --hash=sha256:%s\n' watchkeeper "$version" "$sum" >> "$tree/requirements.lock"

# 3. The units, the example, how to install, and what this bundle is for.
cp -r deploy/systemd "$tree/systemd"
cp deploy/install.sh docs/install.md watchkeeper.example.yaml LICENSE CHANGELOG.md "$tree/"
printf 'version=%s\npython=%s\nplatform=%s\nwheel=%s\n' "$version" \
  "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
  "$("$python" -c 'import sysconfig; print(sysconfig.get_platform())')" "$sum" > "$tree/BUNDLE"
(cd "$tree" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)

# Same content, same archive: names sorted, no owners, one time stamp.
stamp=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$stamp" -cf - "$name" | gzip -1n > "$out/$name.tar.gz"
echo "$out/$name.tar.gz ($(du -h "$out/$name.tar.gz" | cut -f1), $(find "$tree/wheels" -name '*.whl' | wc -l) wheels)"
