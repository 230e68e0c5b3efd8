#pragma once
// tf.group and tf.tuple.

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace millrace {

// A NoOp that is done when all nodes are, one more per device where they stand on several. `name` empty: "group_deps".
absl::StatusOr<Node*> make_group_op(GraphImpl& graph, const std::vector<Node*>& nodes, std::string_view name = {},
                                    const std::string& source = {});

// The same tensors, each available only once all of them, and `control`, are. Absent ones stay absent.
absl::StatusOr<std::vector<Output>> make_tuple_op(GraphImpl& graph, const std::vector<Output>& tensors,
                                                  const std::vector<Node*>& control = {}, std::string_view name = {},
                                                  const std::string& source = {});

}  // namespace millrace
