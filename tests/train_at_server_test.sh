#!/bin/bash
# tests/train_at_server_test.sh PROGRAM COMMAND SOURCE_DIR : examples/train_at_server.cc at a server of its own, and at one that is killed and
# started anew while it trains.
set -uo pipefail
program=$1 command=$2 source=$3
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ln -s "$source/data" data

fail() {
  echo "FAILED: $1"
  tail -n 20 output* 2>/dev/null
  exit 1
}
learned() { awk '/^accuracy/ {good = $NF >= 0.9 && $NF <= 1} END {exit !good}' "$1"; }
start_server() {  # at port $1
  "$command" serve --port "$1" >ready 2>output.server &
  server=$!
  for _ in $(seq 100); do
    grep -q READY ready && return
    sleep 0.1
  done
  fail "the server did not start"
}

"$program" --steps 400 --directory runs/own >output.own 2>&1 || fail "it ended with $? at a server of its own"
learned output.own || fail "it learned nothing at a server of its own"
grep -q '^device /job:localhost/replica:0/task:0/device:CPU:0$' output.own || fail "no device was listed"

start_server 0
target=$(sed -n 's/^READY //p' ready)
"$program" --target "$target" --steps 3000 --directory runs/other >output.other 2>&1 &
client=$!
for _ in $(seq 300); do
  [ -f runs/other/checkpoint ] && grep -q 'ckpt-[1-9]' runs/other/checkpoint && break
  sleep 0.05
done
kill -9 $server
wait $server 2>/dev/null
start_server "${target##*:}"
wait $client || fail "it ended with $? after the server was started anew"
learned output.other || fail "it learned nothing after the server was started anew"
grep -q 'A new session will be created' output.other || fail "nothing was recovered"
[ -f runs/other/model.ckpt-3000.index ] || fail "step 3000 was not saved"
"$program" --nonsense 1 >output.bad 2>&1 && fail "an unknown option was accepted"
echo "training at servers behaves"
