#pragma once
// A run's report as TensorFlow's RunMetadata proto.

#include <string>

#include "runtime/session.h"

namespace tensorflow {
class RunMetadata;
}

namespace millrace {

void to_proto(const RunReport& report, tensorflow::RunMetadata* metadata);
std::string run_metadata_bytes(const RunReport& report);
// Back from the proto, which may be a server's: what ran.
std::vector<NodeStats> node_stats(const tensorflow::RunMetadata& metadata);

}  // namespace millrace
