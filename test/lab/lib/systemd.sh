# shellcheck shell=bash
# Hosts whose process 1 is systemd (LAB_INIT=systemd): Ferry is installed on them by systemd/install.sh, and libvirtd and
# Ferry's daemon run as their packaged units say, sandbox and watchdog included. What happens inside is systemd-init.sh.

SYSTEMD_STAGED=$LAB_DIR/installed

systemd_wanted() { [[ $LAB_INIT == systemd ]]; }

# Installed once, as if to build a package; every host of the lab has it over its own /usr.
systemd_stage() {
  local daemon
  systemd_wanted && [[ ! -d $SYSTEMD_STAGED ]] || return 0
  ferry_wanted || die "LAB_INIT=systemd needs a built Ferry, without LAB_BARE: run 'npm run build' first"
  [[ -x /lib/systemd/systemd ]] || die "LAB_INIT=systemd needs systemd: apt-get install systemd"
  for daemon in agent controller; do
    "$FERRY_ROOT/systemd/install.sh" "$daemon" --root "$SYSTEMD_STAGED" >>"$LAB_DIR/install.log" 2>&1 ||
      die "systemd/install.sh $daemon failed: $(tail -n 3 "$LAB_DIR/install.log")"
  done
}

systemd_daemon() { # systemd_daemon HOST DAEMON start|stop|kill
  local action=$3
  if [[ $action == kill ]]; then
    host_exec "$1" systemctl kill --kill-whom=main --signal=KILL "ferry-$2"
  else
    host_exec "$1" systemctl "$action" "ferry-$2"
  fi
}

systemd_daemon_state() { # systemd_daemon_state HOST DAEMON: active, activating, inactive, failed
  host_exec "$1" systemctl is-active "ferry-$2"
}
