# shellcheck shell=bash
# One host: ctl, h1, h2 … Everything it owns is in $LAB_DIR/HOST; it runs as long as its process 1 does. Ending that
# process ends all of the host, guests included, which is both how a host is switched off and how its power is cut.

host_number() { # the last part of the host's addresses
  case $1 in
    ctl) echo 10 ;;
    h[1-9] | h[1-5][0-9] | h6[0-4]) echo $((10 + ${1#h})) ;;
    *) die "no such host: '$1' (ctl, h1 … h$LAB_HOSTS_MAX)" ;;
  esac
}

host_names() { # hosts that this lab has, up or not
  local path
  for path in "$LAB_DIR"/ctl "$LAB_DIR"/h[0-9]*; do
    if [[ -d $path ]]; then echo "${path##*/}"; fi
  done
}

host_pid() { if [[ -r $LAB_DIR/$1/pid ]]; then echo "$(<"$LAB_DIR/$1/pid")"; fi 2>/dev/null; }

# A process id may have been used again: the process must also be this host's init.
host_is_up() {
  local pid words=()
  pid=$(host_pid "$1")
  [[ -n $pid ]] && mapfile -d '' words 2>/dev/null <"/proc/$pid/cmdline" &&
    [[ "${words[*]} " == *"host-init.sh boot $LAB_DIR/$1 "* ]]
}

host_require_up() {
  host_number "$1" >/dev/null || exit 1
  host_is_up "$1" || die "$1 is not up (npm run lab -- up, or start $1)"
}

host_uuid() { # the same for a host's whole life, different from every other
  local sum
  sum=$(printf '%s' "$LAB_DIR/$1" | md5sum)
  echo "${sum:0:8}-${sum:8:4}-4${sum:13:3}-a${sum:17:3}-${sum:20:12}"
}

host_prepare() {
  local host=$1 dir=$LAB_DIR/$1 uuid
  mkdir -p "$dir/etc"
  chmod 755 "$dir"
  uuid=$(host_uuid "$host")
  echo "${uuid//-/}" >"$dir/etc/machine-id"
  echo "$host" >"$dir/etc/hostname"
  network_hosts_file >"$dir/etc/hosts"
  ferry_prepare "$host"
  if [[ $host != ctl ]]; then
    libvirtd_prepare "$host"
    machine_prepare "$host"
    ferry_install_hook "$host"
  fi
}

host_start() {
  local host=$1 dir=$LAB_DIR/$1 pid
  host_number "$host" >/dev/null || exit 1
  [[ -d $LAB_SHARED ]] || die "this lab is not up (npm run lab -- up)"
  host_is_up "$host" && return
  network_switch_up
  disk_attach "$host"
  host_prepare "$host"
  rm -f "$dir"/{pid,wired,ready}
  date '+--- switched on %F %T' >>"$dir/init.log"
  cgroup_create "$host"
  host_launch "$host"
  wait_until 60 test -s "$dir/pid" || die "$host: its first process did not start: $(tail -n 3 "$dir/init.log")"
  pid=$(host_pid "$host")
  cgroup_join "$host" $! init
  network_wire "$host" "$pid"
  touch "$dir/wired"
  wait_until 90 host_ready_or_dead "$host"
  [[ -e $dir/ready ]] || die "$host did not come up: npm run lab -- logs $host"
  ferry_wait_listening "$host"
}

host_ready_or_dead() { [[ -e $LAB_DIR/$1/ready ]] || ! host_is_up "$1"; }

host_launch() { # joins the control groups first: the cgroup namespace is rooted where its maker is
  local host=$1 dir=$LAB_DIR/$1
  (
    cgroup_join "$host" "$BASHPID"
    # shellcheck disable=SC2046 # words of a command line
    exec env LAB_INIT="$LAB_INIT" LAB_PRELOAD="$(ferry_preload)" setsid unshare -m -u -i -n -p -C --fork --kill-child \
      "$LAB_HOME/lib/host-init.sh" boot "$dir" "$LAB_DIR" "$LAB_VIRT" $(ferry_daemon_command "$host")
  ) </dev/null >>"$dir/init.log" 2>&1 9>&- &
}

host_exec() {
  local host=$1
  shift
  host_require_up "$host"
  (
    cgroup_join "$host" "$BASHPID" init
    exec nsenter -t "$(host_pid "$host")" -m -u -i -n -p -C -r -w -- \
      env LAB_HOST="$host" LAB_INIT="$LAB_INIT" PATH="/run/host/bin:$PATH" "$@"
  )
}

# systemd takes SIGTERM for something else.
host_stop() {
  if systemd_wanted; then host_end "$1" RTMIN+4; else host_end "$1" TERM; fi
  disk_detach "$1" off
}

host_kill() {
  disk_freeze "$1"
  host_end "$1" KILL
  disk_detach "$1" cut
}

host_end() { # host_end HOST SIGNAL-TO-PROCESS-1; the kernel then ends the rest
  local host=$1 signal=$2 pid
  host_number "$host" >/dev/null || exit 1
  if host_is_up "$host"; then
    pid=$(host_pid "$host")
    kill "-$signal" "$pid"
    if ! wait_until 10 host_gone "$pid"; then
      kill -KILL "$pid"
      wait_until 60 host_gone "$pid" || die "$host: process $pid does not end"
    fi
  fi
  rm -f "$LAB_DIR/$host"/{pid,ready}
}

host_gone() { [[ ! -e /proc/$1 ]]; }

host_logs() { # the end of each of the host's logs
  local host=$1 path
  [[ -d $LAB_DIR/$host ]] || die "no such host in this lab: '$host'"
  for path in "$LAB_DIR/$host"/init.log "$LAB_DIR/$host"/var/log/{libvirt/libvirtd.log,libvirt/qemu/*.log,ferry/*.log}; do
    if [[ -s $path ]]; then
      printf '==> %s\n' "$path"
      tail -n "${LAB_LOG_LINES:-30}" "$path"
    fi
  done
  if systemd_wanted && host_is_up "$host"; then
    host_exec "$host" journalctl --no-pager -n "$((2 * ${LAB_LOG_LINES:-30}))"
  fi
}
