# shellcheck shell=bash
# What `npm run lab -- help` prints.

help_text() {
  cat <<'HELP'
The lab: several libvirt hosts on this machine, to try Ferry and to test it. Needs root; touches nothing of the machine's
own libvirt, network or disks.

  npm run lab -- up [N]                   ctl and hosts h1 … hN (default 2)
  npm run lab -- exec HOST COMMAND…       e.g. exec ctl ferry host list, exec h1 virsh list --all
  npm run lab -- status                   hosts, addresses, daemons
  npm run lab -- logs HOST                the end of each of its logs
  npm run lab -- down [--keep]            ends and removes everything; --keep leaves the hosts' files for the next up

Hosts
  start HOST, stop HOST                   switch it on, switch it off
  kill HOST                               cut its power
  restart-libvirtd HOST                   guests keep running
  agent HOST start|stop|kill              its ferry-agent; killed, it comes back by itself
  controller start|stop|kill              the ferry-controller on ctl
  pid HOST                                its first process, for nsenter and strace

Network: eth0 is management, mig0 is migration; without a device a command is about both
  link HOST up|down [DEVICE]              unplug and plug the cable
  shape HOST RATE|off [DEVICE]            limit both directions, e.g. 50mbit
  counters HOST [DEVICE]                  bytes received and sent

Guests
  guest                                   builds the small test guest; in every host it is /run/shared/guest
  kvm                                     kvm or qemu: what a guest really runs with here
  wipe                                    down, and forget the guest and what else was built

In a host: its disks are /var/lib/libvirt/images, its own directory is /run/host, and /run/shared is common to all hosts.

Environment (remembered by up)
  LAB_ID=lab                              several labs can run side by side; give it to every command
  LAB_NET=10.77.0, LAB_MIGNET=10.78.0     the two networks
  LAB_QEMU=root|stock                     guests run as root, or as Debian's qemu.conf says
  LAB_VIRT=kvm|qemu                       instead of finding out which of them works
  LAB_MACHINES=h1=numa2-hugepages,…        captured machines (test/fixtures/hosts) under hosts: their CPUs, cells, pages and PCI
  LAB_BARE=1                              hosts without Ferry
  LAB_INIT=systemd                        real systemd in each host runs libvirtd and Ferry's units, installed by
                                          systemd/install.sh; journalctl and systemctl work there
  LAB_DISK=volatile                       a host's disk forgets in a power cut what was not flushed to it
  LAB_STOPS=1                             a Ferry daemon stops at the log line named in /run/ferry-lab/stop-at, once, or dies
                                          before the one in end-at
  LAB_DIR, LAB_CACHE                      where hosts and built things are kept
HELP
}
