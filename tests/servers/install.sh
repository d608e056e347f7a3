#!/usr/bin/env bash
# Installs the packages of packages.txt without starting a service, then checks that each is there and new enough.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
list=$here/packages.txt
mapfile -t packages < <(awk '!/^#/ && NF {print $1}' "$list")

missing() {
  local absent=0
  while read -r package oldest program; do
    version=$(dpkg-query -W -f '${Status} ${Version}' "$package" 2>/dev/null | sed -n 's/^install ok installed //p')
    if [ -z "$version" ]; then echo "  $package: not installed"; absent=1; continue; fi
    if ! dpkg --compare-versions "$version" ge "$oldest"; then echo "  $package $version: older than $oldest"; absent=1; fi
    if [ "$program" != - ] && [ ! -x "$program" ]; then echo "  $package: $program is missing"; absent=1; fi
  done < <(awk '!/^#/ && NF' "$list")
  return $absent
}

# moto's server is a Python program: in an environment of its own, from a hashed lock, made anew when the lock changes.
moto() {
  local project=$here/../.. python=${PYTHON:-python3}
  local place=$project/.servers/moto lock=$project/requirements-moto.lock
  if [ -x "$place/bin/moto_server" ] && cmp -s "$lock" "$place/lock"; then return; fi
  rm -rf "$place"
  if [ -x "$project/.venv/bin/uv" ]; then
    "$project/.venv/bin/uv" venv -q -p "$python" "$place"
    "$project/.venv/bin/uv" pip install -q --require-hashes -p "$place/bin/python" -r "$lock"
  else
    "$python" -m venv "$place"
    "$place/bin/python" -m pip --disable-pip-version-check -q install --require-hashes -r "$lock"
  fi
  cp "$lock" "$place/lock"
}
moto

command -v apt-get >/dev/null || { echo "make servers needs apt-get (Debian or Ubuntu)" >&2; exit 1; }
if missing >/dev/null; then echo "servers: all ${#packages[@]} packages are here"; exit 0; fi

root=()
if [ "$(id -u)" != 0 ]; then root=(sudo); fi
guard=/usr/sbin/policy-rc.d
made=no
if [ ! -e "$guard" ]; then
  # Debian's own way to say "install, but start nothing".
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$guard" >/dev/null
  "${root[@]}" chmod +x "$guard"
  made=yes
fi
finish() { if [ "$made" = yes ]; then "${root[@]}" rm -f "$guard"; fi; }
trap finish EXIT
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
if ! missing; then echo "make servers: the packages above are not as needed" >&2; exit 1; fi
echo "servers: all ${#packages[@]} packages are here"
