#pragma once
// What every function of the API is built with: operations of the default graph, errors as exceptions, and the user's
// source line on each node.
//
//   Output matmul(const Input& a, const Input& b, const MatMulOptions& o) {
//     return create_op("MatMul", {a, b}, {{"transpose_a", o.transpose_a}}, o.name).output(0);
//   }
// A function that builds several operations opens a SourceScope first (and mostly a name_scope), so that all its nodes
// carry the line of the call that the user wrote.

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "graph/op_maker.h"
#include "millrace/framework.h"

namespace millrace {

// The outermost one alive in this thread gives the source line of new nodes.
class SourceScope {
 public:
  explicit SourceScope(const std::source_location& where);
  explicit SourceScope(const Input& input) : SourceScope(input.where()) {}
  ~SourceScope();
  SourceScope(const SourceScope&) = delete;
  SourceScope& operator=(const SourceScope&) = delete;

 private:
  bool outermost_;
};
std::string current_source();  // "train.cc:42"; empty outside of all scopes

GraphImpl& default_graph();

// A node named `name` (empty: its type; "a/b/": exactly that, the name of an open scope), in the open scopes. `args` is
// one per declared input; a brace list of vectors for list inputs. Literals become constants named after the argument.
Operation create_op(std::string_view type, const std::vector<OpArg>& args, AttrMap attrs = {},
                    std::string_view name = {});
inline Output create_output(std::string_view type, const std::vector<OpArg>& args, AttrMap attrs = {},
                            std::string_view name = {}) {
  return create_op(type, args, std::move(attrs), name).output(0);
}
std::vector<Output> outputs_of(const Operation& op);

// The seeds of a random op as attributes "seed" and "seed2" (0 and 0 if there are none).
void set_seed_attrs(std::optional<int64_t> op_seed, AttrMap* attrs);

// tf.shape(x) as Python builds it: a constant where the shape is known, else a Shape op.
Output shape_tensor(const Output& x, DataType out_type = int32, std::string_view name = {});

}  // namespace millrace
