# shellcheck shell=bash
# A host's libvirt: its configuration, its directories, and restarting its daemon. The daemon itself is started by
# host-init.sh.

# The parts of /etc/libvirt that are the package's, not the machine's own networks, pools, domains and secrets.
LIBVIRT_PACKAGE_FILES=(libvirt.conf qemu.conf nwfilter)

# The capabilities that libvirt found by starting every emulator once (0.8 s); the same on each host of this machine.
LIBVIRT_CAPABILITIES=var/cache/libvirt/qemu/capabilities

libvirtd_prepare() { # keeps what is there: a host that was switched off finds its own files again
  local host=$1 dir=$LAB_DIR/$1 name
  libvirtd_directories "$dir"
  if [[ ! -e $dir/etc/libvirt/libvirtd.conf ]]; then
    for name in "${LIBVIRT_PACKAGE_FILES[@]}"; do
      if [[ -e /etc/libvirt/$name ]]; then cp -a "/etc/libvirt/$name" "$dir/etc/libvirt/"; fi
    done
    if [[ $LAB_QEMU == root ]]; then libvirtd_qemu_conf >"$dir/etc/libvirt/qemu.conf"; fi
    libvirtd_conf "$host" >"$dir/etc/libvirt/libvirtd.conf"
  fi
  if [[ -d $LAB_CACHE/capabilities && ! -d $dir/$LIBVIRT_CAPABILITIES ]]; then
    cp -a "$LAB_CACHE/capabilities" "$dir/$LIBVIRT_CAPABILITIES"
  fi
}

libvirtd_directories() { # the package's directories, empty, with the package's owners and modes
  local dir=$1 path
  for path in etc/libvirt etc/libvirt/hooks var/lib/libvirt var/lib/libvirt/{boot,images,qemu} var/log/libvirt \
    var/log/libvirt/qemu var/cache/libvirt var/cache/libvirt/qemu; do
    mkdir -p "$dir/$path"
    chown --reference="/$path" "$dir/$path" 2>/dev/null
    chmod --reference="/$path" "$dir/$path" 2>/dev/null
  done
  mkdir -p "$dir/etc/libvirt/hooks/qemu.d"
}

libvirtd_qemu_conf() { # guests run as root: any file of the host can be a disk, and nothing changes owners behind a test's back
  cat <<'CONF'
user = "root"
group = "root"
security_driver = "none"
namespaces = []
stdio_handler = "file"
dynamic_ownership = 1
remember_owner = 0
CONF
}

libvirtd_conf() {
  cat <<CONF
host_uuid = "$(host_uuid "$1")"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0777"
log_filters = "3:remote 3:util 3:rpc 4:udevGetDMIData"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
CONF
}

# A first host that has asked its emulators saves every later one from doing so.
libvirtd_learn_capabilities() { # libvirtd_learn_capabilities HOST
  [[ -d $LAB_CACHE/capabilities ]] && return
  host_exec "$1" virsh -q capabilities >/dev/null || return
  mkdir -p "$LAB_CACHE"
  cp -a "$LAB_DIR/$1/$LIBVIRT_CAPABILITIES" "$LAB_CACHE/capabilities.new-$$"
  # Another lab may have been first.
  mv -T "$LAB_CACHE/capabilities.new-$$" "$LAB_CACHE/capabilities" 2>/dev/null || rm -rf "$LAB_CACHE/capabilities.new-$$"
}

libvirtd_restart() { # guests keep running
  [[ $1 != ctl ]] || die "ctl has no libvirtd"
  host_require_up "$1"
  host_exec "$1" "$LAB_HOME/lib/host-init.sh" restart-libvirtd || die "$1: libvirtd did not come back: npm run lab -- logs $1"
}
