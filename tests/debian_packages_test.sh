#!/bin/bash
# tests/debian_packages_test.sh BUILD_DIR VERSION : the .debs that cpack makes: which there are, what is in them, and what they depend on.
set -uo pipefail
build=$1 version=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
  echo "FAILED: $1"
  [ ! -s "$scratch/log" ] || tail -30 "$scratch/log"
  exit 1
}

cpack --config "$build/CPackConfig.cmake" -B "$scratch" >"$scratch/log" 2>&1 || fail "cpack"
series=${version%.*}
library=$(echo "$scratch"/libmillrace"$series"_"$version"-1_*.deb)
development=$(echo "$scratch"/libmillrace-dev_"$version"-1_*.deb)
command=$(echo "$scratch"/millrace_"$version"-1_*.deb)
cluster=$(echo "$scratch"/libmillrace-cluster"$series"_"$version"-1_*.deb)
packages=("$library" "$development" "$command")
! grep -q cluster <<<"$(grep CPACK_COMPONENTS_ALL "$build/CPackConfig.cmake")" || packages+=("$cluster")
for package in "${packages[@]}"; do
  [ -f "$package" ] || fail "there is no $(basename "$package")"
done

# in PACKAGE REGEX : a file of this path is in it.
in_package() { dpkg-deb --fsys-tarfile "$1" | tar -t | grep -E "$2" >/dev/null || fail "$(basename "$1") lacks $2"; }
in_package "$library" "^\./usr/lib/.*libmillrace\.so\.$version$"
in_package "$library" "^\./usr/lib/.*libmillrace\.so\.$series$"
in_package "$development" '^\./usr/lib/.*libmillrace\.so$'
in_package "$development" '^\./usr/include/millrace/millrace\.h$'
in_package "$development" '^\./usr/lib/.*/millrace-config\.cmake$'
in_package "$development" '^\./usr/lib/.*pkgconfig/millrace\.pc$'
in_package "$command" '^\./usr/bin/millrace$'

# What dpkg-shlibdeps finds must be what is needed to run, and no development package.
for package in "$library" "$command"; do
  depends=$(dpkg-deb --field "$package" Depends)
  for name in libc6 'libstdc\+\+6' libgomp1 libabsl libprotobuf libdnnl libleveldb libre2 zlib1g; do
    grep -qE "(^|, )$name" <<<"$depends" || fail "$(basename "$package") does not depend on $name: $depends"
  done
  ! grep -qE -- '-dev\b' <<<"$depends" || fail "$(basename "$package") depends on a development package: $depends"
done
wanted="libmillrace$series (= $version-1)"
! grep -q grpc <<<"$(dpkg-deb --field "$library" Depends)" || fail "libmillrace$series depends on gRPC"
if [ -f "$cluster" ]; then
  in_package "$cluster" "^\./usr/lib/.*libmillrace_cluster\.so\.$series$"
  in_package "$development" '^\./usr/lib/.*/millrace-cluster\.cmake$'
  depends=$(dpkg-deb --field "$cluster" Depends)
  for name in 'libgrpc\+\+' libabsl "libmillrace$series \(= $version-1\)"; do
    grep -qE "(^|, )$name" <<<"$depends" || fail "$(basename "$cluster") does not depend on $name: $depends"
  done
  wanted+=", libmillrace-cluster$series (= $version-1)"
fi
[ "$(dpkg-deb --field "$development" Depends)" = "$wanted" ] || fail "libmillrace-dev depends on another library"
for package in "${packages[@]}"; do echo "$(basename "$package"): $(stat -c %s "$package") bytes"; done
