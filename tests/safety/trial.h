#pragma once
// One case of the safety test: a small graph around the op under test, with what to run and in which order.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "tests/safety/chance.h"

namespace millrace {

struct Trial {
  struct Step {
    std::vector<Output> fetches;
    std::vector<Node*> targets;
  };
  std::shared_ptr<GraphImpl> graph;
  Node* node = nullptr;                          // the op under test
  std::vector<Step> before;                      // what it needs: variables initialized and the like
  Step main;                                     // runs it
  std::vector<Step> after;                       // what its result is good for, such as the elements of a dataset
  std::vector<std::pair<Output, Tensor>> feeds;  // of every step
  bool repeatable = false;                       // the main step twice must give the same bits twice
};

// False for stateful ops, and for those that share something by name or draw numbers without a seed, though TensorFlow
// does not call them stateful.
bool is_repeatable(const OpEntry& op);

// What the trial runs, for who has to look into it.
std::string describe(const Trial& trial);

// A call of the op made up from its declaration. An error is what building the graph said: a case, too.
absl::StatusOr<Trial> declared_trial(const std::string& op, Chance& chance);
// A graph that TensorFlow ran once (tests/golden), with some of its constants, feeds and attributes changed. NotFound
// where there is none of the op.
absl::StatusOr<Trial> mutated_trial(const std::string& op, Chance& chance);

// Runs it all under a deadline and a limit of memory, and gives what is wrong: nothing, where each step gave a right
// answer or a clean error.
std::string fault_of(const Trial& trial, Chance& chance);
// The same of what building said. Empty where it is a clean error.
std::string fault_of(const absl::Status& status);

}  // namespace millrace
