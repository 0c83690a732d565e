# shellcheck shell=bash
# What this machine must offer before a lab can be made. Each refusal says what is missing and what to do about it.

# command:package, for what a plain minimal system lacks.
LAB_COMMANDS=(
  libvirtd:libvirt-daemon-system virsh:libvirt-clients qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils
  ip:iproute2 tc:iproute2 unshare:util-linux nsenter:util-linux flock:util-linux
)

preconditions_check() {
  ((EUID == 0)) || die "needs root, because it makes network namespaces and mounts: run it as root or with sudo"
  local pair missing=()
  for pair in "${LAB_COMMANDS[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  ((${#missing[@]} == 0)) || die "missing packages: run 'bash test/setup.sh' or 'apt-get install ${missing[*]}'"
  unshare -m -u -i -n -p -C --fork true 2>/dev/null ||
    die "cannot make namespaces here: in a container, start it privileged (docker run --privileged)"
  grep -qw overlay /proc/filesystems || modprobe -q overlay || die "the kernel lacks overlayfs (CONFIG_OVERLAY_FS)"
  [[ -n $(cgroup_mounts) ]] || die "no cgroup file system is mounted: mount -t cgroup2 none /sys/fs/cgroup"
}
