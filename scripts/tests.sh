# Shell functions of ./run-tests: stages, and what is counted. Sourced, not run.

passed=0 failed=0 skipped=0
failed_stages=()

# stage TITLE COMMAND... : runs one stage with its heading and its time, and remembers whether it failed.
stage() {
  local title=$1 started=$SECONDS before=$failed; shift
  printf '\n== %s\n' "$title"
  if "$@"; then
    [ "$failed" -gt "$before" ] && failed_stages+=("$title")
  else
    # A stage that could not even be built, or that failed beside its tests, counts as one failure.
    [ "$failed" -gt "$before" ] || failed=$((failed + 1))
    failed_stages+=("$title")
  fi
  printf -- '-- %s: %d s\n' "$title" $((SECONDS - started))
}

finish() {
  printf '\n'
  local title
  for title in "${failed_stages[@]}"; do printf 'failed: %s\n' "$title"; done
  if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ $failed -eq 0 ]
  exit
}

# count PASSED FAILED SKIPPED : adds to the totals and prints the stage's own line.
count() {
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
  echo "   $1 passed, $2 failed, $3 skipped"
}

# run_ctest PRESET [CTEST OPTION]... : runs the tests of build/PRESET. A GoogleTest program counts with each of its test
# cases, every other test as one.
run_ctest() {
  local preset=$1; shift
  local results=$PWD/build/$preset/results
  rm -rf "$results"
  mkdir -p "$results"
  GTEST_OUTPUT=xml:$results/ GTEST_BRIEF=1 OMP_WAIT_POLICY=passive \
    ctest --test-dir "build/$preset" -j "$(nproc)" --timeout 900 --output-on-failure --no-tests=error \
    --output-junit "$results/ctest.junit" "$@" >"$results/ctest.log" 2>&1
  local code=$?
  if [ $code -ne 0 ]; then
    cat "$results/ctest.log"
  else
    grep -E '^ *[0-9]+/[0-9]+ Test' "$results/ctest.log"
  fi
  # shellcheck disable=SC2046
  count $(ctest_totals "$results")
  return $code
}

# ctest_totals RESULTS : prints "PASSED FAILED SKIPPED" from CTest's and GoogleTest's XML files.
ctest_totals() {
  local results=$1 name status totals
  grep -o '<testcase name="[^"]*".* status="[^"]*"' "$results/ctest.junit" |
    sed 's/<testcase name="\([^"]*\)".* status="\([^"]*\)"/\1 \2/' |
    while read -r name status; do
      if [ -f "$results/${name}_test.xml" ]; then
        awk -v status="$status" '
          function number(key) { return match($0, " " key "=\"[0-9]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }
          /<testsuites / { tests = number("tests") - number("disabled"); bad = number("failures") + number("errors") }
          /<testsuite / { skipped += number("skipped") }
          END {
            extra = status == "fail" && bad == 0  # failed after its test cases had ended
            print tests - bad - skipped, bad + extra, skipped + 0
          }' "$results/${name}_test.xml"
      elif totals=$(own_totals "$results/ctest.junit" "$name") && [ -n "$totals" ]; then
        echo "$totals"
      else
        case $status in
          run) echo 1 0 0 ;;
          fail) echo 0 1 0 ;;
          *) echo 0 0 1 ;;
        esac
      fi
    done | awk '{p += $1; f += $2; s += $3} END {print p + 0, f + 0, s + 0}'
}

# own_totals JUNIT NAME : "PASSED FAILED SKIPPED" where the test's own output ends with such a line (the golden cases).
own_totals() {
  awk -v start="<testcase name=\"$2\"" '
    index($0, start) { inside = 1 }
    inside && match($0, /[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/) { line = substr($0, RSTART, RLENGTH) }
    inside && /<\/testcase>/ { if (line) { split(line, part, /[^0-9]+/); print part[1], part[2], part[3] } exit }' "$1"
}

# run_fuzz_targets SECONDS : each fuzz target in turn, from its seed corpus in fuzz/corpus, if there is one.
run_fuzz_targets() {
  local seconds=$1 target name log good=0 bad=0
  python3 fuzz/golden_seeds.py build/asan/corpus 60 || return 1
  for target in build/asan/bin/*_fuzz; do
    [ -x "$target" ] || { echo "no fuzz targets were built"; return 1; }
    name=$(basename "$target")
    log=build/asan/$name.log
    local corpus=build/asan/corpus/$name
    mkdir -p "$corpus"
    local seeds=()
    [ -d "fuzz/corpus/${name%_fuzz}" ] && seeds=("fuzz/corpus/${name%_fuzz}")
    if "$target" -max_total_time="$seconds" -rss_limit_mb=3072 -timeout=10 -artifact_prefix="build/asan/$name-" \
        "$corpus" "${seeds[@]}" >"$log" 2>&1; then
      good=$((good + 1))
      echo "   $name: $(grep -oE 'Done [0-9]+ runs' "$log" | tail -1)"
    else
      bad=$((bad + 1))
      echo "   $name: failed"
      tail -40 "$log"
    fi
  done
  count $good $bad 0
}

# run_interop : the pytest suite beside TensorFlow; skipped, and said so, where PyPI cannot be reached.
run_interop() {
  local log=build/interop.log code
  interop/run --build-dir build/release >"$log" 2>&1
  code=$?
  tail -30 "$log"
  local summary
  summary=$(grep -E '[0-9]+ (passed|failed|error|skipped)' "$log" | tail -1)
  number() { echo "$summary" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
  if grep -q '^skipped: ' "$log"; then
    count 0 0 1
  else
    count "$(number passed)" $(($(number failed) + $(number error))) "$(number skipped)"
  fi
  return $code
}
