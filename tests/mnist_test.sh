#!/bin/bash
# tests/mnist_test.sh PROGRAM : what a user of examples/mnist sees, on small IDX files made here: training, evaluation, summaries, files
# that are packed, missing, truncated, damaged or of another kind.
set -uo pipefail
mnist=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

fail() {
  echo "FAILED: $1"
  [ -f output ] && tail -20 output
  exit 1
}
# make_split PREFIX COUNT : images of a bright bar whose place is the digit, on noise.
make_split() {
  perl -e '
    my ($prefix, $count) = @ARGV;
    srand($count);
    open(my $images, ">:raw", "$prefix-images-idx3-ubyte") or die;
    open(my $labels, ">:raw", "$prefix-labels-idx1-ubyte") or die;
    print $images pack("N4", 0x803, $count, 28, 28);
    print $labels pack("N2", 0x801, $count);
    for my $i (0 .. $count - 1) {
      my $digit = $i * 7 % 10;
      my @pixels = map { int(rand(60)) } 1 .. 784;
      for my $row (0 .. 27) { $pixels[$row * 28 + 2 * $digit + 4 + $_] = 200 + int(rand(55)) for 0 .. 2 }
      print $images pack("C*", @pixels);
      print $labels pack("C", $digit);
    }' "$1" "$2"
}
run() {
  "$mnist" --data_dir data --model_dir run "$@" >output 2>&1 </dev/null
}
# refuses WORDS WHAT : the program ends with an error that says the words, and does not crash.
refuses() {
  rm -rf run
  run --steps 5
  local code=$?
  [ $code -eq 1 ] || fail "$2: ended with $code"
  grep -q -- "$1" output || fail "$2: the message does not say '$1'"
}

mkdir data && cd data || exit 1
make_split train 600
make_split t10k 200
cd .. && cp -r data whole

run --steps 60 --eval_steps 30 || fail "the first run ended with $?"
grep -q "600 digits to train with, 200 to test with" output || fail "the numbers of digits are not told"
[ "$(grep -c '^step [0-9]*: test accuracy: ' output)" -ge 2 ] || fail "no evaluation on a cadence"
accuracy=$(sed -n 's/^step 60: test accuracy: \([0-9.]*\)$/\1/p' output | tail -1)
awk -v got="${accuracy:-0}" 'BEGIN {exit !(got >= 0.9 && got <= 1)}' || fail "accuracy '$accuracy' after 60 steps"
[ -f run/model.ckpt-60.index ] || fail "no checkpoint of the last step"
ls run/events.out.tfevents.* run/eval/events.out.tfevents.* >/dev/null 2>&1 || fail "event files are missing"
for tag in digits/image/0 digits/image/3 conv2d/kernel dense/kernel loss; do
  grep -aq "$tag" run/events.out.tfevents.* || fail "no summary $tag"
done
grep -aq "PNG" run/events.out.tfevents.* || fail "no image in the event file"

# Packed files do too, and a run goes on where it stopped.
gzip data/train-images-idx3-ubyte data/t10k-labels-idx1-ubyte
run --steps 70 --eval_steps 30 || fail "packed files: ended with $?"
[ -f run/model.ckpt-70.index ] || fail "packed files: no checkpoint of step 70"

# Bad files.
rm data/*.gz
refuses "train-images-idx3-ubyte.gz" "a missing file"
refuses "data_dir" "a missing file"
cp whole/* data
head -c 300000 whole/train-images-idx3-ubyte >data/train-images-idx3-ubyte
refuses "train-images-idx3-ubyte" "a truncated file"
head -c $((16 + 784 * 100)) whole/train-images-idx3-ubyte >data/train-images-idx3-ubyte
refuses "truncated or damaged" "a file of fewer images than its header says"
head -c 7 whole/train-images-idx3-ubyte >data/train-images-idx3-ubyte
refuses "train-images-idx3-ubyte" "a file of half a header"
: >data/train-images-idx3-ubyte
refuses "train-images-idx3-ubyte" "an empty file"
cp whole/t10k-images-idx3-ubyte data/train-images-idx3-ubyte
refuses "do not belong together" "images of another set"
cp whole/train-labels-idx1-ubyte data/train-images-idx3-ubyte
refuses "train-images-idx3-ubyte" "labels for images"
rm data/train-images-idx3-ubyte
gzip -c whole/train-images-idx3-ubyte | head -c 100000 >data/train-images-idx3-ubyte.gz
refuses "train-images-idx3-ubyte.gz" "a truncated packed file"
gzip -c whole/train-images-idx3-ubyte | perl -0777 -pe 'substr($_, 5000, 4) ^= "\xff\xff\xff\xff"' >data/train-images-idx3-ubyte.gz
refuses "train-images-idx3-ubyte.gz" "a damaged packed file"
cp whole/train-images-idx3-ubyte data/train-images-idx3-ubyte.gz
refuses "train-images-idx3-ubyte.gz" "a file that is not packed, named .gz"

# Bad arguments.
for arguments in "--steps many" "--steps -3" "--no_such_flag 1" "--steps"; do
  # shellcheck disable=SC2086
  run $arguments && fail "$arguments was accepted"
  [ $? -lt 128 ] || fail "$arguments crashed"
done

echo "the mnist example behaves"
