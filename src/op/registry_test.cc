#include "op/registry.h"

#include <gtest/gtest.h>

#include "op/shape_context.h"
#include "op/testing.h"

namespace millrace {
namespace {

template <class T> class Twice final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] + x[i];
    return absl::OkStatus();
  }
};

void register_twice(Registry& r) {
  r.op("Twice")
      .input("x: T")
      .output("y: T")
      .attr("T: {float, int32} = DT_FLOAT")
      .shape(unchanged_shape)
      .cpu<Twice, float, int32_t>();
  r.op("Many")
      .input("xs: N * T")
      .input("ys: Tys")
      .input("v: Ref(float)")
      .output("n: int32")
      .attr("N: int >= 1")
      .attr("T: numbertype")
      .attr("Tys: list({int32, string}) >= 0 = []")
      .attr("mode: {'a', 'b'} = 'b'")
      .attr("dims: list(int) = [1, -2]")
      .attr("f: func = 'g'")
      .attr("shape: shape = { unknown_rank: true }")
      .attr("ratio: float = 0.5");
}

struct RegistryTest : testing::Test {
  RegistryTest() { register_twice(registry); }
  Registry registry;
};

TEST_F(RegistryTest, parses_specs) {
  EXPECT_TRUE(registry.errors().empty()) << registry.errors()[0];
  const OpDef& def = registry.find("Many")->def;
  EXPECT_EQ(def.inputs[0].number_attr, "N");
  EXPECT_EQ(def.inputs[0].type_attr, "T");
  EXPECT_EQ(def.inputs[1].type_list_attr, "Tys");
  EXPECT_TRUE(def.inputs[2].is_ref);
  EXPECT_EQ(def.outputs[0].type, DataType::kInt32);
  EXPECT_EQ(def.find_attr("N")->minimum, 1);
  EXPECT_EQ(*def.find_attr("mode")->default_value, AttrValue("b"));
  EXPECT_EQ(*def.find_attr("dims")->default_value, AttrValue(std::vector<int64_t>{1, -2}));
  EXPECT_EQ(def.find_attr("f")->default_value->get<FunctionRef>()->name, "g");
  EXPECT_EQ(*def.find_attr("ratio")->default_value, AttrValue(0.5f));
  EXPECT_FALSE(def.find_attr("shape")->default_value->get<PartialTensorShape>()->has_rank());
}

TEST_F(RegistryTest, refuses_a_doubled_name_and_bad_specs) {
  registry.op("Twice");
  registry.op("Bad").input("no colon").attr("T: {nonsense}");
  EXPECT_EQ(registry.errors().size(), 3u);
}

TEST_F(RegistryTest, completes_and_checks_attrs) {
  const OpDef& def = registry.find("Many")->def;
  AttrMap attrs = {{"N", 2}, {"T", DataType::kFloat}};
  ASSERT_TRUE(check_and_complete_attrs(def, &attrs).ok());
  EXPECT_EQ(attrs.at("mode"), AttrValue("b"));
  const ArgTypes types = *resolve_args(def.inputs, attrs);
  EXPECT_EQ(types.types, (std::vector<DataType>{DataType::kFloat, DataType::kFloat, ref_dtype(DataType::kFloat)}));
  EXPECT_EQ(types.begin, (std::vector<int>{0, 2, 2, 3}));

  const std::pair<AttrMap, std::string> bad[] = {
      {{{"T", DataType::kFloat}}, "needs attr 'N'"},
      {{{"N", 0}, {"T", DataType::kFloat}}, "must be at least minimum 1"},
      {{{"N", 1}, {"T", DataType::kString}}, "not in the list of allowed values"},
      {{{"N", 1}, {"T", DataType::kFloat}, {"mode", "c"}}, "not in the list of allowed values"},
      {{{"N", "x"}, {"T", DataType::kFloat}}, "must be of type int"},
      {{{"N", 1}, {"T", DataType::kFloat}, {"stranger", 1}}, "mentions attr 'stranger'"},
  };
  for (auto [map, message] : bad) {
    const absl::Status status = check_and_complete_attrs(def, &map);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
  }
}

TEST_F(RegistryTest, finds_kernels_by_type) {
  EXPECT_TRUE(registry.find_kernel("Twice", "CPU", {{"T", DataType::kInt32}}).ok());
  const auto missing = registry.find_kernel("Twice", "CPU", {{"T", DataType::kDouble}});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.status().message().find("T in [int32]"), absl::string_view::npos) << missing.status();
}

TEST_F(RegistryTest, runs_an_op) {
  OpTest t(registry, "Twice");
  t.input(Tensor({2}, std::vector<int32_t>{3, 4}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<int32_t>(), (std::vector<int32_t>{6, 8}));
  EXPECT_EQ(*OpTest(registry, "Twice").infer({PartialTensorShape({-1, 2})}), std::vector<std::string>{"[?,2]"});
}

TEST(VariableResource, update_copies_a_shared_value) {
  VariableResource v(DataType::kFloat, PartialTensorShape());
  EXPECT_EQ(v.value("w").status().message(), "Attempting to use uninitialized value w");
  v.set(Tensor(1.0f));
  const Tensor before = *v.value("w");
  ASSERT_TRUE(v.update("w", [](Tensor& t) {
                 t.unchecked_mutable<float>()[0] = 2;
                 return absl::OkStatus();
               }).ok());
  EXPECT_EQ(before.scalar<float>(), 1.0f);
  EXPECT_EQ(v.value("w")->scalar<float>(), 2.0f);
}

}  // namespace
}  // namespace millrace
