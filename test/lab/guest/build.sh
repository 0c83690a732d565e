#!/usr/bin/env bash
# build.sh DIR: makes the lab's guest out of Debian packages, in a few seconds; nothing to do if DIR is up to date.
#
#   DIR/vmlinuz      Debian's cloud kernel          ┐ for <kernel> and <initrd>
#   DIR/initrd.gz    busybox, a few drivers, init   ┘
#   DIR/base.qcow2   160 MiB disk that boots by itself: p1 FAT (syslinux and the two files above), p2 ext4 for data
#
# DIR/packages keeps what was downloaded. Everything is made with ordinary files: no loop devices, no mounts.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # mkfs, sfdisk and depmod, for whoever became root without its PATH

here=$(dirname "$(readlink -f "$0")")
mkdir -p "${1:?usage: build.sh DIR}"
out=$(readlink -f "$1")
packages=$out/packages
work=$out/work

DRIVERS=(virtio_pci virtio_blk virtio_net virtio_rng evdev button ext4 isofs vfat nls_cp437 nls_ascii)
DISK_MIB=160
BOOT_START=2048 # in sectors of 512 bytes, as sfdisk counts
BOOT_SECTORS=65536
DATA_START=$((BOOT_START + BOOT_SECTORS))
KERNEL_OPTIONS='console=ttyS0 quiet mitigations=off cryptomgr.notests random.trust_cpu=on'

fingerprint() { cat "$here/build.sh" "$here/init" | sha256sum; }

download_packages() { # once; an interrupted download leaves no $packages
  [[ ! -d $packages ]] || return 0
  local part=$packages.part deb
  rm -rf "$part"
  mkdir -p "$part/debs"
  # apt's lists may be absent, or older than what the archive still has.
  fetch_debs "$part/debs" || { apt-get -q update >&2 && fetch_debs "$part/debs"; } ||
    { echo "build.sh: apt could not download a kernel and busybox-static" >&2 && return 1; }
  for deb in "$part"/debs/*.deb; do dpkg -x "$deb" "$part/root"; done
  rm -r "$part/debs"
  mv "$part" "$packages"
}

fetch_debs() {
  local kernel
  kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | grep -om1 'linux-image-[0-9][^ ]*') || return
  # As root, because apt would drop its rights to a user who cannot write there.
  (cd "$1" && apt-get -o APT::Sandbox::User=root download -qq "$kernel" busybox-static)
}

copy_drivers() { # in the order in which the guest has to load them
  local kernel_version=$1 modules=$2 driver path
  depmod -b "$packages/root" "$kernel_version"
  for driver in "${DRIVERS[@]}"; do
    modprobe -d "$packages/root" -S "$kernel_version" --show-depends "$driver" 2>/dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
    cp "$path" "$modules/"
    echo "${path##*/}"
  done >"$modules/order"
}

make_initrd() {
  local root=$work/initrd busybox
  mkdir -p "$root"/{bin,dev,proc,sys,modules,mnt}
  busybox=$(find "$packages/root" -path '*bin/busybox' -type f -print -quit)
  cp "$busybox" "$root/bin/busybox"
  ln -s busybox "$root/bin/sh"
  copy_drivers "$1" "$root/modules"
  install -m 0755 "$here/init" "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) | gzip -6 >"$work/initrd.gz"
}

make_boot_partition() {
  local image=$1
  truncate -s $((BOOT_SECTORS * 512)) "$image"
  mkfs.vfat -n BOOT "$image" >/dev/null
  printf 'DEFAULT lab\nPROMPT 0\nTIMEOUT 0\nLABEL lab\n KERNEL vmlinuz\n APPEND initrd=initrd.gz %s\n' "$KERNEL_OPTIONS" \
    >"$work/syslinux.cfg"
  mcopy -i "$image" "$work/vmlinuz" "$work/initrd.gz" "$work/syslinux.cfg" ::
  syslinux --install "$image"
}

make_disk() {
  local disk=$work/disk.raw boot=$work/boot.img data=$work/data.img
  truncate -s ${DISK_MIB}M "$disk"
  printf 'label: dos\nlabel-id: 0x1abc0001\n%d,%d,6,*\n%d,,83\n' $BOOT_START $BOOT_SECTORS $DATA_START |
    sfdisk -q "$disk"
  dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
  make_boot_partition "$boot"
  truncate -s $((DISK_MIB * 1048576 - DATA_START * 512)) "$data"
  mkfs.ext4 -q -L data "$data"
  dd if="$boot" of="$disk" bs=512 seek=$BOOT_START conv=notrunc,sparse status=none
  dd if="$data" of="$disk" bs=512 seek=$DATA_START conv=notrunc,sparse status=none
  qemu-img convert -O qcow2 "$disk" "$work/base.qcow2"
}

exec 9>"$out/.lock"
flock 9
if [[ -e $out/base.qcow2 && $(cat "$out/.built" 2>/dev/null) == "$(fingerprint)" ]]; then exit 0; fi
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT
download_packages
kernel_version=$(ls "$packages/root/lib/modules")
cp "$packages/root/boot/vmlinuz-$kernel_version" "$work/vmlinuz"
make_initrd "$kernel_version"
make_disk
mv "$work"/{vmlinuz,initrd.gz,base.qcow2} "$out/"
fingerprint >"$out/.built"
