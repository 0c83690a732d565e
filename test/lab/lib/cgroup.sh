# shellcheck shell=bash
# A host's own control groups, for cgroup v1, v2 and both at once (hybrid). The host's cgroup namespace is rooted in
# them, so that inside it libvirt finds an empty hierarchy and two hosts cannot meet in /machine/qemu-1-vm.
#
# v2 allows processes only in leaves, so there the host's own processes live in a leaf of their own, `init`.

cgroup_mounts() {
  local device mount type rest
  while read -r device mount type rest; do
    if [[ $type == cgroup || $type == cgroup2 ]]; then echo "$mount"; fi
  done </proc/mounts
}

# A directory of v2 has cgroup.controllers, one of v1 has not.
cgroup_is_v2() { [[ -e $1/cgroup.controllers ]]; }

cgroup_name() { printf 'ferry-lab-%s-%s' "$LAB_ID" "$1"; }

cgroup_delegate() { # lets the children of a v2 directory have every controller that can be had
  local controller
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control"
  done 2>/dev/null
}

cgroup_create() { # afresh: what a host left behind when its power was cut has v2 controllers handed out already
  local mount group
  cgroup_remove "$1"
  for mount in $(cgroup_mounts); do
    group=$mount/$(cgroup_name "$1")
    cgroup_is_v2 "$mount" && cgroup_delegate "$mount"
    mkdir -p "$group" || die "$1: cannot make the control group $group"
    if cgroup_is_v2 "$mount"; then mkdir -p "$group/init"; fi
    cgroup_inherit "$mount" "$group"
  done
}

cgroup_inherit() { # v1 only: a new cpuset is empty and a new memory group counts only itself
  local file
  for file in cpuset.cpus cpuset.mems; do
    if [[ -e $1/$file ]] && ! cgroup_is_v2 "$1"; then cat "$1/$file" >"$2/$file"; fi
  done
  if [[ -e $2/memory.use_hierarchy ]]; then echo 1 >"$2/memory.use_hierarchy"; fi 2>/dev/null
}

# cgroup_join HOST PID [LEAF]: LEAF is `init` once the host is up and v2 forbids processes above it.
cgroup_join() {
  local mount group
  for mount in $(cgroup_mounts); do
    group=$mount/$(cgroup_name "$1")
    if cgroup_is_v2 "$mount"; then group+=/${3:-}; fi
    echo "$2" >"$group/cgroup.procs" || die "$1: cannot enter the control group $group"
  done
}

cgroup_remove() { # a group is busy for a moment after its last process
  wait_until 2 cgroup_is_removed "$1" || say "$1: a control group is still in use"
}

cgroup_is_removed() {
  local mount group
  for mount in $(cgroup_mounts); do
    group=$mount/$(cgroup_name "$1")
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [[ ! -d $group ]] || return 1
  done
}
