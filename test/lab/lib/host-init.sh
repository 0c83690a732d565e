#!/usr/bin/env bash
# Process 1 of a lab host, in fresh namespaces: makes them look like a machine of its own, starts libvirtd, then Ferry's
# daemon, then reaps until it is told to stop. Its death is the host's death.
#
#   host-init.sh boot HOST-DIR LAB-DIR kvm|qemu [DAEMON COMMAND…]      LAB_INIT=systemd: systemd runs the daemons
#   host-init.sh restart-libvirtd            (inside a running host)
#
# Inside, the host's own directory is /run/host; the lab's directory is covered, so that no host sees another's disks.
set -u

# Kept in the host's directory, and so there again after a power cut.
DURABLE=(etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt etc/ferry var/lib/ferry var/lib/ferry-controller
  var/log/ferry)
# Of /sys, what is this kernel's even when the rest is a captured machine's.
LIVE_SYS=(fs class/net devices/virtual module block class/block)
# Writable for the host alone, in memory, over the machine's own content.
PRIVATE=(etc var/lib var/log var/cache)

mount_runtime() {
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755,size=256m tmpfs /run
  mkdir -p /run/{lock,libvirt,host,shared,ferry,ferry-lab,private}
  mount --rbind "$host_dir" /run/host
  mount --bind "$lab_dir/shared" /run/shared
  if [[ $LAB_INIT == systemd ]]; then
    mount_installed "$lab_dir"
    mount_private_tmp
  fi
  mount -t tmpfs -o mode=755,size=1m,ro tmpfs "$lab_dir"
}

# Another host's disk must not live on in here when that host's power is cut. One whose lab is just being removed may be gone.
leave_other_disks() {
  local path
  while read -r path; do
    [[ $path == "$host_dir"/* ]] || umount -l "$path" || true
  done < <(awk -v labs="${lab_dir%/*}/" 'index($5, labs) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

mount_private() { # mount_private TREE [LOWER]: a tree of the machine, writable for this host alone
  local layer=/run/private/$1
  mkdir -p "$layer"/{upper,work}
  mount -t overlay overlay -o "lowerdir=${2:-/$1},upperdir=$layer/upper,workdir=$layer/work" "/$1"
}

# Where systemd makes a service's PrivateTmp; a power cut leaves it there.
mount_private_tmp() {
  mount_private tmp
  mount_private var/tmp
  chmod 1777 /tmp /var/tmp
}

mount_private_trees() {
  local tree
  for tree in "${PRIVATE[@]}"; do
    mount_private "$tree"
  done
  for tree in "${DURABLE[@]}"; do
    mkdir -p "/$tree" "/run/host/$tree"
    mount --bind "/run/host/$tree" "/$tree"
  done
  cp /run/host/etc/{machine-id,hostname,hosts} /etc/
  hostname "$(</run/host/etc/hostname)"
}

# /sys of this network namespace, and the control groups as seen from this cgroup namespace. Both are mounted aside
# first, because a control group hierarchy cannot be mounted over itself.
mount_sysfs() {
  local -a hierarchies
  mapfile -t hierarchies < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $3, $2 }' /proc/mounts)
  local root=/run/private/sys entry kind path
  mkdir -p $root
  mount -t sysfs sysfs $root
  [[ ${hierarchies[0]} == "cgroup2 /sys/fs/cgroup" ]] || mount -t tmpfs -o mode=755,size=1m tmpfs $root/fs/cgroup
  for entry in "${hierarchies[@]}"; do
    read -r kind path <<<"$entry"
    mkdir -p "$root/${path#/sys/}"
    mount_hierarchy "$kind" "$root/${path#/sys/}"
  done
  mount --rbind $root /sys
}

# Another machine's /sys in memory, with the live parts of this one bound into it, and its /proc files. Huge pages are the
# machine's own, as many as it has.
mount_captured() {
  local root=/run/private/captured part
  [[ -e /run/host/machine/captured.tar.gz ]] || return 0
  mkdir -p $root /run/hugepages
  mount -t tmpfs -o mode=755,size=64m tmpfs $root
  tar -xzf /run/host/machine/captured.tar.gz -C $root
  for part in "${LIVE_SYS[@]}"; do
    [[ -d /run/private/sys/$part ]] || continue
    mkdir -p "$root/sys/$part"
    mount --rbind "/run/private/sys/$part" "$root/sys/$part"
  done
  mount --rbind $root/sys /sys
  for part in cpuinfo meminfo; do
    mount --bind "$root/proc/$part" "/proc/$part"
  done
  mount -t hugetlbfs -o pagesize=2M hugetlbfs /run/hugepages
}

mount_hierarchy() { # mount_hierarchy cgroup|cgroup2 PATH; v1 names a hierarchy by its controllers
  case $1:${2##*/} in
    cgroup2:*)
      mount -t cgroup2 cgroup2 "$2"
      leave_v2_root "$2"
      ;;
    cgroup:systemd) mount -t cgroup -o none,name=systemd cgroup "$2" ;;
    cgroup:*) mount -t cgroup -o "${2##*/}" cgroup "$2" ;;
  esac
}

# v2 hands controllers to children only from a group without processes. A controller that cannot be had is done without,
# as libvirt does.
leave_v2_root() {
  local controller pid
  for pid in $(<"$1/cgroup.procs"); do
    echo "$pid" >"$1/init/cgroup.procs"
  done
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control" || true
  done
} 2>/dev/null

# libvirt believes in KVM if there is a /dev/kvm that it may open, and asks all emulators again and again if they then
# disagree. So a host without working KVM has a /dev of its own, without that device. The machine's is moved away, not
# covered: libvirt wants to move every mount below /dev that the mount table names.
hide_kvm() {
  local machine=/run/private/machine-dev name
  [[ -e /dev/kvm ]] || return 0
  mkdir -p $machine
  mount --move /dev $machine
  mount_private dev $machine
  for name in pts shm mqueue hugepages; do
    if mountpoint -q $machine/$name; then mount --bind $machine/$name /dev/$name; fi
  done
  rm /dev/kvm
}

wait_for() { # wait_for SECONDS COMMAND…
  local deadline=$((SECONDS + $1 + 1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# udev's library looks twice whether /sys is a sysfs.
captured_environment() {
  [[ -e /run/host/machine/fake-numa.so ]] || return 0
  echo LD_PRELOAD=/run/host/machine/fake-numa.so SYSTEMD_DEVICE_VERIFY_SYSFS=0
}

start_libvirtd() {
  # Debian's own qemu.conf lets virtlogd write the guests' output.
  grep -q '^stdio_handler *= *"file"' /etc/libvirt/qemu.conf || [[ -S /run/libvirt/virtlogd-sock ]] || virtlogd -d
  rm -f /run/libvirt/libvirt-sock
  # shellcheck disable=SC2046 # words of a command line
  env $(captured_environment) libvirtd -d --pid-file /run/libvirtd.pid &&
    wait_for 15 test -S /run/libvirt/libvirt-sock &&
    wait_for 15 virsh -q -c qemu:///system uri
}

libvirtd_gone() { ! kill -0 "$1"; }

restart_libvirtd() {
  local pid
  if [[ $LAB_INIT == systemd ]]; then
    systemctl restart libvirtd
    return
  fi
  if pid=$(cat /run/libvirtd.pid 2>/dev/null); then
    kill -TERM "$pid" 2>/dev/null
    wait_for 15 libvirtd_gone "$pid" || return 1
  fi
  start_libvirtd
}

# Switched off, not cut off: the daemons may finish. Guests are ended by the kernel, as by a machine's power switch.
shut_down() {
  local daemon=$1
  [[ -z $daemon ]] || "$here/supervise.sh" stop "$daemon"
  if [[ -e /run/libvirtd.pid ]]; then kill -TERM "$(</run/libvirtd.pid)"; fi
  exit 0
}

boot() { # boot HOST-DIR LAB-DIR kvm|qemu [DAEMON COMMAND…]
  host_dir=$1 lab_dir=$2
  local virt_type=$3 outer_pid
  shift 3
  # /proc is still the machine's: this is the process id by which the outside knows this process.
  read -r outer_pid _ </proc/self/stat
  echo "$outer_pid" >"$host_dir/pid"
  set -e
  mount --make-rprivate /
  leave_other_disks
  wait_for 10 test -e "$host_dir/wired"
  mount_runtime
  mount_sysfs
  mount_captured
  mount_private_trees
  [[ $virt_type == kvm ]] || hide_kvm
  set +e
  [[ $LAB_INIT != systemd ]] || systemd_become_init "$here/host-init.sh boot $host_dir " "$1"
  [[ $(</etc/hostname) == ctl ]] || start_libvirtd || exit 1
  (($# == 0)) || "$here/supervise.sh" start "$@"
  touch /run/host/ready
  # shellcheck disable=SC2064 # the name as it is now
  trap "shut_down '${1:-}'" TERM
  while :; do
    sleep infinity &
    wait $!
  done
}

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=SCRIPTDIR/systemd-init.sh
source "$here/systemd-init.sh"
case ${1:-} in
  boot) boot "${@:2}" ;;
  restart-libvirtd) restart_libvirtd ;;
  *) exit 64 ;;
esac
