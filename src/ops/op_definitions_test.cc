// Every registered op against TensorFlow's definition of it, and the registered names against the checked-in list.
//
// op_definitions.txt is written by tools/op_definitions.py from TensorFlow's op list. registered_ops.txt is written by
// this test when MILLRACE_UPDATE=1 is set: run it so after adding an op, and read the difference.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "gtest/gtest.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

const char* const kFolder = MILLRACE_SOURCE_DIR "/src/ops/";

std::string arg_text(const ArgDef& arg) {
  std::string kind = !arg.type_list_attr.empty() ? arg.type_list_attr
                     : !arg.type_attr.empty()    ? arg.type_attr
                                                 : dtype_name(arg.type);
  if (!arg.number_attr.empty()) kind = arg.number_attr + " * " + kind;
  return arg.name + ": " + (arg.is_ref ? "Ref(" + kind + ")" : kind);
}

std::string upper(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::toupper(c); });
  return s;
}

std::string value_text(float v) {
  char text[64];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(v));
  return text;
}
std::string value_text(int64_t v) { return std::to_string(v); }
std::string value_text(bool v) { return v ? "true" : "false"; }
std::string value_text(const std::string& v) {
  std::string text = "\"";
  for (const char c : v) {
    if (c == '\n') text += "\\n";
    else if (c == '\t') text += "\\t";
    else if (c == '"' || c == '\\' || c == '\'') text += std::string("\\") + c;
    else text += c;
  }
  return text + "\"";
}
std::string value_text(DataType v) { return "DT_" + upper(dtype_name(v)); }
std::string value_text(const PartialTensorShape& v) {
  if (!v.has_rank()) return "<unknown>";
  std::string text = "[";
  for (int i = 0; i < v.rank(); ++i) text += (i ? "," : "") + std::to_string(v.dim(i));
  return text + "]";
}
std::string value_text(const Tensor&) { return "tensor"; }
std::string value_text(const FunctionRef& v) { return "func(\"" + v.name + "\")"; }
std::string value_text(const AttrPlaceholder&) { return "$"; }
std::string value_text(const EmptyList&) { return "[]"; }
std::string value_text(std::monostate) { return "nothing"; }
template <class T> std::string value_text(const std::vector<T>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + value_text(T(values[i]));
  return text + "]";
}

std::string attr_text(const AttrDef& attr) {
  std::string kind = attr.type;
  std::vector<std::string> names;
  for (const DataType d : attr.allowed_types) names.push_back(dtype_name(d));
  for (const std::string& s : attr.allowed_strings) names.push_back("'" + s + "'");
  if (!names.empty()) {
    std::sort(names.begin(), names.end());
    std::string set = "{";
    for (size_t i = 0; i < names.size(); ++i) set += (i ? ", " : "") + names[i];
    set += "}";
    kind = attr.type.starts_with("list(") ? "list(" + set + ")" : set;
  }
  std::string text = attr.name + ": " + kind;
  if (attr.minimum) text += " >= " + std::to_string(*attr.minimum);
  if (attr.default_value)
    text += " = " + std::visit([](const auto& v) { return value_text(v); }, attr.default_value->value());
  return text;
}

template <class T, class Fn> std::string joined(const std::vector<T>& items, const char* separator, Fn&& fn) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) text += (i ? separator : "") + fn(items[i]);
  return text;
}

std::string definition_text(const OpDef& def) {
  std::string text = def.name + "(" + joined(def.inputs, ", ", arg_text) + ") -> (" +
                     joined(def.outputs, ", ", arg_text) + ") {" + joined(def.attrs, "; ", attr_text) + "}";
  if (def.is_stateful) text += " stateful";
  if (def.is_commutative) text += " commutative";
  if (def.is_aggregate) text += " aggregate";
  if (def.allows_uninitialized_input) text += " allows_uninitialized_input";
  return text;
}

std::vector<std::string> lines_of(const std::string& name) {
  std::ifstream file(kFolder + name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(OpDefinitions, registrations_are_well_formed) { EXPECT_EQ(all_ops().errors(), std::vector<std::string>()); }

TEST(OpDefinitions, equal_those_of_tensorflow) {
  std::map<std::string, std::string> expected;
  for (const std::string& line : lines_of("op_definitions.txt")) expected[line.substr(0, line.find('('))] = line;
  ASSERT_GT(expected.size(), 1000u);
  for (const std::string& name : all_ops().names()) {
    const auto found = expected.find(name);
    if (found == expected.end()) continue;  // ours, or of another TensorFlow than the listed one: in the list of names
    EXPECT_EQ(definition_text(all_ops().find(name)->def), found->second);
  }
}

TEST(OpDefinitions, have_what_they_need) {
  for (const std::string& name : all_ops().names()) {
    const OpEntry& entry = *all_ops().find(name);
    EXPECT_NE(entry.shape, nullptr) << name << " has no shape function";
    EXPECT_FALSE(entry.kernels.empty()) << name << " has no kernel";
    EXPECT_FALSE(entry.def.doc.empty()) << name << " has no documentation";
  }
}

TEST(OpDefinitions, names_are_those_listed) {
  const std::vector<std::string> names = all_ops().names();
  if (const char* update = std::getenv("MILLRACE_UPDATE"); update != nullptr && std::string(update) == "1") {
    std::ofstream file(std::string(kFolder) + "registered_ops.txt");
    for (const std::string& name : names) file << name << '\n';
  }
  EXPECT_EQ(names, lines_of("registered_ops.txt")) << "MILLRACE_UPDATE=1 rewrites the list";
}

}  // namespace
}  // namespace millrace
