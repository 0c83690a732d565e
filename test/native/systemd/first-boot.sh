#!/usr/bin/env bash
# first-boot.sh CHECKOUT RESULTS: install the daemons of a checkout on a machine that is thrown away, check the
# units, then boot real systemd on it and let both daemons run once. Findings appear in the directory RESULTS.
#
# The machine is a set of namespaces over copy-on-write /usr, /etc and /var. Ends when its first process is killed.
set -euo pipefail
checkout=$1 results=$2
export container=ferry-trial

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for tree in usr etc var; do
  mkdir -p "/run/upper/$tree" "/run/work/$tree"
  mount -t overlay overlay -o "lowerdir=/$tree,upperdir=/run/upper/$tree,workdir=/run/work/$tree" "/$tree"
done

"$checkout/systemd/install.sh" agent >"$results/install.txt" 2>&1
"$checkout/systemd/install.sh" controller >>"$results/install.txt" 2>&1
systemd-analyze verify ferry-agent.service ferry-controller.service libvirtd.service >"$results/verify.txt" 2>&1 || true
find /usr/lib/ferry -type f -o -type l | sort >"$results/program.txt"
stat -c '%a %U %n' /etc/ferry /var/lib/ferry /var/lib/ferry-controller /etc/libvirt/hooks >"$results/directories.txt"

mkdir -p /var/lib/libvirt/images /etc/libvirt/hooks/qemu.d
truncate -s 1M /var/lib/libvirt/images/trial.raw
chown nobody /var/lib/libvirt/images/trial.raw
chmod 600 /var/lib/libvirt/images/trial.raw
ln -s /etc/passwd /var/lib/libvirt/images/link
ln -s /etc /var/lib/libvirt/images/folder-link
echo secret >/var/lib/ferry/secret
setpriv --reuid nobody --clear-groups sleep infinity &
echo $! >/etc/ferry/stranger.pid

# A trial says what it found and ends, instead of staying and feeding the watchdog. All else is the unit's.
units=/run/systemd/system
for daemon in agent controller; do
  mkdir -p "$units/ferry-$daemon.service.d"
  printf '%s\n' '[Unit]' 'DefaultDependencies=no' '[Service]' 'Type=oneshot' 'Restart=no' 'WatchdogSec=0' \
    >"$units/ferry-$daemon.service.d/trial.conf"
done
printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'After=ferry-agent.service ferry-controller.service' '[Service]' \
  'Type=oneshot' "ExecStart=/bin/cp /var/lib/ferry/trial.json $results/agent.json" \
  "ExecStart=/bin/cp /var/lib/ferry-controller/trial.json $results/controller.json" \
  "ExecStopPost=/bin/sh -c 'systemctl --no-pager status ferry-agent ferry-controller >$results/status.txt 2>&1; touch $results/done'" \
  >"$units/trial-end.service"
printf '%s\n' '[Unit]' 'DefaultDependencies=no' \
  'Wants=ferry-agent.service ferry-controller.service trial-end.service' >"$units/trial.target"
exec /lib/systemd/systemd --system --unit=trial.target --log-target=null
