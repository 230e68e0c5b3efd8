#include "api/op_builder.h"

#include "graph/constant_value.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

thread_local const std::source_location* current_where = nullptr;
thread_local std::source_location where_storage;

std::string describe(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const size_t slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
  return str_cat(file, ":", where.line());
}

}  // namespace

SourceScope::SourceScope(const std::source_location& where) : outermost_(current_where == nullptr) {
  if (!outermost_) return;
  where_storage = where;
  current_where = &where_storage;
}

SourceScope::~SourceScope() {
  if (outermost_) current_where = nullptr;
}

std::string current_source() { return current_where ? describe(*current_where) : std::string(); }

GraphImpl& default_graph() { return get_default_graph().impl(); }

Operation create_op(std::string_view type, const std::vector<OpArg>& args, AttrMap attrs, std::string_view name) {
  OpRequest request;
  request.type = type;
  request.args = args;
  request.attrs = std::move(attrs);
  request.name = name;
  request.source = current_source();
  if (request.source.empty())
    for (const OpArg& arg : args)
      if (!arg.is_list() && !arg.values().empty() && arg.values()[0].where().line() != 0) {
        request.source = describe(arg.values()[0].where());
        break;
      }
  return Operation(value_or_raise(make_op(default_graph(), request)));
}

std::vector<Output> outputs_of(const Operation& op) {
  std::vector<Output> outputs;
  for (int i = 0; i < op.num_outputs(); ++i) outputs.push_back(op.output(i));
  return outputs;
}

void set_seed_attrs(std::optional<int64_t> op_seed, AttrMap* attrs) {
  const SeedPair seeds = get_seed(op_seed);
  attrs->insert_or_assign("seed", AttrValue(seeds.seed.value_or(0)));
  attrs->insert_or_assign("seed2", AttrValue(seeds.seed2.value_or(0)));
}

Output shape_tensor(const Output& x, DataType out_type, std::string_view name) {
  GraphImpl& graph = default_graph();
  const std::string_view op_name = name.empty() ? "Shape" : name;
  const PartialTensorShape shape = x.shape();
  if (!shape.is_fully_defined()) return create_output("Shape", {x}, {{"out_type", out_type}}, op_name);
  const Tensor dims = value_or_raise(make_vector<int64_t>(shape.dims()));
  return value_or_raise(make_const(graph, value_or_raise(cast_literal(dims, out_type)), op_name, current_source()));
}

}  // namespace millrace
