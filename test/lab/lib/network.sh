# shellcheck shell=bash
# Two switches in a network namespace of their own, and a cable from each to every host:
#
#   br-eth0 (management, $LAB_NET.x) ── h1-eth0 ═ eth0 of h1
#   br-mig0 (migration, $LAB_MIGNET.x) ── h1-mig0 ═ mig0 of h1
#
# The machine's own network is never touched, so labs may even use the same addresses.

SWITCH=$LAB_DIR/switch # the namespace, mounted on this file

network_on_switch() { nsenter --net="$SWITCH" "$@"; }

network_prefix() { if [[ $1 == eth0 ]]; then echo "$LAB_NET"; else echo "$LAB_MIGNET"; fi; }

network_switch_exists() { grep -qF " $SWITCH nsfs " /proc/mounts; }

network_switch_up() {
  network_switch_exists && return
  touch "$SWITCH"
  unshare --net="$SWITCH" true || die "cannot make a network namespace for the switches"
  local device
  for device in eth0 mig0; do
    network_on_switch ip link add "br-$device" type bridge forward_delay 0 || die "cannot make the bridge br-$device"
    network_on_switch ip link set "br-$device" up
  done
}

network_switch_down() {
  if network_switch_exists; then umount "$SWITCH"; fi
  rm -f "$SWITCH"
}

network_wire() { # network_wire HOST PID: the cables of a host that has just got its network namespace
  local host=$1 pid=$2 device
  for device in eth0 mig0; do
    network_connect "$host" "$pid" "$device" || die "$host: cannot connect $device"
  done
  nsenter -t "$pid" -n ip link set lo up
}

network_connect() {
  local host=$1 pid=$2 device=$3 address
  address=$(network_prefix "$device").$(host_number "$host")/24
  network_on_switch ip link del "$host-$device" 2>/dev/null
  network_on_switch ip link add "$host-$device" type veth peer name "$device" netns "$pid" &&
    network_on_switch ip link set "$host-$device" master "br-$device" up &&
    nsenter -t "$pid" -n ip address add "$address" dev "$device" &&
    nsenter -t "$pid" -n ip link set "$device" up
}

network_hosts_file() {
  local index
  printf '127.0.0.1 localhost\n%s.10 ctl\n%s.10 ctl-mig\n' "$LAB_NET" "$LAB_MIGNET"
  for ((index = 1; index <= LAB_HOSTS_MAX; index++)); do
    printf '%s.%d h%d\n%s.%d h%d-mig\n' "$LAB_NET" $((10 + index)) $index "$LAB_MIGNET" $((10 + index)) $index
  done
}

# The devices a command is about: the one named, or both.
network_devices() {
  case ${1:-both} in
    both) echo eth0 mig0 ;;
    eth0 | mig0) echo "$1" ;;
    *) die "unknown device '$1': eth0 (management) or mig0 (migration)" ;;
  esac
}

network_link() {
  local host=$1 state=$2 device devices
  [[ $state == up || $state == down ]] || die "link: '$state' is neither up nor down"
  host_require_up "$host"
  devices=$(network_devices "${3:-}") || exit 1
  for device in $devices; do
    network_on_switch ip link set "$host-$device" "$state" || die "$host: cannot set $device $state"
  done
}

network_shape() { # limits both directions: what the host sends and what the switch sends to it
  local host=$1 rate=$2 device devices pid
  host_require_up "$host"
  devices=$(network_devices "${3:-}") || exit 1
  pid=$(host_pid "$host")
  for device in $devices; do
    network_limit "$rate" "$device" nsenter -t "$pid" -n tc || die "$host: tc refuses the rate '$rate' (such as 50mbit)"
    network_limit "$rate" "$host-$device" network_on_switch tc || die "$host: tc refuses the rate '$rate' (such as 50mbit)"
  done
}

network_limit() { # network_limit RATE|off DEVICE TC-COMMAND…
  local rate=$1 device=$2
  shift 2
  if [[ $rate == off ]]; then
    "$@" qdisc del dev "$device" root 2>/dev/null || true
  else
    "$@" qdisc replace dev "$device" root tbf rate "$rate" burst 128kb latency 200ms
  fi
}

network_counters() { # one line per device: DEVICE rx_bytes=N tx_bytes=N, as the host counts them
  local host=$1 device devices
  devices=$(network_devices "${2:-}") || exit 1
  for device in $devices; do
    # shellcheck disable=SC2016 # expanded in the host
    host_exec "$host" sh -c 'cd "/sys/class/net/$0/statistics" && read -r rx <rx_bytes && read -r tx <tx_bytes &&
      echo "$0 rx_bytes=$rx tx_bytes=$tx"' "$device" || die "$host: no counters for $device"
  done
}
