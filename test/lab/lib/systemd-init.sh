# shellcheck shell=bash
# The rest of a host's boot under LAB_INIT=systemd, sourced by host-init.sh: users and directories as at a package's
# installation, then process 1 becomes systemd with the units named here and none of the machine's own.

SYSTEMD_TARGETS=(sysinit basic sockets timers paths slices local-fs local-fs-pre remote-fs swap network network-pre
  network-online multi-user shutdown umount final poweroff)
SYSTEMD_COMMON=(systemd-journald.service systemd-journald.socket systemd-poweroff.service)
SYSTEMD_LIBVIRT=(libvirtd.{service,socket} libvirtd-{ro,admin}.socket virtlogd.{service,socket} virtlogd-admin.socket
  virtlockd.{service,socket} virtlockd-admin.socket)
# What an operator adds goes to /etc/systemd/system, as everywhere.
SYSTEMD_UNITS=/run/ferry-lab/units

# The staged installation over the machine's /usr. Before the lab's directory is covered.
mount_installed() { mount -t overlay overlay -o "ro,lowerdir=$1/installed/usr:/usr" /usr; }

# The controller runs as a user of its own, to whom its key belongs.
systemd_give_key() {
  local key=/etc/ferry/pki/controller.key
  if [[ -e $key ]]; then chown ferry "$key"; fi
}

systemd_select_units() { # systemd_select_units DAEMON: only these are known to this host's systemd
  local unit packaged=/usr/lib/systemd/system
  local -a units=("${SYSTEMD_TARGETS[@]/%/.target}" "${SYSTEMD_COMMON[@]}" "ferry-$1.service")
  [[ $1 != agent ]] || units+=("${SYSTEMD_LIBVIRT[@]}" libvirtd.service.d)
  mkdir -p $SYSTEMD_UNITS
  for unit in "${units[@]}"; do
    cp -R "$packaged/$unit" $SYSTEMD_UNITS/
  done
  rm -rf /etc/systemd/system /etc/systemd/*.conf.d
  mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
  printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n' >/etc/systemd/journald.conf.d/lab.conf
}

# The host is ready when its daemon has said so, or has given up.
systemd_boot_target() { # systemd_boot_target DAEMON
  local -a wants=(systemd-journald.service "ferry-$1.service" ferry-lab-ready.service)
  [[ $1 != agent ]] || wants+=(libvirtd.service)
  printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=%s\n' "${wants[*]}" >$SYSTEMD_UNITS/ferry-lab.target
  printf '[Unit]\nAfter=ferry-%s.service\n[Service]\nType=oneshot\nExecStart=/bin/touch /run/host/ready\n' "$1" \
    >$SYSTEMD_UNITS/ferry-lab-ready.service
}

# Its name stays that of host-init.sh, by which the lab knows a host's process 1.
systemd_become_init() { # systemd_become_init NAME DAEMON
  systemd-sysusers
  systemd-tmpfiles --create ferry-"$2".conf
  systemd_give_key
  systemd_select_units "$2"
  systemd_boot_target "$2"
  export container=ferry-lab SYSTEMD_UNIT_PATH=/etc/systemd/system:$SYSTEMD_UNITS
  exec -a "$1" /lib/systemd/systemd --system --unit=ferry-lab.target --log-target=journal-or-kmsg
}
