# shellcheck shell=bash
# The small test guest: built once into the cache, and put where every host of this lab sees it.

GUEST=$LAB_CACHE/guest

guest_build() { # says so, because the first time it downloads a kernel package
  [[ -e $GUEST/base.qcow2 ]] || say "building the test guest in $GUEST"
  "$LAB_HOME/guest/build.sh" "$GUEST" || die "the test guest cannot be built: see above"
}

guest_provide() {
  guest_build
  if [[ -d $LAB_SHARED ]]; then
    mkdir -p "$LAB_SHARED/guest"
    cp -u --reflink=auto "$GUEST"/{vmlinuz,initrd.gz,base.qcow2} "$LAB_SHARED/guest/"
    chmod 755 "$LAB_SHARED/guest"
    echo "/run/shared/guest"
  else
    echo "$GUEST"
  fi
}
