#pragma once
// A meta graph made ready to run: its graph in a session, its variables restored or initialised as its collections say.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "runtime/session.h"

namespace tensorflow {
class MetaGraphDef;
}

namespace millrace {

using Feeds = std::vector<std::pair<Output, Tensor>>;

class Model {
 public:
  // Imports the graph. `source` names the file in errors.
  static absl::StatusOr<std::unique_ptr<Model>> create(const tensorflow::MetaGraphDef& meta_graph, std::string source);
  ~Model();

  GraphImpl& graph() const { return *graph_; }
  SessionCore& session() const { return *session_; }

  // Runs the initializers of all variables, global and local, then those of the tables.
  absl::Status initialize();
  // Restores the global variables from a checkpoint, through the graph's saver where it has one; initialises local
  // variables and tables.
  absl::Status restore(const std::string& prefix);
  // Initialises local variables and tables only, as a graph without global variables needs it.
  absl::Status initialize_local();
  // Folder of the SavedModel that the graph is from: its assets are found there. Before initialize or restore.
  absl::Status use_assets(const std::string& folder);
  // Starts the iterators whose datasets depend on nothing that must be fed.
  absl::Status initialize_iterators();

  absl::StatusOr<std::vector<Tensor>> run(const Feeds& feeds, const std::vector<Output>& fetches,
                                          const std::vector<Node*>& targets = {});

  absl::StatusOr<Feeds> find_feeds(const std::vector<std::string>& names, const std::vector<Tensor>& values) const;
  absl::StatusOr<std::vector<Output>> find_outputs(const std::vector<std::string>& names) const;
  // Operations by name; a tensor's name stands for its operation.
  absl::StatusOr<std::vector<Node*>> find_targets(const std::vector<std::string>& names) const;
  // The names in a collection of nodes; empty if there is none.
  std::vector<std::string> collection(std::string_view key) const;

 private:
  Model() = default;
  absl::StatusOr<std::vector<Node*>> initializers(const std::vector<std::string_view>& keys) const;
  absl::Status run_targets(const std::vector<Node*>& targets);
  absl::Status load_variables(const std::string& prefix);

  std::string source_;
  std::unique_ptr<tensorflow::MetaGraphDef> meta_;  // without the graph itself
  std::shared_ptr<GraphImpl> graph_;
  std::shared_ptr<SessionCore> session_;
  Feeds assets_;  // fed wherever initializers run
};

// What to fetch to read a variable of a graph: the output of a reference variable, the read op of a resource variable.
absl::StatusOr<Output> variable_value(const GraphImpl& graph, const std::string& name);

}  // namespace millrace
