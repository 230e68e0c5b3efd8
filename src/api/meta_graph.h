#pragma once
// Graphs with their collections to and from MetaGraphDef. Which collections hold what: TF1's proto conversions.

#include <string>

#include "millrace/framework.h"

namespace tensorflow {
class MetaGraphDef;
}

namespace millrace {

struct MetaGraphOptions {
  bool clear_devices = false;
  bool strip_default_attrs = false;
};
void to_meta_graph(const Graph& graph, const MetaGraphOptions& options, tensorflow::MetaGraphDef* out);
// Into the default graph. The names of ops and, in collections, of what they refer to begin with `import_scope`.
void from_meta_graph(const tensorflow::MetaGraphDef& meta_graph, bool clear_devices, const std::string& import_scope);

}  // namespace millrace
