#!/bin/bash
# tests/exports_test.sh LIBRARY SOURCE_DIR [CLUSTER_LIBRARY] : what libmillrace.so exports. Every symbol belongs to the namespace millrace
# and is named by a public header; every public header marks what it declares; the library is at most 25 MB and links no gRPC.
# libmillrace_cluster.so exports the one function that libmillrace.so looks for.
set -uo pipefail
library=$1 source=$2 cluster=${3:-}
limit=25000000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
  echo "FAILED: $1"
  [ ! -s "$scratch/found" ] || head -20 "$scratch/found"
  exit 1
}

nm -D --defined-only "$library" | awk '{print $3}' | c++filt | sed -E 's/^(vtable|typeinfo|typeinfo name|VTT|guard variable) for //; s/^(virtual|non-virtual) thunk to //; s/^decltype\(auto\) //' | sort -u >"$scratch/symbols"
[ "$(wc -l <"$scratch/symbols")" -gt 300 ] || fail "hardly anything is exported"

# A template's symbol begins with its return type.
grep -vE '^([^()]* )?millrace::' "$scratch/symbols" >"$scratch/found" && fail "symbols from outside the namespace millrace"

# millrace::train::Saver::save(...) -> train, Saver, save: each is a word of the public headers, their macros expanded.
find "$source/include/millrace" -name '*.h' | while read -r header; do
  sed '/^ *#include/d' "$header" | c++ -E -P -x c++ - 2>/dev/null
done | grep -oE '\w+' | sort -u >"$scratch/words"
grep -oE 'millrace::[A-Za-z0-9_:~]+' <(sed -E 's/\(.*//; s/<.*//' "$scratch/symbols") | sed 's/^millrace:://; s/::/\n/g' | tr -d '~' | grep -v '^operator$' |
  sort -u | comm -23 - "$scratch/words" >"$scratch/found"
[ ! -s "$scratch/found" ] || fail "exported, but not named by a public header"

grep -L 'pragma GCC visibility push(default)' $(grep -lE '^namespace millrace' -r "$source/include/millrace") >"$scratch/found"
[ ! -s "$scratch/found" ] || fail "public headers that do not mark what they declare (docs/architecture.md)"

readelf -d "$library" | grep -E 'NEEDED.*grpc' >"$scratch/found" && fail "libmillrace.so links gRPC"
if [ -n "$cluster" ]; then
  nm -D --defined-only "$cluster" | awk '{print $3}' | grep -vx millrace_cluster_transport >"$scratch/found" && fail "libmillrace_cluster.so exports more"
  nm -D --defined-only "$cluster" | grep -q ' T millrace_cluster_transport$' || fail "libmillrace_cluster.so lacks millrace_cluster_transport"
fi

strip -o "$scratch/stripped.so" "$library"
size=$(stat -c %s "$scratch/stripped.so")
[ "$size" -le $limit ] || fail "$size bytes stripped, at most $limit wanted"
echo "$(wc -l <"$scratch/symbols") symbols, $size bytes stripped"
