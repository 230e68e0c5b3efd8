#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

// a is 2x3, b is 3x2 before transposition; the product is the same for every way to write it.
Tensor a(bool transposed) {
  return transposed ? Tensor({3, 2}, std::vector<float>{1, 4, 2, 5, 3, 6})
                    : Tensor({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
}
Tensor b(bool transposed) {
  return transposed ? Tensor({2, 3}, std::vector<float>{7, 9, 11, 8, 10, 12})
                    : Tensor({3, 2}, std::vector<float>{7, 8, 9, 10, 11, 12});
}
const std::vector<float> kProduct = {58, 64, 139, 154};

TEST(MatMul, transposes_either_side) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      OpTest t(all_ops(), "MatMul");
      t.attr("transpose_a", ta).attr("transpose_b", tb).input(a(ta)).input(b(tb));
      ASSERT_TRUE(t.run().ok());
      EXPECT_EQ(t.output(0).shape(), TensorShape({2, 2}));
      EXPECT_EQ(t.output(0).to_vector<float>(), kProduct);
    }
  }
}

// Every path (plain loops, sgemm, a primitive) against double.
TEST(MatMul, sizes_agree_with_double) {
  for (const auto [m, k, n] :
       {std::array<int64_t, 3>{1, 1, 1}, {3, 65, 5}, {33, 65, 40}, {1, 300, 200}, {200, 300, 1}, {256, 200, 256}}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        std::vector<float> x(static_cast<size_t>(m * k)), y(static_cast<size_t>(k * n));
        for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 37) % 101) / 101 - 0.5f;
        for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>((i * 53) % 97) / 97 - 0.5f;
        const TensorShape sa = ta ? TensorShape{k, m} : TensorShape{m, k},
                          sb = tb ? TensorShape{n, k} : TensorShape{k, n};
        OpTest t(all_ops(), "MatMul"), wide(all_ops(), "MatMul");
        t.attr("transpose_a", ta).attr("transpose_b", tb).input(Tensor(sa, x)).input(Tensor(sb, y));
        wide.attr("transpose_a", ta).attr("transpose_b", tb);
        wide.input(Tensor(sa, std::vector<double>(x.begin(), x.end())))
            .input(Tensor(sb, std::vector<double>(y.begin(), y.end())));
        ASSERT_TRUE(t.run().ok());
        ASSERT_TRUE(wide.run().ok());
        const auto got = t.output(0).flat<float>();
        const auto wanted = wide.output(0).flat<double>();
        for (size_t i = 0; i < got.size(); ++i)
          ASSERT_NEAR(got[i], wanted[i], 1e-4) << m << "x" << k << "x" << n << " at " << i;
      }
    }
  }
}

TEST(MatMul, multiplies_integers_and_complex_numbers) {
  OpTest t(all_ops(), "MatMul");
  t.input(Tensor({1, 2}, std::vector<int32_t>{1 << 30, 3})).input(Tensor({2, 1}, std::vector<int32_t>{4, 5}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<int32_t>(), std::vector<int32_t>{15});  // wraps
  OpTest c(all_ops(), "BatchMatMulV2");
  c.attr("adj_y", true)
      .input(Tensor({1, 1}, std::vector<Complex64>{{1, 2}}))
      .input(Tensor({1, 1}, std::vector<Complex64>{{3, 4}}));
  ASSERT_TRUE(c.run().ok());
  EXPECT_EQ(c.output(0).to_vector<Complex64>(), (std::vector<Complex64>{{11, 2}}));  // (1+2i) * conj(3+4i)
}

TEST(MatMul, an_empty_inner_dimension_gives_zeros) {
  OpTest t(all_ops(), "MatMul");
  t.input(Tensor(DataType::kFloat, {2, 0})).input(Tensor(DataType::kFloat, {0, 3}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), std::vector<float>(6, 0.0f));
}

TEST(MatMul, refuses_shapes_that_do_not_fit) {
  OpTest t(all_ops(), "MatMul");
  t.input(Tensor(DataType::kFloat, {2, 3})).input(Tensor(DataType::kFloat, {2, 3}));
  const absl::Status s = t.run();
  EXPECT_TRUE(absl::IsInvalidArgument(s));
  EXPECT_NE(std::string(s.message()).find("Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]"), std::string::npos)
      << s;
  OpTest rank(all_ops(), "MatMul");
  rank.input(Tensor(DataType::kFloat, {2})).input(Tensor(DataType::kFloat, {2, 3}));
  EXPECT_TRUE(absl::IsInvalidArgument(rank.run()));
}

TEST(MatMul, infers_shapes) {
  OpTest t(all_ops(), "MatMul");
  t.attr("T", DataType::kFloat);
  EXPECT_EQ(*t.infer({PartialTensorShape({-1, 3}), PartialTensorShape({3, 5})}), std::vector<std::string>{"[?,5]"});
  EXPECT_EQ(*t.infer({PartialTensorShape(), PartialTensorShape()}), std::vector<std::string>{"[?,?]"});
}

TEST(BatchMatMul, broadcasts_batches) {
  OpTest t(all_ops(), "BatchMatMulV2");
  t.input(Tensor({2, 1, 1, 2}, std::vector<float>{1, 2, 3, 4}))
      .input(Tensor({3, 2, 1}, std::vector<float>{1, 0, 0, 1, 1, 1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({2, 3, 1, 1}));
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{1, 2, 3, 3, 4, 7}));
  OpTest bad(all_ops(), "BatchMatMulV2");
  bad.input(Tensor(DataType::kFloat, {2, 2, 3})).input(Tensor(DataType::kFloat, {3, 3, 3}));
  EXPECT_TRUE(absl::IsInvalidArgument(bad.run()));
}

TEST(FusedMatMul, adds_a_bias_and_applies_relu) {
  OpTest t(all_ops(), "_FusedMatMul");
  t.attr("fused_ops", std::vector<std::string>{"BiasAdd", "Relu"});
  t.input(a(false)).input(b(false)).inputs({Tensor(std::vector<float>{-60, 1})});
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{0, 65, 79, 155}));
}

}  // namespace
}  // namespace millrace
