# shellcheck shell=bash
# Where a lab keeps its things and what it was started with. The environment of `up` is remembered in $LAB_DIR/settings, so
# that later commands need only LAB_ID (or nothing for the default lab). Also the words every other file uses:
# say, die, wait_until.

LAB_ID=${LAB_ID:-lab}
LAB_ROOT=${XDG_STATE_HOME:-/var/tmp}/ferry-lab
LAB_DIR=${LAB_DIR:-$LAB_ROOT/$LAB_ID}
LAB_CACHE=${LAB_CACHE:-${XDG_CACHE_HOME:-/var/cache}/ferry-lab}
LAB_SHARED=$LAB_DIR/shared
FERRY_ROOT=$(readlink -f "$LAB_HOME/../..")

# What `up` remembers: name and default.
declare -A LAB_DEFAULTS=([LAB_NET]=10.77.0 [LAB_MIGNET]=10.78.0 [LAB_QEMU]=root [LAB_VIRT]=auto [LAB_BARE]=0 [LAB_INIT]=plain
  [LAB_DISK]=plain [LAB_STOPS]=0)
LAB_HOSTS_MAX=64

say() { printf '%s\n' "$*" >&2; }

die() {
  say "lab: $*"
  exit 1
}

# wait_until SECONDS COMMAND…: polls until COMMAND succeeds; fails when the deadline has passed.
wait_until() {
  local deadline=$((SECONDS + $1 + 1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# Environment first, then what `up` remembered, then the default.
settings_load() {
  [[ $LAB_ID =~ ^[a-z0-9][a-z0-9-]{0,39}$ ]] || die "LAB_ID '$LAB_ID': use a-z, 0-9 and '-', at most 40 characters"
  [[ $LAB_DIR == /* && $LAB_DIR != *[[:space:],:]* ]] || die "LAB_DIR '$LAB_DIR': an absolute path without spaces, ',' or ':'"
  local name value
  local -A remembered=()
  # Without any other program: this is done for every command in a host.
  if [[ -f $LAB_DIR/settings ]]; then
    while IFS='=' read -r name value; do remembered[$name]=$value; done <"$LAB_DIR/settings"
  fi
  for name in "${!LAB_DEFAULTS[@]}"; do
    printf -v "$name" '%s' "${!name:-${remembered[$name]:-${LAB_DEFAULTS[$name]}}}"
  done
  [[ $LAB_QEMU == root || $LAB_QEMU == stock ]] || die "LAB_QEMU '$LAB_QEMU': root or stock"
  [[ $LAB_VIRT =~ ^(auto|kvm|qemu)$ ]] || die "LAB_VIRT '$LAB_VIRT': auto, kvm or qemu"
  [[ $LAB_INIT == plain || $LAB_INIT == systemd ]] || die "LAB_INIT '$LAB_INIT': plain or systemd"
  [[ $LAB_DISK == plain || $LAB_DISK == volatile ]] || die "LAB_DISK '$LAB_DISK': plain or volatile"
  for name in LAB_NET LAB_MIGNET; do
    [[ ${!name} =~ ^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$ ]] || die "$name '${!name}': three numbers such as 10.77.0"
  done
}

settings_save() {
  local name
  for name in "${!LAB_DEFAULTS[@]}"; do
    printf '%s=%s\n' "$name" "${!name}"
  done >"$LAB_DIR/settings"
}
