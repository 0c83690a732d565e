# shellcheck shell=bash
# The lab as a whole: up, down, wipe, status. Commands that change it take turns.

# The lock is file descriptor 9 of this process; host_launch closes it for what outlives it. `down` removes the lock file,
# so whoever waited for it then takes the new one.
lab_lock() {
  mkdir -p "${LAB_DIR%/*}" || die "cannot make ${LAB_DIR%/*}"
  until [[ /proc/self/fd/9 -ef $LAB_DIR.lock ]]; do
    exec 9>"$LAB_DIR.lock" && flock 9 || die "cannot lock $LAB_DIR.lock"
  done
}

lab_up() {
  local count=${1:-2}
  if ! [[ $count =~ ^[1-9][0-9]?$ ]] || ((count > LAB_HOSTS_MAX)); then
    die "up: number of hosts 1 … $LAB_HOSTS_MAX, not '$count'"
  fi
  preconditions_check
  if [[ $LAB_VIRT == auto ]]; then LAB_VIRT=$(kvm_verdict) || exit 1; fi
  lab_lock
  mkdir -p "$LAB_SHARED" "$LAB_CACHE"
  chmod 755 "$LAB_DIR" "$LAB_SHARED"
  settings_save
  network_switch_up
  ferry_prepare_authority
  machine_build_shim
  systemd_stage
  lab_start_hosts "$count" || die "not all hosts came up; 'npm run lab -- down' removes what there is"
  ferry_wait_known
  lab_status
}

lab_start_hosts() { # all at once, except that a machine's first host shares what it learnt with the others
  local count=$1 first=2 host failed=0 job
  local -a jobs=()
  if [[ -d $LAB_CACHE/capabilities ]]; then
    first=1
  else
    host_start h1 && libvirtd_learn_capabilities h1 || return 1
  fi
  for host in ctl $(seq -f h%g "$first" "$count"); do
    (host_start "$host") &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job" || failed=1
  done
  return $failed
}

lab_down() { # everything of this lab goes; --keep leaves the hosts' files for the next up
  [[ $# -eq 0 || $* == --keep ]] || die "usage: npm run lab -- down [--keep]"
  ((EUID == 0)) || die "needs root"
  local host
  [[ -d $LAB_DIR ]] || return 0
  lab_lock
  for host in $(host_names); do
    host_kill "$host"
    cgroup_remove "$host"
  done
  network_switch_down
  [[ ${1:-} == --keep ]] || rm -rf --one-file-system "$LAB_DIR"
  rm -f "$LAB_DIR.lock"
  rmdir "${LAB_DIR%/*}" 2>/dev/null || true
}

lab_wipe() {
  lab_down "$@"
  rm -rf --one-file-system "$LAB_CACHE"
}

lab_status() {
  local host
  [[ -n $(host_names) ]] || { echo "lab $LAB_ID: no hosts (npm run lab -- up)"; return; }
  for host in $(host_names); do
    if host_is_up "$host"; then lab_status_line "$host"; else echo "$host off"; fi
  done
}

lab_status_line() {
  local host=$1 number libvirt=none daemon
  number=$(host_number "$host")
  daemon=$(ferry_daemon_of "$host")
  if [[ $host != ctl ]]; then
    libvirt=down
    host_exec "$host" virsh -q -c qemu:///system uri >/dev/null 2>&1 && libvirt=up
  fi
  echo "$host on pid=$(host_pid "$host") eth0=$LAB_NET.$number mig0=$LAB_MIGNET.$number libvirtd=$libvirt" \
    "$daemon=$(ferry_daemon_state "$host" "$daemon")"
}
