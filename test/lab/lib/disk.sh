# shellcheck shell=bash
# LAB_DISK=volatile: a host's own disk, which forgets in a power cut what was not flushed to it. Without it hosts keep their
# files on this machine's file system, whose page cache survives the death of a namespace.
#
#   ext4 on a loop device ── FUSE file of a qemu-storage-daemon ── log of all writes, with the flushes
#
# Everything of the host that lasts ($LAB_DIR/HOST/var) lies there. When its power is cut the daemon is killed first, so that
# nothing can be flushed any more; then the disk is made again from its last orderly state and the log up to the last flush
# (disk-replay.py). What the kernel or the "drive" had not been told to keep is gone.

DISK_SIZE=6G

disk_wanted() { [[ $LAB_DISK == volatile && $1 != ctl ]]; }

disk_attach() { # makes it at the first time
  local host=$1 dir=$LAB_DIR/$1/disk var=$LAB_DIR/$1/var loop
  disk_wanted "$host" || return 0
  mountpoint -q "$var" && return
  mkdir -p "$dir" "$var"
  if [[ ! -e $dir/base.img ]]; then
    truncate -s $DISK_SIZE "$dir/base.img"
    mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 "$dir/base.img" || die "$host: mkfs.ext4 failed"
  fi
  disk_serve "$dir" || die "$host: its disk does not come up: $(tail -n 3 "$dir/daemon.log")"
  loop=$(losetup -f --show "$dir/device") && echo "$loop" >"$dir/loop" && mount "$loop" "$var" ||
    die "$host: its disk cannot be mounted"
}

disk_serve() { # a fresh overlay and a fresh log
  local dir=$1
  rm -f "$dir"/{live.qcow2,writes.log,pid}
  qemu-img create -q -f qcow2 -b "$dir/base.img" -F raw "$dir/live.qcow2"
  : >"$dir/writes.log"
  : >"$dir/device"
  qemu-storage-daemon --daemonize --pidfile "$dir/pid" \
    --blockdev "driver=file,node-name=live-file,filename=$dir/live.qcow2" \
    --blockdev driver=qcow2,node-name=live,file=live-file,discard=unmap \
    --blockdev "driver=file,node-name=log,filename=$dir/writes.log" \
    --blockdev driver=blklogwrites,node-name=disk,file=live,log=log,log-sector-size=512 \
    --export "type=fuse,id=export,node-name=disk,mountpoint=$dir/device,writable=on" \
    >"$dir/daemon.log" 2>&1 9>&-
}

# Before the host is killed: from now on nothing reaches the disk.
disk_freeze() {
  local pid=$LAB_DIR/$1/disk/pid
  if disk_wanted "$1" && [[ -s $pid ]]; then kill -KILL "$(<"$pid")" 2>/dev/null; fi
  return 0
}

# After the host has ended: `cut` keeps what had been flushed, `off` everything.
disk_detach() { # disk_detach HOST cut|off
  local host=$1 how=$2 dir=$LAB_DIR/$1/disk
  disk_wanted "$host" && [[ -e $dir/loop ]] || return 0
  wait_until 5 disk_unmounted "$LAB_DIR/$host/var" || umount -l "$LAB_DIR/$host/var"
  losetup -d "$(<"$dir/loop")" 2>/dev/null
  rm -f "$dir/loop"
  if [[ $how == off ]]; then
    kill -TERM "$(<"$dir/pid")" 2>/dev/null
    wait_until 10 disk_daemon_gone "$dir"
    umount -l "$dir/device" 2>/dev/null
    qemu-img commit -q -f qcow2 "$dir/live.qcow2"
  else
    umount -l "$dir/device" 2>/dev/null
    python3 "$LAB_HOME/lib/disk-replay.py" "$dir/writes.log" "$dir/base.img" >>"$dir/replay.log" ||
      die "$host: its disk cannot be made again from its log"
  fi
  rm -f "$dir"/{live.qcow2,writes.log}
}

disk_unmounted() { ! mountpoint -q "$1" || umount "$1" 2>/dev/null; }
disk_daemon_gone() { ! kill -0 "$(<"$1/pid")" 2>/dev/null; }
