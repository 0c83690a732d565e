# shellcheck shell=bash
# What guests can really run with: kvm or qemu (emulation), in libvirt's words. The presence of /dev/kvm proves nothing:
# on some machines a BIOS runs under it and Linux hangs. So the test guest is started; the answer holds until the next boot.

KVM_DEADLINE_S=8

kvm_verdict() {
  local boot_id cached verdict=qemu
  boot_id=$(</proc/sys/kernel/random/boot_id)
  cached=$LAB_CACHE/kvm-$boot_id
  if [[ ! -s $cached ]]; then
    if [[ -w /dev/kvm ]] && guest_build && linux_boots_with kvm; then verdict=kvm; fi
    mkdir -p "$LAB_CACHE"
    rm -f "$LAB_CACHE"/kvm-*
    echo "$verdict" >"$cached"
  fi
  cat "$cached"
}

linux_boots_with() { # linux_boots_with ACCELERATOR
  local console
  console=$(timeout --kill-after=1 "$KVM_DEADLINE_S" qemu-system-x86_64 -accel "$1" -cpu max -m 128 -nodefaults \
    -display none -no-reboot -serial stdio -kernel "$GUEST/vmlinuz" -initrd "$GUEST/initrd.gz" \
    -append 'console=ttyS0 quiet panic=-1 lab.once=1' </dev/null 2>/dev/null)
  [[ $console == *READY* ]]
}
