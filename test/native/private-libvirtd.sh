#!/bin/bash
# A libvirtd of its own: mount, network and pid namespaces, its own /run, /etc/libvirt and /var/lib/libvirt, restarted
# whenever it dies. Its socket lies in DIRECTORY, reachable from outside. All of it ends with this process.
#   unshare -m -n -p --fork --kill-child private-libvirtd.sh DIRECTORY
set -eu
directory=$1

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p "$directory"/{etc/hooks,lib/qemu,log/qemu,cache,socket} /run/libvirt /run/lock
cat >"$directory/etc/libvirtd.conf" <<CONF
unix_sock_dir = "$directory/socket"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:file:$directory/log/libvirtd.log"
CONF
cat >"$directory/etc/qemu.conf" <<'CONF'
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
CONF
# The name of a domain decides, so that a test can be refused.
cat >"$directory/etc/hooks/qemu" <<'HOOK'
#!/bin/sh
if [ "$1" = refused ] && [ "$2" = prepare ]; then
  echo "not here" >&2
  exit 1
fi
exit 0
HOOK
chmod 755 "$directory/etc/hooks/qemu"
for name in etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
  mkdir -p "${name#*:}"
  mount --bind "$directory/${name%%:*}" "${name#*:}"
done
ip link set lo up

while :; do
  libvirtd --pid-file /run/libvirtd.pid || true
done
