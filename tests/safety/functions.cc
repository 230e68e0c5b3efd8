#include "tests/safety/functions.h"

#include <cstdlib>

#include "ops/all_ops.h"

namespace millrace {
namespace {

FunctionDef function(const char* name, DataType in, DataType out, std::vector<NodeDef> nodes, const char* result) {
  FunctionDef f;
  f.signature.name = name;
  ArgDef x, y;
  x.name = "x", x.type = in;
  y.name = "y", y.type = out;
  f.signature.inputs = {x};
  f.signature.outputs = {y};
  f.nodes = std::move(nodes);
  f.ret = {{"y", result}};
  return f;
}

NodeDef node(const char* name, const char* op, std::vector<std::string> inputs, AttrMap attrs) {
  return {.name = name, .op = op, .device = "", .inputs = std::move(inputs), .attrs = std::move(attrs)};
}

NodeDef number(const char* name, int64_t value) {
  return node(name, "Const", {}, {{"dtype", int64}, {"value", Tensor(value)}});
}

std::vector<FunctionDef> definitions() {
  const std::vector<DataType> types = {int64};
  const std::vector<PartialTensorShape> shapes = {PartialTensorShape::scalar()};
  FunctionDef nothing;
  nothing.signature.name = "fn_nothing";
  return {
      function("fn_int", int64, int64, {node("n", "AddV2", {"x", "x"}, {{"T", int64}})}, "n:z:0"),
      function("fn_float", float32, float32, {node("n", "Mul", {"x", "x"}, {{"T", float32}})}, "n:z:0"),
      function("fn_pred", int64, bool_, {number("c", 3), node("n", "Less", {"x", "c:output:0"}, {{"T", int64}})},
               "n:z:0"),
      function("fn_dataset", int64, variant,
               {number("a", 0), number("c", 1),
                node("n", "RangeDataset", {"a:output:0", "x", "c:output:0"},
                     {{"output_types", types}, {"output_shapes", shapes}})},
               "n:handle:0"),
      function("fn_fails", int64, int64, {number("c", 0), node("n", "FloorDiv", {"x", "c:output:0"}, {{"T", int64}})},
               "n:z:0"),
      function("fn_calls_itself", int64, int64,
               {node("n", "PartitionedCall", {"x"},
                     {{"Tin", types}, {"Tout", types}, {"f", FunctionRef("fn_calls_itself")}})},
               "n:output:0"),
      nothing,
  };
}

}  // namespace

std::shared_ptr<FunctionLibrary> safety_functions() {
  static const std::shared_ptr<FunctionLibrary> library = [] {
    auto made = std::make_shared<FunctionLibrary>(all_ops());
    for (FunctionDef& f : definitions())
      if (!made->add(std::move(f)).ok()) std::abort();
    return made;
  }();
  return library;
}

}  // namespace millrace
