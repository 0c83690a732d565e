# shellcheck shell=bash
# Ferry in the lab: certificates and configuration written at `up`, the libvirt hook installed before libvirtd starts, and
# the daemons' start, stop and kill. The daemons are run by host-init.sh under supervise.sh, which brings them back when
# they die. Everything here is left out while Ferry is not built, or with LAB_BARE=1.

FERRY_NODE=$FERRY_ROOT/node_modules/.bin/node
FERRY_DIST=$FERRY_ROOT/dist
FERRY_HOOK=$FERRY_ROOT/agent/fence/50-ferry

ferry_wanted() { [[ $LAB_BARE != 1 && -e $FERRY_DIST/cli/main.js ]]; }

# The daemon that belongs on a host.
ferry_daemon_of() { if [[ $1 == ctl ]]; then echo controller; else echo agent; fi; }

ferry_runs_on() { ferry_wanted && [[ -e $FERRY_DIST/$(ferry_daemon_of "$1")/main.js ]]; }

ferry_cli() { "$FERRY_NODE" "$FERRY_DIST/cli/main.js" "$@"; }

# The certificate authority lives on ctl, as /etc/ferry/ca, so that a user can issue more from there.
ferry_prepare_authority() {
  local ca=$LAB_DIR/ctl/etc/ferry/ca
  ferry_wanted && [[ ! -e $ca/ca.crt ]] || return 0
  mkdir -p "$ca"
  ferry_cli pki init --dir "$ca" >"$LAB_DIR/pki.log" 2>&1 || die "ferry pki init failed: $(tail -n 3 "$LAB_DIR/pki.log")"
}

# Before libvirtd starts: a hook that is dropped in beside a running libvirtd is not called.
ferry_install_hook() {
  if [[ $LAB_BARE != 1 && -e $FERRY_HOOK ]]; then
    install -D -m 0755 "$FERRY_HOOK" "$LAB_DIR/$1/etc/libvirt/hooks/qemu.d/50-ferry"
  fi
}

ferry_prepare() { # keeps certificates and configuration that are there
  local host=$1 dir=$LAB_DIR/$1
  mkdir -p "$dir"/{etc,var/lib,var/log}/ferry "$dir/bin"
  ferry_command >"$dir/bin/ferry"
  chmod 755 "$dir/bin/ferry"
  ferry_wanted || return 0
  if [[ $host == ctl ]]; then ferry_prepare_ctl "$dir/etc/ferry"; else ferry_prepare_agent "$host" "$dir/etc/ferry"; fi
}

ferry_prepare_ctl() {
  local etc=$1
  [[ -e $etc/controller.toml ]] && return
  ferry_issue ctl controller ctl --address "$LAB_NET.10" --address ctl --address 127.0.0.1 --address localhost
  ferry_issue ctl user admin --role admin
  ferry_client_toml >"$etc/client.toml"
  ferry_controller_toml >"$etc/controller.toml"
  ferry_prepare_rest "$etc"
}

# The REST API: two users with the password `lab`, and the OpenStack clients, if they are installed, set up for both.
ferry_prepare_rest() {
  local etc=$1 user
  for user in admin demo; do
    ferry_cli credential $user --role "$(ferry_role_of $user)" --project lab --password-file <(echo lab)
    ferry_openrc $user >"$etc/openrc-$user"
  done >"$etc/credentials.toml"
  ln -s openrc-admin "$etc/openrc"
  for client in openstack nova; do
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\n. "${OPENRC:-/etc/ferry/openrc}"\nexec /usr/bin/python3 /usr/bin/%s "$@"\n' $client >"$LAB_DIR/ctl/bin/$client"
    chmod 755 "$LAB_DIR/ctl/bin/$client"
  done
}

ferry_role_of() { if [[ $1 == admin ]]; then echo admin; else echo member; fi; }

ferry_openrc() { # ferry_openrc USER: what a user exports; the client asks for 2.1 by itself, which knows no --host
  cat <<RC
export OS_AUTH_URL=https://ctl:8774/v3
export OS_CACERT=/etc/ferry/pki/ca.crt
export OS_USERNAME=$1
export OS_PASSWORD=lab
export OS_PROJECT_NAME=lab
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default
export OS_COMPUTE_API_VERSION=2.90
RC
}

ferry_prepare_agent() {
  local host=$1 etc=$2 number
  [[ -e $etc/agent.toml ]] && return
  number=$(host_number "$host")
  ferry_issue "$host" agent "$host" --address "$LAB_NET.$number" --address "$LAB_MIGNET.$number" --address "$host"
  ferry_agent_toml "$host" "$number" >"$etc/agent.toml"
}

ferry_issue() { # ferry_issue HOST KIND NAME OPTIONS…: into that host's /etc/ferry/pki
  local host=$1 out=$LAB_DIR/$1/etc/ferry/pki
  shift
  mkdir -p "$out"
  ferry_cli pki issue "$@" --dir "$LAB_DIR/ctl/etc/ferry/ca" --out "$out" >>"$LAB_DIR/$host/pki.log" 2>&1 ||
    die "ferry pki issue $1 $2 failed: $(tail -n 3 "$LAB_DIR/$host/pki.log")"
}

ferry_command() { # the `ferry` on a host's PATH
  printf '#!/bin/sh\nexec %q %q "$@"\n' "$FERRY_NODE" "$FERRY_DIST/cli/main.js"
}

ferry_tls_toml() {
  printf '\n[tls]\nca = "/etc/ferry/pki/ca.crt"\ncert = "/etc/ferry/pki/%s.crt"\nkey = "/etc/ferry/pki/%s.key"\n' "$1" "$1"
}

ferry_client_toml() {
  echo 'controller = "ctl:7400"'
  ferry_tls_toml user
}

ferry_controller_toml() {
  cat <<TOML
name = "ctl"
listen = "$LAB_NET.10:7400"
metrics_listen = "$LAB_NET.10:7404"
resize_confirm_window = 0

[rest]
listen = "0.0.0.0:8774"
credentials = "/etc/ferry/credentials.toml"
images = [{ id = "2c1b7a52-4d0e-4c3f-9d0b-3f6f0c1e5a11", name = "lab", path = "/var/lib/libvirt/images/base.qcow2", format = "qcow2" }]
TOML
  ferry_tls_toml controller
}

ferry_agent_toml() { # ferry_agent_toml HOST NUMBER
  cat <<TOML
host = "$1"
controller = "ctl:7400"
listen = "$LAB_NET.$2:7401"
migration_address = "$LAB_MIGNET.$2"
data_port = 7402
state_dir = "/var/lib/ferry"
image_dirs = ["/var/lib/libvirt/images", "/run/shared"]
block_devices = ["/dev/loop*"]
metrics_listen = "$LAB_NET.$2:7403"
libvirt_uri = "qemu:///system"
virt_type = "$(kvm_verdict)"
$(machine_toml "$1")
TOML
  ferry_tls_toml agent
}

# LAB_STOPS=1: the library with which a test stops a daemon at a line of its log (see stop-at.c).
ferry_preload() {
  local library=$LAB_CACHE/stop-at.so source=$LAB_HOME/lib/stop-at.c
  [[ $LAB_STOPS == 1 ]] || return 0
  mkdir -p "$LAB_CACHE"
  if [[ ! $library -nt $source ]]; then
    gcc -O2 -Wall -shared -fPIC -o "$library.$BASHPID" "$source" -ldl && mv "$library.$BASHPID" "$library" ||
      die "stop-at.c cannot be compiled"
  fi
  echo "$library"
}

# Arguments with which host-init.sh runs the daemon; none if it is not to run.
ferry_daemon_command() {
  local daemon
  ferry_runs_on "$1" || return 0
  daemon=$(ferry_daemon_of "$1")
  echo "$daemon" "$FERRY_NODE" "$FERRY_DIST/$daemon/main.js" --config "/etc/ferry/$daemon.toml"
}

ferry_daemon() { # ferry_daemon HOST DAEMON start|stop|kill
  local host=$1 daemon=$2 action=$3
  [[ $(ferry_daemon_of "$host") == "$daemon" ]] || die "$host has no $daemon"
  [[ $action =~ ^(start|stop|kill)$ ]] || die "$daemon: '$action' is none of start, stop, kill"
  host_require_up "$host"
  [[ $action != start ]] || ferry_runs_on "$host" || die "there is no $daemon to start: run 'npm run build' first"
  ferry_daemon_do "$host" "$daemon" "$action" || die "$host: cannot $action the $daemon: npm run lab -- logs $host"
  if [[ $action == start ]]; then ferry_wait_listening "$host"; fi
}

ferry_daemon_do() { # ferry_daemon_do HOST DAEMON start|stop|kill
  local host=$1 action=$3
  if systemd_wanted; then
    systemd_daemon "$@"
    return
  fi
  # shellcheck disable=SC2046 # words of a command line
  host_exec "$host" "$LAB_HOME/lib/supervise.sh" "$action" $(ferry_daemon_command "$host")
}

ferry_daemon_state() { # ferry_daemon_state HOST DAEMON
  if systemd_wanted; then systemd_daemon_state "$@"; else host_exec "$1" "$LAB_HOME/lib/supervise.sh" state "$2"; fi
}

ferry_wait_known() { # the controller has heard every agent: until then it knows no host
  local host
  for host in $(host_names); do
    [[ $host != ctl ]] && ferry_runs_on "$host" && ferry_runs_on ctl || continue
    wait_until 90 ferry_is_known "$host" || die "$host: its agent does not reach the controller: npm run lab -- logs $host"
  done
}

ferry_is_known() {
  local sentence="the controller knows this host"
  if systemd_wanted; then
    [[ -n $(host_exec "$1" journalctl --quiet --unit ferry-agent --grep "$sentence" --lines 1) ]]
  else
    grep -qs "$sentence" "$LAB_DIR/$1/var/log/ferry/agent.log"
  fi
}

ferry_wait_listening() {
  local host=$1 daemon port=7401
  ferry_runs_on "$host" || return 0
  daemon=$(ferry_daemon_of "$host")
  [[ $host == ctl ]] && port=7400
  # shellcheck disable=SC2016 # expanded in the host
  host_exec "$host" timeout 20 bash -c 'until (exec 3<>"/dev/tcp/$0/$1") 2>/dev/null; do sleep 0.05; done' \
    "$LAB_NET.$(host_number "$host")" "$port" && return
  say "$host: ferry-$daemon does not listen on port $port; its log ends with:"
  tail -n 15 "$LAB_DIR/$host/var/log/ferry/$daemon.log" >&2
  return 1
}
