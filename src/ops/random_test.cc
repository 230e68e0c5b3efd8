#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

struct Seeded : OpTest {
  Seeded(const char* op, int64_t seed, int64_t seed2) : OpTest(all_ops(), op) { attr("seed", seed).attr("seed2", seed2); }
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
  EXPECT_FALSE(Seeded("RandomUniform", 1, 2).attr("dtype", DataType::kFloat).input(Tensor(std::vector<int64_t>{1ll << 40, 1ll << 40})).run().ok());
  Seeded i("RandomUniformInt", 1, 2);
  i.input(Tensor(std::vector<int32_t>{1})).input(Tensor(int32_t{3})).input(Tensor(int32_t{3}));
  const absl::Status s = i.run();
  EXPECT_NE(std::string(s.message()).find("Need minval < maxval, got 3 >= 3"), std::string::npos) << s;
}

TEST(Stateless, depends_on_the_seed_alone) {
  OpTest t(all_ops(), "StatelessRandomUniformInt");
  t.input(Tensor(std::vector<int32_t>{4})).input(Tensor(std::vector<int64_t>{1, 2})).input(Tensor(int32_t{-10})).input(Tensor(int32_t{90}));
  for (int run = 0; run < 2; ++run) {
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(0).to_vector<int32_t>(), (std::vector<int32_t>{30, 39, 84, 69}));
  }
}

}  // namespace
}  // namespace millrace
