// TensorArrays and stacks live as long as their step: what they refuse, and that nothing of them outlives a run.

#include "gmock/gmock.h"
#include "runtime/testing_graph.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct TestArray {
  TestArray(TestGraph& g, int32_t size) {
    Node* made = g.node("TensorArrayV3", {g.constant(Tensor(size))}, {{"dtype", DataType::kFloat}});
    handle = made->output(0);
    flow = made->output(1);
  }
  Output handle, flow;
};

TEST(StepResources, every_run_has_arrays_of_its_own) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kFloat, {2});
  TestArray a(g, 1);
  const Output flow = g.op("TensorArrayWriteV3", {a.handle, g.constant(Tensor(0)), x, a.flow});
  const Output read = g.op("TensorArrayReadV3", {a.handle, g.constant(Tensor(0)), flow}, {{"dtype", DataType::kFloat}});
  const auto session = g.session();
  for (const float value : {1.0f, 2.0f}) {
    const auto got = run_all(*session, {read}, {{x, Tensor(std::vector<float>{value, 3})}});
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_THAT((*got)[0].to_vector<float>(), ElementsAre(value, 3));
  }
  // A handle that is kept is no way into a later run.
  const auto handle = run_all(*session, {a.handle});
  ASSERT_TRUE(handle.ok()) << handle.status();
  const auto late = run_all(*session, {read}, {{a.handle, (*handle)[0]}, {x, Tensor(std::vector<float>{1, 2})}});
  EXPECT_EQ(late.status().code(), absl::StatusCode::kInvalidArgument) << late.status();  // its static shape is [2]
}

TEST(StepResources, split_refuses_negative_lengths) {
  TestGraph g;
  const Output lengths = g.placeholder(DataType::kInt64, {2});
  TestArray a(g, 2);
  const Output split =
      g.op("TensorArraySplitV3", {a.handle, g.constant(Tensor(std::vector<float>{1, 2})), lengths, a.flow});
  const auto session = g.session();
  EXPECT_TRUE(run_all(*session, {split}, {{lengths, Tensor(std::vector<int64_t>{0, 2})}}).ok());
  const auto got = run_all(*session, {split}, {{lengths, Tensor(std::vector<int64_t>{-1, 3})}});
  EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(got), HasSubstr("lengths to be at least 0, but received -1"));
}

TEST(StepResources, handles_of_other_kinds_are_refused) {
  TestGraph g;
  const Output stack = g.op("StackV2", {g.constant(Tensor(-1))}, {{"elem_type", DataType::kFloat}});
  const Output read = g.op("TensorArrayReadV3", {stack, g.constant(Tensor(0)), g.constant(Tensor(0.0f))},
                           {{"dtype", DataType::kFloat}});
  const auto got = run_all(*g.session(), {read});
  EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument) << got.status();
  EXPECT_THAT(message(got), HasSubstr("Wrong input container"));
}

}  // namespace
}  // namespace millrace
