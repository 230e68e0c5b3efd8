#pragma once
// Runs one op for a test, without a graph: attributes completed, shape function checked against what the kernel then
// makes.
//
//   OpTest t(all_ops(), "MatMul");
//   t.attr("transpose_b", true).input(Tensor({2, 2}, std::vector<float>{1, 2, 3, 4})).input(...);
//   ASSERT_TRUE(t.run().ok());   EXPECT_EQ(t.output(0).to_vector<float>(), ...);
// The type attributes T, and list counts N, are read off the inputs where the test does not set them.

#include <memory>
#include <string>
#include <vector>

#include "op/kernel.h"
#include "op/registry.h"

namespace millrace {

class OpTest {
 public:
  OpTest(const Registry& registry, std::string op);
  ~OpTest();
  OpTest& attr(std::string name, AttrValue value);
  OpTest& input(Tensor value);               // inputs in order, lists flat
  OpTest& inputs(std::vector<Tensor> list);  // one list argument
  OpTest& ref_input(std::shared_ptr<VariableResource> variable);
  OpTest& functions(FunctionRunner* runner);
  // Makes the kernel on the first call and runs it; again for kernels that keep state. Inputs may be replaced in
  // between.
  absl::Status run();
  OpTest& clear_inputs();

  const Tensor& output(int i) const { return outputs_.at(static_cast<size_t>(i)).tensor; }
  std::shared_ptr<VariableResource> output_ref(int i) const { return outputs_.at(static_cast<size_t>(i)).variable; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  ResourceManager& resources();
  // The shapes the shape function infers for partly known inputs ("[2,?]", "[]", "?"), without running a kernel. Type
  // attributes must be set.
  absl::StatusOr<std::vector<std::string>> infer(const std::vector<PartialTensorShape>& shapes,
                                                 std::vector<const Tensor*> values = {});

 private:
  struct State;
  absl::Status prepare();
  absl::Status infer_types();
  const OpEntry* entry_;
  const Registry& registry_;
  NodeInfo node_;
  std::vector<InputValue> inputs_;
  std::vector<std::vector<size_t>> args_;  // of inputs_, by argument
  std::vector<InputValue> outputs_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
