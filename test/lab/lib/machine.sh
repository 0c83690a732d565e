# shellcheck shell=bash
# A captured machine under a host: its CPUs, NUMA cells, huge pages and PCI devices are those of test/fixtures/hosts/NAME, for
# libvirtd and for the agent. Guests run on the real CPUs: pinning to ones that exist in the capture only is recorded in
# /run/fake-numa.log instead of done (fake-numa.c).
#
#   LAB_MACHINES="h1=numa2-hugepages,h2=pci-sriov-numa2"

# Remembered by `up`, as all settings are.
LAB_DEFAULTS[LAB_MACHINES]=

machine_of() { # machine_of HOST: the name of its capture, or nothing
  local entry
  for entry in ${LAB_MACHINES//,/ }; do
    if [[ ${entry%%=*} == "$1" ]]; then echo "${entry#*=}"; fi
  done
}

# What its agent gives to guests: every CPU alone, and the virtual functions of its NVMe disks.
machine_toml() {
  [[ -n $(machine_of "$1") ]] || return 0
  echo 'cpu_dedicated_set = "0-63"'
  echo 'pci_alias = [{ name = "nvme", vendor_id = "1b36", product_id = "0010", device_type = "type-VF" }]'
}

machine_archive() { echo "$FERRY_ROOT/test/fixtures/hosts/$1.tar.gz"; }

# Once for all hosts, before the first one starts.
machine_build_shim() {
  [[ -n $LAB_MACHINES ]] || return 0
  gcc -O2 -shared -fPIC -o "$LAB_CACHE/fake-numa.so.$$" "$LAB_HOME/fake-numa.c" &&
    mv "$LAB_CACHE/fake-numa.so.$$" "$LAB_CACHE/fake-numa.so" || die "cannot compile fake-numa.c"
}

machine_prepare() { # machine_prepare HOST: what host-init.sh lays under it
  local host=$1 name dir=$LAB_DIR/$1
  name=$(machine_of "$host")
  rm -rf "$dir/machine"
  [[ -n $name ]] || return 0
  [[ -e $(machine_archive "$name") ]] || die "LAB_MACHINES: there is no capture $name"
  mkdir -p "$dir/machine"
  cp "$(machine_archive "$name")" "$dir/machine/captured.tar.gz"
  cp "$LAB_CACHE/fake-numa.so" "$dir/machine/"
  grep -q '^hugetlbfs_mount' "$dir/etc/libvirt/qemu.conf" && return
  # A cpuset of the kernel's knows real CPUs only.
  cat >>"$dir/etc/libvirt/qemu.conf" <<'CONF'
cgroup_controllers = [ "cpu", "cpuacct", "devices", "memory", "blkio" ]
hugetlbfs_mount = "/run/hugepages"
CONF
}
