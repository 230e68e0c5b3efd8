#pragma once
// The signature of an op or of a function: arguments, attributes, flags (TensorFlow's OpDef as C++ values).

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "millrace/attr.h"

namespace millrace {

// One declared argument, which may stand for several tensors:
//   "x: float"  "x: T" (type_attr)  "x: N * T" (number_attr)  "x: Tlist" (type_list_attr)  "x: Ref(T)" (is_ref)
struct ArgDef {
  std::string name;
  DataType type = DataType::kInvalid;
  std::string type_attr;
  std::string number_attr;
  std::string type_list_attr;
  bool is_ref = false;
};

struct AttrDef {
  std::string name;
  std::string type;  // "int", "float", "bool", "string", "type", "shape", "tensor", "func", or "list(...)" of these
  std::optional<AttrValue> default_value;
  std::vector<DataType> allowed_types;       // empty: all
  std::vector<std::string> allowed_strings;  // empty: all
  std::optional<int64_t> minimum;            // of an int, or of a list's length
};

struct OpDef {
  std::string name;
  std::vector<ArgDef> inputs;
  std::vector<ArgDef> outputs;
  std::vector<AttrDef> attrs;
  std::string doc;
  bool is_stateful = false;
  bool is_commutative = false;
  bool is_aggregate = false;
  bool allows_uninitialized_input = false;

  const AttrDef* find_attr(std::string_view attr) const;
  int input_index(std::string_view arg) const;  // -1 if there is none
  int output_index(std::string_view arg) const;
};

// The dtypes of an argument list under a node's attributes, and how many tensors each argument takes.
struct ArgTypes {
  std::vector<DataType> types;  // flat, one per tensor; reference types for Ref arguments
  std::vector<int> begin;       // argument i is types[begin[i]] .. types[begin[i + 1])
};
absl::StatusOr<ArgTypes> resolve_args(const std::vector<ArgDef>& args, const AttrMap& attrs);

// Checks that `attrs` has each declared attribute with the declared type, range and allowed values; fills in defaults.
// Attributes that begin with '_' pass through; unknown others are InvalidArgument, as in TensorFlow.
absl::Status check_and_complete_attrs(const OpDef& def, AttrMap* attrs);

// Specs as REGISTER_OP takes them: "T: {float, double} = DT_FLOAT", "values: N * T", "axis: int >= 0 = 1".
absl::StatusOr<AttrDef> parse_attr(std::string_view spec);
absl::StatusOr<ArgDef> parse_arg(std::string_view spec);

}  // namespace millrace
