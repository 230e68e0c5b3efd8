#!/bin/bash
# tests/format_test.sh SOURCE_DIR : what git tracks is laid out as .clang-format says, by Debian 12's clang-format; others lay out differently. Skipped
# (exit code 77) without it, and outside of a clone.
set -uo pipefail
cd "$1" || exit 1
formatter=$(command -v clang-format-14 || command -v clang-format)
if ! "${formatter:-false}" --version 2>/dev/null | grep -q 'version 14\.'; then
  echo "skipped: no clang-format 14"
  exit 77
fi
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  echo "skipped: not a clone"
  exit 77
fi
git ls-files '*.cc' '*.h' ':!examples' ':!tests/package' | xargs "$formatter" --dry-run --Werror && echo "the tree is formatted"
