#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

std::shared_ptr<VariableResource> variable(const Tensor& value) {
  auto v = std::make_shared<VariableResource>(value.dtype(), value.shape());
  v->set(value);
  return v;
}
Tensor handle_to(OpTest& t, const std::shared_ptr<VariableResource>& v) {
  EXPECT_TRUE(t.resources().create<VariableResource>("localhost", "v", v).ok());
  ResourceHandle h;
  h.container = "localhost";
  h.name = "v";
  return *make_scalar(h);
}
bool mentions(const absl::Status& s, const std::string& text) {
  return std::string(s.message()).find(text) != std::string::npos;
}
Tensor matrix() { return Tensor({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}); }

struct Case {
  const char* name;
  std::vector<float> wanted;  // of rows 2 and 0 combined with {10, 20} and {2, 4}
};
const Case kRows[] = {
    {"Update", {2, 4, 3, 4, 10, 20}}, {"Add", {3, 6, 3, 4, 15, 26}},           {"Sub", {-1, -2, 3, 4, -5, -14}},
    {"Mul", {2, 8, 3, 4, 50, 120}},   {"Div", {0.5f, 0.5f, 3, 4, 0.5f, 0.3f}}, {"Min", {1, 2, 3, 4, 5, 6}},
    {"Max", {2, 4, 3, 4, 10, 20}},
};

TEST(Scatter, combines_rows_of_both_kinds_of_variables) {
  for (const Case& c : kRows) {
    for (const bool resource : {false, true}) {
      SCOPED_TRACE(c.name);
      OpTest t(all_ops(), std::string(resource ? "ResourceScatter" : "Scatter") + c.name);
      auto v = variable(matrix());
      if (resource) t.input(handle_to(t, v));
      else t.ref_input(v);
      t.input(Tensor(std::vector<int64_t>{2, 0})).input(Tensor({2, 2}, std::vector<float>{10, 20, 2, 4}));
      ASSERT_TRUE(t.run().ok());
      EXPECT_EQ(v->value_or_empty().to_vector<float>(), c.wanted);
    }
  }
}

TEST(Scatter, a_scalar_goes_to_every_row_and_doubled_indices_count_twice) {
  auto v = variable(matrix());
  OpTest t(all_ops(), "ScatterAdd");
  t.ref_input(v).input(Tensor(std::vector<int32_t>{1, 1})).input(Tensor(1.0f));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(v->value_or_empty().to_vector<float>(), (std::vector<float>{1, 2, 5, 6, 5, 6}));
}

TEST(Scatter, refuses_bad_indices_and_leaves_the_variable_alone) {
  auto v = variable(matrix());
  OpTest t(all_ops(), "ScatterAdd");
  t.ref_input(v).input(Tensor(std::vector<int32_t>{0, 7})).input(Tensor(DataType::kFloat, {2, 2}));
  EXPECT_TRUE(mentions(t.run(), "indices[1] = 7 is not in [0, 3)"));
  t.clear_inputs().ref_input(v).input(Tensor(std::vector<int32_t>{-1})).input(Tensor(DataType::kFloat, {1, 2}));
  EXPECT_TRUE(mentions(t.run(), "indices[0] = -1 is not in [0, 3)"));
  t.clear_inputs().ref_input(v).input(Tensor(std::vector<int32_t>{1})).input(Tensor(DataType::kFloat, {1, 3}));
  EXPECT_TRUE(mentions(t.run(), "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = []"));
  EXPECT_EQ(v->value_or_empty().to_vector<float>(), matrix().to_vector<float>());
  OpTest div(all_ops(), "ScatterDiv");
  div.ref_input(variable(Tensor(std::vector<int32_t>{1, 2})))
      .input(Tensor(std::vector<int32_t>{0}))
      .input(Tensor(std::vector<int32_t>{0}));
  EXPECT_TRUE(absl::IsInvalidArgument(div.run()));
}

TEST(ScatterNd, adds_slices_and_elements) {
  OpTest t(all_ops(), "ScatterNd");
  t.input(Tensor({3, 1}, std::vector<int32_t>{2, 0, 2}))
      .input(Tensor({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}))
      .input(Tensor(std::vector<int32_t>{3, 2}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{3, 4, 0, 0, 6, 8}));
  OpTest e(all_ops(), "TensorScatterUpdate");
  const Tensor before = matrix();
  e.input(before).input(Tensor({2, 2}, std::vector<int32_t>{0, 1, 2, 0})).input(Tensor(std::vector<float>{-1, -2}));
  ASSERT_TRUE(e.run().ok());
  EXPECT_EQ(e.output(0).to_vector<float>(), (std::vector<float>{1, -1, 3, 4, -2, 6}));
  EXPECT_EQ(before.to_vector<float>(), matrix().to_vector<float>());
}

TEST(ScatterNd, refuses_what_does_not_fit) {
  struct Bad {
    TensorShape indices;
    std::vector<int32_t> values;
    TensorShape updates;
    const char* message;
  };
  const Bad cases[] = {
      {{1, 1}, {7}, {1, 2}, "indices[0] = [7] does not index into shape [3,2]"},
      {{1, 1},
       {1},
       {1, 3},
       "Dimensions [1,2) of input[shape=[3,2]] must match dimensions [1,2) of updates[shape=[1,3]]"},
      {{1, 3},
       {1, 2, 3},
       {1},
       "Dimensions [3,2) of input[shape=[3,2]] must match dimensions [1,1) of updates[shape=[1]]"},
      {{2, 1},
       {1, 2},
       {1, 2},
       "Dimensions [0,1) of indices[shape=[2,1]] must match dimensions [0,1) of updates[shape=[1,2]]"},
  };
  for (const Bad& c : cases) {
    OpTest t(all_ops(), "ScatterNdAdd");
    t.ref_input(variable(matrix())).input(Tensor(c.indices, c.values)).input(Tensor(DataType::kFloat, c.updates));
    const absl::Status s = t.run();
    EXPECT_TRUE(absl::IsInvalidArgument(s));
    EXPECT_TRUE(mentions(s, c.message)) << s;
  }
}

TEST(ResourceGather, picks_rows_and_slices) {
  OpTest t(all_ops(), "ResourceGather");
  t.attr("dtype", DataType::kFloat).input(handle_to(t, variable(matrix()))).input(Tensor(std::vector<int32_t>{2, 0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{5, 6, 1, 2}));
  OpTest bad(all_ops(), "ResourceGather");
  bad.attr("dtype", DataType::kFloat).input(handle_to(bad, variable(matrix()))).input(Tensor(std::vector<int32_t>{5}));
  EXPECT_TRUE(mentions(bad.run(), "indices[0] = 5 is not in [0, 3)"));
  OpTest nd(all_ops(), "ResourceGatherNd");
  nd.attr("dtype", DataType::kFloat)
      .input(handle_to(nd, variable(matrix())))
      .input(Tensor({2, 2}, std::vector<int32_t>{2, 1, 0, 0}));
  ASSERT_TRUE(nd.run().ok());
  EXPECT_EQ(nd.output(0).to_vector<float>(), (std::vector<float>{6, 1}));
}

}  // namespace
}  // namespace millrace
