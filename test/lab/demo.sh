#!/usr/bin/env bash
# `npm run demo`: a running virtual machine moves between two hosts and keeps its data, is resized and taken back, from a fresh
# clone, in one command.
#
# It sets up what is missing, makes two hosts out of namespaces (see lab.sh), and then is an operator: every line that begins
# with `$ ferry` is that command, run on the lab's controller. The proof comes from the guest, which wrote random data and
# its checksum on its first boot and verifies them on every later one. The last line begins with `demo: ok`, or the exit
# status is 1 and the logs are kept. In any case hosts, guests and networks are gone afterwards.
set -Eeuo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec </dev/null

export LAB_ID=demo-$$
LAB_DIR=${XDG_STATE_HOME:-/var/tmp}/ferry-lab/$LAB_ID
IMAGES=/var/lib/libvirt/images
SERVER=web-1
BLOB_MIB=24
LINK_RATE=100mbit
BOOT_TIMEOUT_S=90
LOG_FILE=/var/tmp/ferry-demo-$$.log

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
tell() { printf '   %s\n' "$@"; }

fail() {
  printf '\ndemo: failed: %s\n' "$*" >&2
  exit 1
}

lab() { bash test/lab/lab.sh "$@"; }
ask() { lab exec ctl ferry "$@"; }

ferry() { # as an operator would type it
  printf '%s$ ferry %s%s\n' "$bold" "$*" "$plain"
  ask "$@" || fail "ferry $1 $2: see its message above"
}

clean_up() {
  local status=$?
  trap - EXIT ERR
  if ((status > 0 && status < 128)) && [[ -d $LAB_DIR ]]; then
    for host in ctl h1 h2; do LAB_LOG_LINES=200 lab logs "$host"; done >"$LOG_FILE" 2>&1
    printf 'demo: the logs of controller, agents, libvirt and guest are in %s\n' "$LOG_FILE" >&2
  fi
  lab down
  exit $((status == 0 ? 0 : status > 128 ? status : 1))
}

console_of() { echo "$LAB_DIR/$1$IMAGES/$SERVER/console.log"; }

boots_on() { grep -c ' READY' "$(console_of "$1")" 2>/dev/null || true; }

# prove HOST BOOTS-SEEN-THERE BOOT VERDICT: waits for the guest's next READY there, shows what it says, and holds it to it.
prove() {
  local host=$1 before=$2 boot=$3 verdict=$4 deadline=$((SECONDS + BOOT_TIMEOUT_S)) said
  until (($(boots_on "$host") > before)); do
    ((SECONDS < deadline)) || fail "the guest on $host is not ready after $BOOT_TIMEOUT_S s; its console is in the logs"
    sleep 0.05
  done
  said=$(tac "$(console_of "$host")" | sed '/ UP kernel/q' | tac | tr -d '\r')
  grep -E 'UP kernel|DISK vda|CONFIG-DRIVE|MARKER|EPH|SWAP|READY' <<<"$said" | sed "s/^/   console on $host: /"
  for disk in MARKER EPH; do
    grep -q "$disk-$verdict .* boots=$boot " <<<"$said" || fail "the guest on $host does not say $disk-$verdict boots=$boot"
  done
}

latest_migration() { # its record, as JSON
  local id
  id=$(ask migration list -o json | sed -n '0,/"id"/s/.*"id": "\([^"]*\)".*/\1/p')
  ask migration show "$id" -o json
}

trap clean_up EXIT
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP

((EUID == 0)) || fail "needs root, because it makes network namespaces and mounts: run it as root or with sudo"

heading "Set-up"
tell "Installs only what is missing: Debian packages (libvirt, QEMU, compilers …), npm packages, Ferry's own build."
bash test/setup.sh || fail "set-up: see its message above"

heading "Two hosts"
tell "h1 and h2 are namespaces with their own libvirtd, ferry-agent, disks and network addresses. ctl runs the controller."
lab up 2 >/dev/null
guest=$(lab guest)
lab exec h1 cp "$guest/base.qcow2" "$IMAGES/demo.qcow2"
echo "lab.blobmb=$BLOB_MIB" >"$LAB_DIR/shared/ferry-lab.conf"
ferry host list

heading "A virtual machine on h1"
tell "Root disk: qcow2 on the image as its backing file. Ephemeral disk, swap disk, config drive. The guest is a small Linux."
ferry flavor create m1.demo --vcpus 1 --ram 192 --disk 1 --ephemeral 1 --swap 64 >/dev/null
ferry flavor create m1.large --vcpus 2 --ram 256 --disk 2 --ephemeral 1 --swap 128 >/dev/null
ferry server create $SERVER --flavor m1.demo --image $IMAGES/demo.qcow2 --image-format qcow2 --host h1 \
  --config-drive ferry-lab.conf=/run/shared/ferry-lab.conf
prove h1 0 1 NEW
tell "First boot: $BLOB_MIB MiB of random data and its SHA-256 went to the root disk (MARKER), 1 MiB to the ephemeral one (EPH)."

heading "It moves to h2"
tell "The migration network is limited to $LINK_RATE here, so that there is something to watch."
lab shape h1 $LINK_RATE mig0
ferry server migrate $SERVER --host h2 --watch
prove h2 0 2 OK
tell "Second boot, on h2: the guest has verified what it wrote on h1. h1 still keeps its disks, and libvirt there refuses" \
  "to start them. Confirming ends that."
ferry server confirm $SERVER --wait
first=$(latest_migration)

heading "It becomes larger, and goes back"
tell "Two vCPUs, 256 MiB, a root disk of 2 GiB and more swap, on h1, which has the image already; without the limit now."
lab shape h1 off mig0
ready_on_h2=$(boots_on h2)
ferry server resize $SERVER --flavor m1.large --watch
prove h1 0 3 OK
tell "Third boot, on h1: larger, with all that it held. Reverting takes it back to h2, as it was there; what the third boot" \
  "wrote is given up."
ferry server revert $SERVER --yes --watch
prove h2 "$ready_on_h2" 3 OK
tell "On h2 this is the third boot again: its size is the old one, and its disks are those that it left there."
second=$(latest_migration)
ferry server list

heading "Summary"
printf '[%s,%s]' "$first" "$second" >"$LAB_DIR/migrations.json"
node_modules/.bin/node test/lab/support/demo-summary.ts "$LAB_DIR/migrations.json" || fail "the migrations' records: see above"
