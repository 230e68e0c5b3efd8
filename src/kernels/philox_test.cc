#include "kernels/philox.h"

#include <gtest/gtest.h>

#include "kernels/parallel.h"
#include "kernels/random.h"

namespace millrace {
namespace {

// The test vectors of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, gives_the_published_test_vectors) {
  Philox zero({0, 0, 0, 0}, {0, 0});
  EXPECT_EQ(zero(), (Philox::Result{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  Philox ones({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u});
  EXPECT_EQ(ones(), (Philox::Result{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  Philox pi({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
  EXPECT_EQ(pi(), (Philox::Result{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, skips_over_carries) {
  Philox a({0xfffffffe, 0xffffffff, 0xffffffff, 7}, {1, 2}), b = a;
  for (int i = 0; i < 5; ++i) a();
  b.skip(5);
  EXPECT_EQ(a.counter(), b.counter());
  EXPECT_EQ(b.counter(), (Philox::Result{3, 0, 0, 8}));
  Philox c({1, 2, 3, 4}, {1, 2});
  c.skip(uint64_t{1} << 32);
  EXPECT_EQ(c.counter(), (Philox::Result{1, 3, 3, 4}));
}

TEST(Random, uniform_numbers_are_tensorflows) {
  std::vector<float> out(6);
  fill_uniform<float>(Philox(1, 2), out);
  EXPECT_EQ(out, (std::vector<float>{0.406396746635437f, 0.8575996160507202f, 0.05539584159851074f,
                                     0.08587229251861572f, 0.41215360164642334f, 0.036630868911743164f}));
  std::vector<double> wide(2);
  fill_uniform<double>(Philox(1, 2), wide);
  EXPECT_EQ(wide, (std::vector<double>{0.2511744980841868, 0.44316677020093853}));
  std::vector<int32_t> ints(4);
  fill_uniform_int<int32_t>(Philox(1, 2), 0, 100, ints);
  EXPECT_EQ(ints, (std::vector<int32_t>{99, 15, 2, 9}));
}

TEST(Random, normal_numbers_are_tensorflows) {
  std::vector<float> out(5);
  fill_normal<float>(Philox(1, 2), out);
  const float normal[] = {-1.0467792749404907f, 0.8397045731544495f, 1.235836386680603f, 2.0637853145599365f,
                          0.3037427067756653f};
  for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], normal[i], 5e-6) << i;
  fill_truncated_normal<float>(Philox(1, 2), out);
  const float truncated[] = {-1.0467792749404907f, 0.8397045731544495f, 1.235836386680603f, 0.3037427067756653f,
                             0.38869091868400574f};
  for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], truncated[i], 5e-6) << i;
}

TEST(Random, numbers_do_not_depend_on_threads) {
  std::vector<float> one(100'003), many(100'003);
  set_intra_op_threads(1);
  fill_truncated_normal<float>(Philox(3, 4), one);
  set_intra_op_threads(4);
  fill_truncated_normal<float>(Philox(3, 4), many);
  set_intra_op_threads(0);
  EXPECT_EQ(one, many);
}

}  // namespace
}  // namespace millrace
