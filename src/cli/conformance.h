#pragma once
// `millrace conformance DIR`: runs every golden record below a folder (tests/golden/README.md has the formats) and
// compares with what TensorFlow gave.

#include <string>

namespace millrace {

struct ConformanceOptions {
  std::string folder = {};
  std::string filter = {};   // only cases whose folder/name contains it
  bool verbose = false;      // a line per passed and skipped case too
  bool json = false;         // the report as JSON on standard output
  int timeout_seconds = 60;  // for a case; one that takes longer has failed
};

// The exit code: 0 if none failed, 1 if some did, 2 if the folder cannot be read.
int run_conformance(const ConformanceOptions& options);

}  // namespace millrace
