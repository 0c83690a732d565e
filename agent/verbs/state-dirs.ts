/** Where libvirt keeps what belongs to a machine beside its disks. */

export const NVRAM_DIR = "/var/lib/libvirt/qemu/nvram";
export const SWTPM_DIR = "/var/lib/libvirt/swtpm";
export const STATE_DIRS = [NVRAM_DIR, SWTPM_DIR];
