#!/bin/bash
# tests/package_test.sh BUILD_DIR SOURCE_DIR VERSION : Millrace as another project sees it. Installs into a scratch prefix, moves the prefix, and
# builds and runs tests/package/ against it twice: with CMake's find_package and with pkg-config. Where the component for servers was built,
# a program that uses it, too: linked with it, without it, and where it is not installed.
set -uo pipefail
build=$1 source=$2 version=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

fail() {
  echo "FAILED: $1"
  [ ! -s "$scratch/log" ] || tail -30 "$scratch/log"
  exit 1
}

cmake --install "$build" --prefix "$scratch/installed" >"$scratch/log" 2>&1 || fail "cmake --install"
prefix=$scratch/moved
mv "$scratch/installed" "$prefix"
[ "$("$prefix/bin/millrace" --version 2>&1)" = "millrace $version" ] || fail "bin/millrace --version"
cp -r "$source/tests/package" "$scratch/consumer"
cd "$scratch/consumer" || exit 1

cmake -S . -B by-cmake -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1 || fail "find_package(millrace)"
cmake --build by-cmake >"$scratch/log" 2>&1 || fail "building with find_package"
by-cmake/consumer >"$scratch/log" 2>&1 || fail "the program built with find_package"

pc=$(dirname "$(find "$prefix" -name millrace.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs millrace) || fail "pkg-config millrace"
# shellcheck disable=SC2086
c++ -std=c++20 -O1 consumer.cc $flags -o by-pkg-config >"$scratch/log" 2>&1 || fail "building with pkg-config"
LD_LIBRARY_PATH=$(PKG_CONFIG_PATH=$pc pkg-config --variable=libdir millrace) ./by-pkg-config >"$scratch/log" 2>&1 || fail "the program built with pkg-config"

if [ -x by-cmake/cluster ]; then
  by-cmake/cluster >"$scratch/log" 2>&1 || fail "the program with a server, built with find_package"
  # shellcheck disable=SC2086
  c++ -std=c++20 -O1 cluster.cc $flags -o unlinked >"$scratch/log" 2>&1 || fail "building the program with a server"
  export LD_LIBRARY_PATH=$(PKG_CONFIG_PATH=$pc pkg-config --variable=libdir millrace)
  ./unlinked >"$scratch/log" 2>&1 || fail "the program with a server, not linked with libmillrace_cluster.so"
  rm "$LD_LIBRARY_PATH"/libmillrace_cluster.so*
  ./unlinked absent >"$scratch/log" 2>&1 || fail "the program with a server where libmillrace_cluster.so is not installed"
  unset LD_LIBRARY_PATH
fi

# The headers ask for nothing but the standard library.
# shellcheck disable=SC2086
c++ -std=c++20 -M consumer.cc $flags >"$scratch/includes" 2>"$scratch/log" || fail "listing the headers"
if grep -E '/(absl|google/protobuf|oneapi|hwy|fmt|spdlog)/' "$scratch/includes" >"$scratch/log"; then fail "a third-party header is included"; fi
echo "an installed Millrace can be used"
