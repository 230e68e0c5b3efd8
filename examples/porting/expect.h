#pragma once
// How the programs of the porting guide check themselves.

#include <cstdio>
#include <cstdlib>
#include <source_location>

inline void expect(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: not as expected\n", where.file_name(), where.line());
  std::exit(1);
}
