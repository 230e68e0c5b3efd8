#pragma once
// What hooks, scaffolds, sessions and coordinators share.

#include <exception>
#include <string>
#include <string_view>

#include "millrace/framework.h"
#include "millrace/train/saver.h"

namespace millrace::train {

// The read of the global step that hooks fetch; FailedPrecondition (TF1's RuntimeError) if the graph has no global
// step.
Output required_global_step(std::string_view hook);
// An int32 or int64 scalar.
int64_t step_of(const Tensor& value);
// What an exception says.
std::string message_of(const std::exception_ptr& error);
// An item of the collection of savers; FailedPrecondition if it is something else.
Saver saver_in(const CollectionItem& item);
// Runs the initializers of all tables; "init_all_tables".
Operation tables_initializer();
// The graph as graph.pbtxt in a directory, which is made if it is not there (any more).
void write_graph_text(const Graph& graph, const std::string& directory);

}  // namespace millrace::train
