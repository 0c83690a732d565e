#!/usr/bin/env bash
# Runs inside a host: keeps one Ferry daemon running, as systemd's Restart=always would.
#
#   supervise.sh start NAME COMMAND…   begins, or begins again after a stop
#   supervise.sh stop NAME …           SIGTERM, waits until it is gone, and it stays gone
#   supervise.sh kill NAME …           SIGKILL, also to one that is just coming back; it comes back by itself
#   supervise.sh state NAME            running, stopped or absent
#   supervise.sh run NAME COMMAND…     the loop itself
#
# State: /run/ferry-lab/NAME.{supervisor,pid,stopped}; output: /var/log/ferry/NAME.log.
set -u

action=$1 name=${2:?nothing to supervise}
shift 2
state=/run/ferry-lab/$name
mkdir -p /run/ferry-lab

alive() { [[ -e $1 ]] && kill -0 "$(<"$1")" 2>/dev/null; }

# What fails by itself soon after its start is given time; what was killed comes back at once.
run() {
  local started status
  echo $$ >"$state.supervisor"
  until [[ -e $state.stopped ]]; do
    started=$SECONDS
    LD_PRELOAD=${LAB_PRELOAD:-} "$@" </dev/null >>"/var/log/ferry/$name.log" 2>&1 &
    echo $! >"$state.pid"
    wait $!
    status=$?
    rm -f "$state.pid"
    echo "lab: $name ended with status $status" >>"/var/log/ferry/$name.log"
    if ((status < 128 && SECONDS - started < 2)) && [[ ! -e $state.stopped ]]; then sleep 1; fi
  done
  rm -f "$state.supervisor"
}

start() {
  rm -f "$state.stopped"
  if alive "$state.supervisor"; then return; fi
  # A command of its own: a list in the background would leave a shell behind that holds the caller's output open.
  setsid "$0" run "$name" "$@" </dev/null >/dev/null 2>&1 &
}

# No supervisor left means no daemon left: it waits for the daemon before it ends.
stop() {
  local deadline=$((SECONDS + 20)) told='' pid
  touch "$state.stopped"
  while alive "$state.supervisor"; do
    pid=$(cat "$state.pid" 2>/dev/null)
    # Once each: a second SIGTERM may mean something else to it.
    if [[ $pid != "$told" ]]; then kill -TERM "$pid" && told=$pid; fi 2>/dev/null
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# One that is to be killed again may have no process yet. Until its end was noticed, the next kill would find the dead one.
kill_it() {
  local deadline=$((SECONDS + 20)) pid
  until pid=$(cat "$state.pid") && kill -KILL "$pid"; do
    [[ ! -e $state.stopped ]] && ((SECONDS < deadline)) || return 1
    sleep 0.1
  done 2>/dev/null
  while [[ $(cat "$state.pid" 2>/dev/null) == "$pid" ]]; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

state() {
  if alive "$state.pid"; then
    echo running
  elif [[ -e $state.stopped ]]; then
    echo stopped
  else
    echo absent
  fi
}

case $action in
  run) run "$@" ;;
  start) start "$@" ;;
  stop) stop ;;
  state) state ;;
  kill) kill_it ;;
esac
