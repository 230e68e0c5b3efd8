#pragma once
// What a graph's collections hold: named, ordered lists of nodes, values and objects.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "millrace/graph.h"

namespace millrace {

#pragma GCC visibility push(default)

// An object of the API that collections hold: a variable, a queue runner, a saver, a control flow context.
class CollectionObject {
 public:
  virtual ~CollectionObject() = default;
  // The name by which get_collection's scope filter sees it; empty if it has none.
  virtual std::string name() const { return {}; }
  // Serialized as a MetaGraphDef stores it (a VariableDef, a QueueRunnerDef); empty if it cannot be stored.
  virtual std::string to_proto() const { return {}; }
};

using CollectionItem = std::variant<Output, Operation, std::string, int64_t, float, std::shared_ptr<CollectionObject>>;

#pragma GCC visibility pop

}  // namespace millrace
