#!/usr/bin/env bash
# Makes a checkout ready to run: Debian packages, npm packages, the build. Installs only what is missing, says what it
# installs, and does nothing when there is nothing to do. Used by `npm test`, `npm run demo` and `npm run bench`.
#
#   bash test/setup.sh          everything
#   bash test/setup.sh bench    only what the benchmarks need
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
PATH=$PATH:/usr/sbin:/sbin

# To build the native addons.
PACKAGES=(build-essential python3 pkg-config libvirt-dev librust-blake3-dev libzstd-dev)
# What the benchmarks compare with.
PACKAGES+=(openssh-client openssh-server rsync socat qemu-utils iproute2 util-linux e2fsprogs diffutils)
[[ ${1:-} == bench ]] || PACKAGES+=(
  # the hypervisor, with firmware and TPM for the guests that have them
  libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu qemu-system-x86 ovmf swtpm swtpm-tools
  # the lab: networks, the guest's kernel, disks and initial file system
  procps kmod cpio iptables syslinux syslinux-common mtools dosfstools fdisk genisoimage
  # a second opinion on digests
  b3sum
  # to check the shell scripts
  shellcheck
  # the OpenStack clients, which drive the REST API unchanged, and OpenStack's tests with its schemas
  python3-openstackclient python3-novaclient python3-openstacksdk python3-tempest
  # disks of the lab that are reached over a network
  qemu-block-extra tgt
  # real systemd, for the tests of the units
  systemd dbus
  # the store that controllers share
  postgresql
)
NODE_MAJOR_MIN=20
BUILD_INPUTS=(proto agent controller cli bench native/lib rolldown.config.ts buf.gen.yaml buf.yaml package-lock.json)

say() { printf 'setup: %s\n' "$*"; }

die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

check_node() {
  command -v npm >/dev/null || die "needs npm: install Node.js $NODE_MAJOR_MIN or newer with npm"
  local version
  version=$(node --version) || die "needs Node.js $NODE_MAJOR_MIN or newer"
  version=${version#v}
  ((${version%%.*} >= NODE_MAJOR_MIN)) || die "Node.js is $version: needs $NODE_MAJOR_MIN or newer"
}

missing_packages() {
  local installed
  # It fails when one of them is unknown, and lists the others all the same.
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${PACKAGES[@]}" 2>/dev/null || true)
  installed=$(sed -n 's/ installed$//p' <<<"$installed")
  comm -23 <(printf '%s\n' "${PACKAGES[@]}" | sort) <(sort -u <<<"$installed") | tr '\n' ' '
}

install_packages() {
  command -v apt-get >/dev/null || die "needs Debian 12 or a system with apt; install these by hand: ${PACKAGES[*]}"
  local missing
  missing=$(missing_packages)
  [[ -n $missing ]] || return 0
  ((EUID == 0)) || die "packages are missing; run as root: apt-get install $missing"
  say "installing with apt: $missing"
  # shellcheck disable=SC2086 # words
  apt_install $missing || { apt-get -q update && apt_install $missing; } || die "apt could not install: $missing"
}

# At run level 1 packages do not start their daemons: the tests start what they need, and end it.
apt_install() {
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" </dev/null
}

install_modules() { # the stamp is inside node_modules, and so goes with it
  [[ ! -L node_modules ]] || return 0 # linked to another checkout's, which looks after it
  local stamp=node_modules/.installed-from lock
  lock=$(sha256sum <package-lock.json)
  [[ $(cat "$stamp" 2>/dev/null) != "$lock" ]] || return 0
  say "installing npm packages"
  npm ci --no-audit --no-fund </dev/null
  echo "$lock" >"$stamp"
}

# A removed file makes its folder newer.
build_is_current() {
  [[ -e dist/.built && -e proto/gen ]] &&
    [[ -z $(find "${BUILD_INPUTS[@]}" -path proto/gen -prune -o -path proto -o -newer dist/.built -print -quit) ]]
}

build() {
  if ! build_is_current; then
    say "building"
    mkdir -p dist
    touch dist/.started
    npm run --silent build </dev/null
    mv dist/.started dist/.built
  fi
  node_modules/.bin/node native/build.mjs
}

check_node
install_packages
install_modules
build
