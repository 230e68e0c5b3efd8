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
std::vector<float> values(const std::shared_ptr<VariableResource>& v) { return v->value_or_empty().to_vector<float>(); }
bool mentions(const absl::Status& s, const std::string& text) {
  return std::string(s.message()).find(text) != std::string::npos;
}

TEST(Assign, shares_the_value_and_later_updates_leave_it_alone) {
  auto v = std::make_shared<VariableResource>(DataType::kFloat, PartialTensorShape({2}));
  const Tensor one(std::vector<float>{1, 2});
  OpTest assign(all_ops(), "Assign");
  assign.ref_input(v).input(one);
  ASSERT_TRUE(assign.run().ok());
  EXPECT_EQ(assign.output_ref(0), v);
  OpTest add(all_ops(), "AssignAdd");
  add.ref_input(v).input(Tensor(std::vector<float>{10, 20}));
  ASSERT_TRUE(add.run().ok());
  EXPECT_EQ(values(v), (std::vector<float>{11, 22}));
  EXPECT_EQ(one.to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Assign, checks_shapes_unless_told_not_to) {
  auto v = variable(Tensor(std::vector<float>{1, 2}));
  OpTest t(all_ops(), "Assign");
  t.ref_input(v).input(Tensor(std::vector<float>{1, 2, 3}));
  const absl::Status s = t.run();
  EXPECT_TRUE(absl::IsInvalidArgument(s));
  EXPECT_TRUE(mentions(s, "Assign requires shapes of both tensors to match. lhs shape= [2] rhs shape= [3]")) << s;
  OpTest free(all_ops(), "Assign");
  free.attr("validate_shape", false).ref_input(v).input(Tensor(std::vector<float>{1, 2, 3}));
  ASSERT_TRUE(free.run().ok());
  EXPECT_EQ(values(v).size(), 3u);
}

TEST(AssignSub, subtracts_and_checks_the_shape) {
  auto v = variable(Tensor(std::vector<float>{1, 2}));
  OpTest t(all_ops(), "AssignSub");
  t.ref_input(v).input(Tensor(std::vector<float>{1, 1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(values(v), (std::vector<float>{0, 1}));
  t.clear_inputs().ref_input(v).input(Tensor(std::vector<float>{1, 1, 1}));
  EXPECT_TRUE(absl::IsInvalidArgument(t.run()));
}

TEST(CountUpTo, ends_at_its_limit) {
  auto v = variable(Tensor(int32_t{1}));
  OpTest t(all_ops(), "CountUpTo");
  t.attr("limit", 2).ref_input(v);
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).scalar<int32_t>(), 1);
  const absl::Status s = t.run();
  EXPECT_TRUE(absl::IsOutOfRange(s));
  EXPECT_TRUE(mentions(s, "Reached limit of 2"));
}

TEST(ResourceVariable, lives_from_its_first_assignment_to_its_destruction) {
  OpTest handle_op(all_ops(), "VarHandleOp");
  handle_op.attr("dtype", DataType::kFloat).attr("shape", PartialTensorShape({2})).attr("shared_name", "v");
  ASSERT_TRUE(handle_op.run().ok());
  const Tensor handle = handle_op.output(0);

  OpTest read(all_ops(), "ReadVariableOp");
  read.attr("dtype", DataType::kFloat).input(handle);
  const absl::Status missing = read.run();
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
  EXPECT_TRUE(mentions(missing, "Could not find variable v")) << missing;

  OpTest is_initialized(all_ops(), "VarIsInitializedOp");
  is_initialized.input(handle);
  ASSERT_TRUE(is_initialized.run().ok());
  EXPECT_FALSE(is_initialized.output(0).scalar<bool>());

  OpTest assign(all_ops(), "AssignVariableOp");
  assign.input(handle).input(Tensor(std::vector<float>{1, 2}));
  ASSERT_TRUE(assign.run().ok());
  const auto v = *assign.resources().lookup<VariableResource>("localhost", "v");
  EXPECT_EQ(values(v), (std::vector<float>{1, 2}));
}

// Each OpTest has resources of its own: put the variable into them.
Tensor handle_to(OpTest& t, const std::shared_ptr<VariableResource>& v, const std::string& name) {
  EXPECT_TRUE(t.resources().create<VariableResource>("localhost", name, v).ok());
  ResourceHandle h;
  h.container = "localhost";
  h.name = name;
  return *make_scalar(h);
}

TEST(ResourceVariable, reads_and_updates) {
  auto v = variable(Tensor(std::vector<float>{1, 2}));
  OpTest read(all_ops(), "ReadVariableOp");
  read.attr("dtype", DataType::kFloat).input(handle_to(read, v, "v"));
  ASSERT_TRUE(read.run().ok());
  const Tensor before = read.output(0);
  OpTest add(all_ops(), "AssignAddVariableOp");
  add.input(handle_to(add, v, "v")).input(Tensor(std::vector<float>{1, 1}));
  ASSERT_TRUE(add.run().ok());
  EXPECT_EQ(values(v), (std::vector<float>{2, 3}));
  EXPECT_EQ(before.to_vector<float>(), (std::vector<float>{1, 2}));
  ASSERT_TRUE(read.run().ok());
  EXPECT_EQ(read.output(0).to_vector<float>(), (std::vector<float>{2, 3}));
  OpTest shape(all_ops(), "VariableShape");
  shape.input(handle_to(shape, v, "v"));
  ASSERT_TRUE(shape.run().ok());
  EXPECT_EQ(shape.output(0).to_vector<int32_t>(), std::vector<int32_t>{2});
}

struct Case {
  const char* op;
  std::vector<std::vector<float>> slots;
  std::vector<float> before_gradient, after_gradient;  // numbers
  std::vector<float> gradient, wanted;
  bool flag = false;
};
const Case kDense[] = {
    {"ApplyGradientDescent", {{1, 2, 3}}, {0.5f}, {}, {2, 4, 6}, {0, 0, 0}, false},
    {"ApplyMomentum", {{1, 2, 3}, {1, 0, 1}}, {0.5f}, {0.5f}, {2, 4, 6}, {-0.25f, 0, -0.25f}, false},
    {"ApplyMomentum", {{1, 2, 3}, {1, 0, 1}}, {0.5f}, {0.5f}, {2, 4, 6}, {-0.625f, -1, -1.625f}, true},
    // One step of Adam from zero slots moves each element by about the learning rate.
    {"ApplyAdam",
     {{1, 2, 3}, {0, 0, 0}, {0, 0, 0}},
     {0.9f, 0.999f, 0.1f, 0.9f, 0.999f, 1e-8f},
     {},
     {2, -4, 6},
     {0.9f, 2.1f, 2.9f},
     false},
    {"ApplyRMSProp", {{1, 2}, {1, 1}, {0, 0}}, {0.1f, 0.5f, 0, 0}, {}, {1, 1}, {0.9f, 1.9f}, false},
    {"ApplyAdagradV2", {{1, 2}, {0, 5}}, {0.5f, 0}, {}, {2, 2}, {0.5f, 2 - 1.0f / 3}, true},
    {"ApplyAdaMax", {{1, 2}, {0, 0}, {0, 0}}, {0.9f, 0.1f, 0.9f, 0.999f, 0}, {}, {2, -4}, {0.9f, 2.1f}, false},
    {"ApplyProximalGradientDescent", {{1, -0.01f}}, {0.1f, 1, 0}, {}, {2, 0}, {0.7f, 0}, false},
    {"ApplyAddSign", {{1, 2}, {1, -1}}, {0.1f, 1, 1, 0.9f}, {}, {1, 1}, {0.8f, 2}, false},
};

TEST(Apply, references_and_resources_give_the_same) {
  for (const Case& c : kDense) {
    for (const bool resource : {false, true}) {
      SCOPED_TRACE(c.op);
      // Repeated, so that vector loops and their remainders both work.
      const auto repeat = [](const std::vector<float>& v) {
        std::vector<float> r;
        for (int i = 0; i < 9; ++i) r.insert(r.end(), v.begin(), v.end());
        return r;
      };
      OpTest t(all_ops(), resource ? std::string("Resource") + c.op : c.op);
      if (c.flag) t.attr(std::string_view(c.op) == "ApplyAdagradV2" ? "update_slots" : "use_nesterov", true);
      std::vector<std::shared_ptr<VariableResource>> slots;
      for (const auto& s : c.slots) {
        slots.push_back(variable(Tensor(repeat(s))));
        if (resource) t.input(handle_to(t, slots.back(), "slot" + std::to_string(slots.size())));
        else t.ref_input(slots.back());
      }
      for (const float x : c.before_gradient) t.input(Tensor(x));
      t.input(Tensor(repeat(c.gradient)));
      for (const float x : c.after_gradient) t.input(Tensor(x));
      ASSERT_TRUE(t.run().ok()) << t.run();
      const std::vector<float> got = values(slots[0]), wanted = repeat(c.wanted);
      for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-5) << i;
    }
  }
}

TEST(Apply, sparse_momentum_changes_only_its_rows) {
  auto v = variable(Tensor({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6})),
       accum = variable(Tensor(DataType::kFloat, {3, 2}));
  OpTest t(all_ops(), "SparseApplyMomentum");
  t.ref_input(v)
      .ref_input(accum)
      .input(Tensor(0.5f))
      .input(Tensor({1, 2}, std::vector<float>{2, 4}))
      .input(Tensor(std::vector<int64_t>{2}))
      .input(Tensor(0.9f));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(values(v), (std::vector<float>{1, 2, 3, 4, 4, 4}));
  EXPECT_EQ(values(accum), (std::vector<float>{0, 0, 0, 0, 2, 4}));
  t.clear_inputs().ref_input(v).ref_input(accum).input(Tensor(0.5f)).input(Tensor({1, 2}, std::vector<float>{2, 4}));
  t.input(Tensor(std::vector<int64_t>{7})).input(Tensor(0.9f));
  const absl::Status s = t.run();
  EXPECT_TRUE(mentions(s, "Index 7 at offset 0 in indices is out of range")) << s;
}

TEST(Apply, refuses_bad_shapes_and_missing_values) {
  auto v = variable(Tensor(std::vector<float>{1, 2}));
  OpTest t(all_ops(), "ApplyGradientDescent");
  t.ref_input(v).input(Tensor(0.5f)).input(Tensor(std::vector<float>{1, 2, 3}));
  EXPECT_TRUE(mentions(t.run(), "var and grad do not have the same shape[2] [3]"));
  t.clear_inputs().ref_input(v).input(Tensor(std::vector<float>{1})).input(Tensor(std::vector<float>{1, 2}));
  EXPECT_TRUE(absl::IsInvalidArgument(t.run()));
  auto empty = std::make_shared<VariableResource>(DataType::kFloat, PartialTensorShape({2}));
  t.clear_inputs().ref_input(empty).input(Tensor(0.5f)).input(Tensor(std::vector<float>{1, 2}));
  EXPECT_TRUE(absl::IsFailedPrecondition(t.run()));
}

}  // namespace
}  // namespace millrace
