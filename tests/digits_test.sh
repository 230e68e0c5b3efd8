#!/bin/bash
# tests/digits_test.sh PROGRAM SOURCE_DIR : what a user of examples/digits sees. Trains in a folder of its own, so that nobody's
# runs/ are touched: accuracy, resuming, --steps, --fresh, Ctrl-C, and an unwritable folder.
set -uo pipefail
digits=$1 source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ln -s "$source/data" data

fail() {
  echo "FAILED: $1"
  [ -f output ] && tail -20 output
  exit 1
}
accuracy_reaches() {
  local accuracy
  accuracy=$(sed -n 's/^test accuracy: \([0-9.]*\).*/\1/p' output)
  [ -n "$accuracy" ] || fail "no line 'test accuracy: ...'"
  awk -v got="$accuracy" -v want="$1" 'BEGIN {exit !(got >= want && got <= 1)}' || fail "accuracy $accuracy, wanted $1"
}
latest() {
  sed -n 's/^model_checkpoint_path: ".*model.ckpt-\([0-9]*\)".*/\1/p' runs/digits/checkpoint
}

started=$SECONDS
"$digits" >output 2>&1 </dev/null || fail "the first run ended with $?"
accuracy_reaches 0.97
[ $((SECONDS - started)) -le "${MILLRACE_TEST_SECONDS:-60}" ] || fail "the first run took $((SECONDS - started)) s"
steps=$(latest)
[ "${steps:-0}" -ge 100 ] || fail "no checkpoint of the last step"
grep -q "runs/digits" output || fail "the folder of the checkpoints is not named"
grep -qi "tensorboard" output || fail "TensorBoard is not mentioned"
grep -q $'\r' output && fail "a pipe got a progress bar"
ls runs/digits/events.out.tfevents.* >/dev/null 2>&1 || fail "no event file"
[ -f "runs/digits/model.ckpt-$steps.meta" ] || fail "no .meta file"

"$digits" --steps $((steps + 50)) >output 2>&1 </dev/null || fail "resuming ended with $?"
grep -q "resumed from step $steps" output || fail "not 'resumed from step $steps'"
[ "$(latest)" = $((steps + 50)) ] || fail "resuming ended at step $(latest)"
accuracy_reaches 0.97

"$digits" --fresh --steps 40 >output 2>&1 </dev/null || fail "--fresh ended with $?"
grep -q "resumed from step" output && fail "--fresh resumed"
[ "$(latest)" = 40 ] || fail "--fresh --steps 40 ended at step $(latest)"

# Ctrl-C saves and ends cleanly, and so does SIGTERM. Job control, because a shell without it starts background jobs with SIGINT ignored.
set -m
for signal in INT TERM; do
  "$digits" --fresh --steps 100000000 >output 2>&1 </dev/null &
  child=$!
  for _ in $(seq 100); do
    [ -f runs/digits/checkpoint ] && [ "$(latest)" = 0 ] && break
    sleep 0.1
  done
  sleep 1
  kill -$signal $child
  wait $child
  code=$?
  [ $code -eq 0 ] || fail "SIG$signal ended the run with $code"
  stopped=$(latest)
  [ "${stopped:-0}" -gt 0 ] || fail "SIG$signal: nothing was saved"
  "$digits" --steps 1 >output 2>&1 </dev/null || fail "after SIG$signal the next run ended with $?"
  grep -q "resumed from step $stopped" output || fail "after SIG$signal not 'resumed from step $stopped'"
done
set +m

# kill -9 in the middle: the next run goes on from an intact checkpoint.
"$digits" --fresh --steps 100000000 >output 2>&1 </dev/null &
child=$!
sleep 2
kill -9 $child
wait $child 2>/dev/null
"$digits" --steps 1 >output 2>&1 </dev/null || fail "after kill -9 the next run ended with $?"
grep -q "resumed from step" output || fail "after kill -9 the next run did not resume"

# Bad arguments and a missing data file are errors, not crashes.
"$digits" --steps many >output 2>&1 </dev/null && fail "--steps many was accepted"
[ $? -lt 128 ] || fail "--steps many crashed"
rm data
"$digits" --fresh >output 2>&1 </dev/null && fail "a missing data file was not noticed"
grep -q "digits-train.tfrecord" output || fail "the missing file is not named"

echo "the digits example behaves"
