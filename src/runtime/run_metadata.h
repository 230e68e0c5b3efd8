#pragma once
// A run's report as TensorFlow's RunMetadata proto.

#include <string>

#include "runtime/session.h"

namespace tensorflow {
class RunMetadata;
}

namespace millrace {

void to_proto(const RunReport& report, tensorflow::RunMetadata* metadata);
// Of step_stats what a report holds besides the outputs; no partition graphs.
void from_proto(const tensorflow::RunMetadata& metadata, RunReport* report);
std::string run_metadata_bytes(const RunReport& report);
// Back from the proto: what ran.
std::vector<NodeStats> node_stats(const tensorflow::RunMetadata& metadata);

}  // namespace millrace
