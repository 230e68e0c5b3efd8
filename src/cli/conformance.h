#pragma once
// `millrace conformance DIR`: runs every golden record below a folder.

#include <string>

namespace millrace {

struct ConformanceOptions {
  std::string folder;
  std::string filter;      // only cases whose file/name contains it
  bool verbose = false;    // a line per passed case too
};

// The exit code: 0 if none failed, 1 if some did, 2 if the folder cannot be read.
int run_conformance(const ConformanceOptions& options);

}  // namespace millrace
