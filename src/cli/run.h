#pragma once
// `millrace run`: trains or evaluates the graph of a .meta file for some steps, fetches, and measures.

#include <optional>
#include <string>
#include <vector>

namespace millrace {

struct RunCommandOptions {
  std::string meta = {};        // a MetaGraphDef, binary or text; also a GraphDef or a SavedModel's folder
  std::string checkpoint = {};  // prefix; empty: run the initializers
  std::string feeds = {};       // record file of one tf.train.Example: placeholder name to serialized TensorProto
  std::vector<std::string> targets = {};  // default: the collection bench_train_op
  std::vector<std::string> fetches = {};
  std::optional<int64_t> steps = {};  // 1
  bool time = false;
  bool json = false;
};

// The exit code: 0, 1 after a failure, 2 where the options make no sense.
int run_command(const RunCommandOptions& options);

}  // namespace millrace
