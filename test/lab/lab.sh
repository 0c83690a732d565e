#!/usr/bin/env bash
# The lab: several real libvirt hosts on one machine, each a set of Linux namespaces with its own libvirtd, disks, network
# addresses and (once Ferry is built) ferry-agent, plus `ctl` with the controller and the command line tool.
#
# This file only reads the command line. What a verb does is in lib/: one file per subject.
# shellcheck source-path=SCRIPTDIR
set -uo pipefail

LAB_PROGRAM=$(readlink -f "${BASH_SOURCE[0]}")
LAB_HOME=${LAB_PROGRAM%/*}
source "$LAB_HOME/lib/settings.sh"
source "$LAB_HOME/lib/preconditions.sh"
source "$LAB_HOME/lib/cgroup.sh"
source "$LAB_HOME/lib/network.sh"
source "$LAB_HOME/lib/libvirtd.sh"
source "$LAB_HOME/lib/disk.sh"
source "$LAB_HOME/lib/ferry.sh"
source "$LAB_HOME/lib/systemd.sh"
source "$LAB_HOME/lib/host.sh"
source "$LAB_HOME/lib/lifecycle.sh"
source "$LAB_HOME/lib/guest.sh"
source "$LAB_HOME/lib/kvm.sh"
source "$LAB_HOME/lib/machine.sh"
source "$LAB_HOME/lib/help.sh"

usage_unless() { # usage_unless CONDITION-AS-NUMBER USAGE
  (($1)) || die "usage: npm run lab -- $2"
}

main() {
  local verb=${1:-help}
  shift || true
  case $verb in help | -h | --help) help_text; return ;; esac
  settings_load
  case $verb in
    up) lab_up "$@" ;;
    down) lab_down "$@" ;;
    wipe) lab_wipe "$@" ;;
    status) lab_status ;;
    exec) usage_unless $(($# >= 2)) "exec HOST COMMAND…"; host_exec "$@" ;;
    start) usage_unless $(($# == 1)) "start HOST"; lab_lock; host_start "$1" ;;
    stop | kill) usage_unless $(($# == 1)) "$verb HOST"; "host_$verb" "$1" ;;
    pid) usage_unless $(($# == 1)) "pid HOST"; host_require_up "$1"; host_pid "$1" ;;
    logs) usage_unless $(($# == 1)) "logs HOST"; host_logs "$1" ;;
    restart-libvirtd) usage_unless $(($# == 1)) "$verb HOST"; libvirtd_restart "$1" ;;
    agent) usage_unless $(($# == 2)) "agent HOST start|stop|kill"; ferry_daemon "$1" agent "$2" ;;
    controller) usage_unless $(($# == 1)) "controller start|stop|kill"; ferry_daemon ctl controller "$1" ;;
    link) usage_unless $(($# >= 2)) "link HOST up|down [eth0|mig0]"; network_link "$@" ;;
    shape) usage_unless $(($# >= 2)) "shape HOST RATE|off [eth0|mig0]"; network_shape "$@" ;;
    counters) usage_unless $(($# >= 1)) "counters HOST [eth0|mig0]"; network_counters "$@" ;;
    guest) guest_provide ;;
    kvm) kvm_verdict ;;
    *) die "unknown verb '$verb' (npm run lab -- help)" ;;
  esac
}

main "$@"
