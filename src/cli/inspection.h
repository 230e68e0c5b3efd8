#pragma once
// What the inspectors of single files give; internal to `millrace inspect`.

#include <string>

#include "base/status.h"
#include "io/compression.h"
#include "nlohmann/json.hpp"

namespace millrace {

using Json = nlohmann::ordered_json;

// What was found, for programs and for people, as far as the file could be read; and what stopped the reading.
struct Inspection {
  Json json = Json::object();  // "file" and "kind" first
  std::string text;
  absl::Status status;
};

Inspection inspect_checkpoint(const std::string& prefix, bool verify);
Inspection inspect_checkpoint_state(const std::string& path);
Inspection inspect_graph(const std::string& path);
Inspection inspect_events(const std::string& path);
Inspection inspect_records(const std::string& path, Compression compression);

// "1 node", "2 nodes".
std::string count_of(int64_t count, const std::string& what);
// "3.4 MB".
std::string human_bytes(uint64_t bytes);

}  // namespace millrace
