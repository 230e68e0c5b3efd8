#!/bin/bash
# The command as its users call it: options, exit codes, where output goes. What the sub-commands do, the C++ tests show.
# usage: command_test.sh PATH_TO_MILLRACE, in the project's root
set -u
millrace=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect CODE TEXT ARGUMENT... : runs the command, wants this exit code, and this text in what it prints.
expect() {
  local code=$1 text=$2; shift 2
  "$millrace" "$@" >"$folder/out" 2>"$folder/err"
  local got=$?
  if [ $got -ne "$code" ] || ! grep -qF -- "$text" "$folder/out" "$folder/err"; then
    echo "millrace $*: exit code $got, expected $code with '$text'"
    cat "$folder/out" "$folder/err"
    failures=$((failures + 1))
  fi
}

expect 0 'conformance' --help
expect 0 'millrace 0' --version
expect 0 '--checkpoint' run --help
expect 0 '--verify' inspect --help
expect 0 '--filter' conformance --help
expect 2 'subcommand' 
expect 2 'frobnicate' frobnicate
expect 2 '--meta' run
expect 2 'steps' run --meta a.meta --steps many
expect 2 'steps' run --meta a.meta --steps -1
expect 2 'steps' run --meta a.meta --steps 99999999999999999999
expect 2 '--nonsense' inspect --nonsense a
expect 2 'required' inspect
expect 1 'no such file' inspect "$folder/none"
expect 1 "$folder/none.meta" run --meta "$folder/none.meta"
expect 2 'cannot read' conformance "$folder/none"

expect 0 ' passed, 0 failed, ' conformance tests/golden/checkpoints
expect 0 '"passed"' conformance tests/golden/checkpoints --json
expect 0 'passed sharded/' conformance tests/golden/checkpoints --verbose
expect 0 '0 passed, 0 failed, 0 skipped' conformance "$folder"

model=tests/golden/metagraph/perceptron_ref
expect 0 'MetaGraphDef' inspect $model/model.meta
expect 0 '"kind": "MetaGraphDef"' inspect --json $model/model.meta
head -c 1000 $model/model.meta >"$folder/cut.meta"
expect 1 'cut.meta' run --meta "$folder/cut.meta"
prefix=$(ls $model/*.index); prefix=${prefix%.index}
expect 0 '"steps": 0}' run --meta $model/model.meta --checkpoint "$prefix" --steps 0 --json

# A server, where this build has one: it says where it listens, and a signal ends it.
if "$millrace" --help | grep -q serve; then
  expect 2 'port' serve --port 70000
  "$millrace" serve --port 0 >"$folder/serve" 2>"$folder/log" &
  server=$!
  for _ in $(seq 100); do grep -q READY "$folder/serve" && break; sleep 0.1; done
  grep -q '^READY grpc://localhost:[1-9]' "$folder/serve" || { echo 'millrace serve does not say that it is ready'; failures=$((failures + 1)); }
  kill -TERM $server
  wait $server || { echo 'millrace serve did not end well on SIGTERM'; failures=$((failures + 1)); }
fi

[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
