#pragma once
// `millrace inspect FILE...`: what is in checkpoints, graphs, event files and record files.

#include <string>
#include <vector>

namespace millrace {

struct InspectOptions {
  std::vector<std::string> files = {};
  bool verify = false;  // read checkpoints whole, and compare checksums
  bool json = false;
};

// The exit code: 0, or 1 if a file could not be read to its end.
int inspect_command(const InspectOptions& options);

}  // namespace millrace
