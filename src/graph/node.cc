#include "graph/node.h"

#include <algorithm>

#include "base/strings.h"
#include "graph/graph.h"

namespace millrace {

const AttrValue* Node::find_attr(std::string_view name) const {
  const auto it = info_.attrs.find(name);
  return it == info_.attrs.end() ? nullptr : &it->second;
}

const Tensor* Node::constant_value(int i) const { return outputs_.at(static_cast<size_t>(i)).constant.get(); }

std::string Output::name() const { return str_cat(node_->name(), ":", index_); }
DataType Output::dtype() const { return node_->output_type(index_); }
PartialTensorShape Output::shape() const { return node_->output_shape(index_); }
Operation Output::op() const { return Operation(node_); }

const std::string& Operation::name() const { return node_->name(); }
const std::string& Operation::type() const { return node_->op(); }
const std::string& Operation::device() const { return node_->device(); }
int Operation::num_inputs() const { return node_->num_inputs(); }
int Operation::num_outputs() const { return node_->num_outputs(); }
Output Operation::input(int i) const { return node_->input(i); }
Output Operation::output(int i) const { return node_->output(i); }
const AttrMap& Operation::attrs() const { return node_->attrs(); }
const std::string& Operation::source() const { return node_->source(); }
std::vector<Operation> Operation::control_inputs() const {
  return {node_->control_inputs().begin(), node_->control_inputs().end()};
}

static Tensor vector_of(std::initializer_list<int64_t> list) {
  const bool narrow = std::ranges::all_of(list, [](int64_t v) { return v == static_cast<int32_t>(v); });
  return narrow ? Tensor(std::vector<int32_t>(list.begin(), list.end())) : Tensor(std::vector<int64_t>(list));
}
IntList::IntList(std::initializer_list<int64_t> list, std::source_location where) : Input(vector_of(list), where) {}

}  // namespace millrace
