#!/bin/bash
# tests/train_and_evaluate_test.sh PROGRAM SOURCE_DIR : the patterns of examples/train_and_evaluate.cc, each in a folder of its own.
set -uo pipefail
program=$1 source=$2
scratch=$(mktemp -d)
evaluator=
trap '[ -z "$evaluator" ] || kill $evaluator 2>/dev/null; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ln -s "$source/data" data

fail() {
  echo "FAILED: $1"
  tail -n 20 output* 2>/dev/null
  exit 1
}
# The steps that a file reports, and the last accuracy.
steps() { sed -n 's/^step \([0-9]*\): .*/\1/p' "$1" | tr '\n' ' '; }
accuracy_reaches() {
  local last
  last=$(sed -n 's/^step [0-9]*: validation accuracy \([0-9.]*\).*/\1/p' "$1" | tail -1)
  awk -v got="${last:-0}" -v want="$2" 'BEGIN {exit !(got >= want && got <= 1)}' || fail "$1: accuracy '$last', wanted $2"
}

for mode in feedable loop; do
  "$program" $mode --steps 600 --directory runs/$mode >output.$mode 2>&1 || fail "$mode ended with $?"
  [ "$(steps output.$mode)" = "200 400 600 " ] || fail "$mode reported steps $(steps output.$mode)"
  accuracy_reaches output.$mode 0.9
done

# Two processes: the evaluator is there first, and ends by itself once it has seen the last step.
"$program" evaluate --steps 600 --directory runs/two >output.evaluate 2>&1 &
evaluator=$!
"$program" train --steps 600 --directory runs/two >output.train 2>&1 || fail "train ended with $?"
for _ in $(seq 600); do
  kill -0 $evaluator 2>/dev/null || break
  sleep 0.1
done
kill -0 $evaluator 2>/dev/null && fail "the evaluator did not end"
wait $evaluator || fail "evaluate ended with $?"
evaluator=
[[ "$(steps output.evaluate)" == *"600 " ]] || fail "evaluate reported steps $(steps output.evaluate)"
accuracy_reaches output.evaluate 0.9

"$program" neither >output.bad 2>&1 && fail "an unknown way was accepted"
grep -q usage output.bad || fail "an unknown way got no usage"
echo "the examples of training and evaluating behave"
