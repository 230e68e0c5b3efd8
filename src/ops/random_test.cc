#include <cmath>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

struct Seeded : OpTest {
  Seeded(const char* op, int64_t seed, int64_t seed2) : OpTest(all_ops(), op) {
    attr("seed", seed).attr("seed2", seed2);
  }
};

TEST(Random, the_second_run_goes_on_in_the_stream) {
  Seeded t("RandomUniform", 1, 2);
  t.attr("dtype", DataType::kFloat).input(Tensor(std::vector<int32_t>{2}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{0.406396746635437f, 0.8575996160507202f}));
  const std::vector<float> first = t.output(0).to_vector<float>();
  ASSERT_TRUE(t.run().ok());
  EXPECT_NE(t.output(0).to_vector<float>(), first);
}

TEST(Random, zero_seeds_cannot_be_foretold) {
  Seeded a("RandomUniform", 0, 0), b("RandomUniform", 0, 0);
  a.attr("dtype", DataType::kFloat).input(Tensor(std::vector<int32_t>{4}));
  b.attr("dtype", DataType::kFloat).input(Tensor(std::vector<int32_t>{4}));
  ASSERT_TRUE(a.run().ok());
  ASSERT_TRUE(b.run().ok());
  EXPECT_NE(a.output(0).to_vector<float>(), b.output(0).to_vector<float>());
}

TEST(Random, shuffles_rows_whole) {
  Seeded t("RandomShuffle", 1, 2);
  std::vector<std::string> rows;
  for (int i = 0; i < 8; ++i) rows.insert(rows.end(), {std::to_string(i), std::to_string(i)});
  t.input(Tensor({8, 2}, rows));
  ASSERT_TRUE(t.run().ok());
  std::vector<std::string> got = t.output(0).to_vector<std::string>();
  EXPECT_NE(got, rows);
  for (size_t i = 0; i < got.size(); i += 2) EXPECT_EQ(got[i], got[i + 1]);
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, rows);
}

TEST(Random, refuses_bad_shapes_and_ranges) {
  Seeded t("RandomUniform", 1, 2);
  t.attr("dtype", DataType::kFloat).input(Tensor(std::vector<int32_t>{-1}));
  EXPECT_TRUE(absl::IsInvalidArgument(t.run()));
  EXPECT_FALSE(Seeded("RandomUniform", 1, 2)
                   .attr("dtype", DataType::kFloat)
                   .input(Tensor(std::vector<int64_t>{1ll << 40, 1ll << 40}))
                   .run()
                   .ok());
  Seeded i("RandomUniformInt", 1, 2);
  i.input(Tensor(std::vector<int32_t>{1})).input(Tensor(int32_t{3})).input(Tensor(int32_t{3}));
  const absl::Status s = i.run();
  EXPECT_NE(std::string(s.message()).find("Need minval < maxval, got 3 >= 3"), std::string::npos) << s;
}

void expect_near(std::span<const float> got, const std::vector<float>& wanted) {
  ASSERT_GE(got.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 5e-6 * (1 + std::abs(wanted[i]))) << i;
}

// TensorFlow's numbers for these seeds.
TEST(Rejection, streams_are_tensorflows) {
  struct Case {
    const char* op;
    float parameter;
    std::vector<float> wanted;
  };
  const Case cases[] = {
      {"RandomGamma", 0.5f, {0.014439557678997517f, 0.19106529653072357f, 0.19171634316444397f}},
      {"RandomGamma", 1.0f, {0.5854895114898682f, 1.1293960809707642f}},
      {"RandomGamma", 3.5f, {1.1251049041748047f, 2.2724742889404297f}},
      {"RandomPoissonV2", 2.0f, {1, 2, 3, 1, 1, 2, 2, 0}},
      {"RandomPoissonV2", 25.0f, {24, 28, 35, 22}},
  };
  for (const Case& c : cases) {
    Seeded t(c.op, 1, 2);
    if (std::string_view(c.op) == "RandomPoissonV2") t.attr("dtype", DataType::kFloat);
    t.input(Tensor(std::vector<int32_t>{32})).input(Tensor(std::vector<float>{c.parameter}));
    ASSERT_TRUE(t.run().ok()) << t.run();
    EXPECT_EQ(t.output(0).shape(), TensorShape({32, 1}));
    expect_near(t.output(0).flat<float>(), c.wanted);
  }
}

TEST(TruncatedNormal, draws_between_its_bounds) {
  Seeded t("ParameterizedTruncatedNormal", -1, -7);
  t.input(Tensor(std::vector<int32_t>{64}))
      .input(Tensor(1.0f))
      .input(Tensor(2.0f))
      .input(Tensor(-1.0f))
      .input(Tensor(4.0f));
  ASSERT_TRUE(t.run().ok());
  expect_near(t.output(0).flat<float>(),
              {2.7638309001922607f, -0.9104214906692505f, 1.871925950050354f, 0.17361748218536377f});
  // Given by batch, each batch begins with fresh numbers.
  Seeded batches("ParameterizedTruncatedNormal", -1, -7);
  batches.input(Tensor(std::vector<int32_t>{64}))
      .input(Tensor(std::vector<float>{1}))
      .input(Tensor(std::vector<float>{2}))
      .input(Tensor(std::vector<float>{-1}))
      .input(Tensor(std::vector<float>{4}));
  ASSERT_TRUE(batches.run().ok());
  expect_near(batches.output(0).flat<float>(),
              {2.7638309001922607f, 1.871925950050354f, 2.6510868072509766f, 0.5018116235733032f});
  for (const auto& [low, high] : {std::pair{3.0f, 8.0f}, {-9.0f, -5.0f}, {0.2f, 0.3f}}) {
    Seeded s("ParameterizedTruncatedNormal", 3, 4);
    s.input(Tensor(std::vector<int32_t>{250}))
        .input(Tensor(0.0f))
        .input(Tensor(1.0f))
        .input(Tensor(low))
        .input(Tensor(high));
    ASSERT_TRUE(s.run().ok());
    for (const float x : s.output(0).flat<float>()) EXPECT_TRUE(x >= low && x <= high) << x;
  }
  Seeded bad("ParameterizedTruncatedNormal", 3, 4);
  bad.input(Tensor(std::vector<int32_t>{4}))
      .input(Tensor(0.0f))
      .input(Tensor(1.0f))
      .input(Tensor(3.0f))
      .input(Tensor(2.0f));
  EXPECT_TRUE(absl::IsInvalidArgument(bad.run()));
}

TEST(Stateless, depends_on_the_seed_alone) {
  OpTest t(all_ops(), "StatelessRandomUniformInt");
  t.input(Tensor(std::vector<int32_t>{4}))
      .input(Tensor(std::vector<int64_t>{1, 2}))
      .input(Tensor(int32_t{-10}))
      .input(Tensor(int32_t{90}));
  for (int run = 0; run < 2; ++run) {
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(0).to_vector<int32_t>(), (std::vector<int32_t>{30, 39, 84, 69}));
  }
}

}  // namespace
}  // namespace millrace
