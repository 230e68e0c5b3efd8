# Shell functions that the entry points share; sourced, not run.

# build PRESET [CMAKE OPTION]... [-- TARGET...] : configures build/PRESET and builds it. On a terminal it shows the
# build tool's progress line; else everything goes to build/PRESET/build.log, whose end is shown where the build fails.
build() {
  local preset=$1; shift
  local options=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  local targets=()
  [ $# -eq 0 ] || targets=(--target "$@")
  mkdir -p "build/$preset"
  local log=build/$preset/build.log
  if ! cmake --preset "$preset" "${options[@]}" >"$log" 2>&1; then
    tail -40 "$log" >&2
    return 1
  fi
  if [ -t 1 ]; then
    cmake --build --preset "$preset" "${targets[@]}"
  elif ! cmake --build --preset "$preset" "${targets[@]}" >>"$log" 2>&1; then
    grep -nE 'error|FAILED' "$log" | head -20 >&2
    tail -40 "$log" >&2
    return 1
  fi
}
