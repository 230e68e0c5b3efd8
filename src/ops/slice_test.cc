#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"
#include "ops/strided_slice_spec.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

Tensor iota(const TensorShape& shape) {
  std::vector<int32_t> v(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<int32_t>(i);
  return Tensor(shape, v);
}

struct SliceCase {
  const char* name;  // as numpy writes it
  TensorShape x;
  std::vector<int32_t> begin, end, strides;
  int64_t begin_mask = 0, end_mask = 0, ellipsis = 0, new_axis = 0, shrink = 0;
  std::string shape;  // empty: InvalidArgument
  std::vector<int32_t> values;
};

TEST(StridedSlice, like_numpy) {
  const SliceCase cases[] = {
      {.name = "x[1:3]", .x = {4}, .begin = {1}, .end = {3}, .strides = {1}, .shape = "[2]", .values = {1, 2}},
      {.name = "x[::-1]",
       .x = {4},
       .begin = {0},
       .end = {0},
       .strides = {-1},
       .begin_mask = 1,
       .end_mask = 1,
       .shape = "[4]",
       .values = {3, 2, 1, 0}},
      {.name = "x[-2]",
       .x = {4},
       .begin = {-2},
       .end = {-1},
       .strides = {1},
       .shrink = 1,
       .shape = "[]",
       .values = {2}},
      {.name = "x[:, 1]",
       .x = {2, 3},
       .begin = {0, 1},
       .end = {0, 2},
       .strides = {1, 1},
       .begin_mask = 1,
       .end_mask = 1,
       .shrink = 2,
       .shape = "[2]",
       .values = {1, 4}},
      {.name = "x[..., 0]",
       .x = {2, 2, 2},
       .begin = {0, 0},
       .end = {0, 1},
       .strides = {1, 1},
       .ellipsis = 1,
       .shrink = 2,
       .shape = "[2,2]",
       .values = {0, 2, 4, 6}},
      {.name = "x[None, 1]",
       .x = {2, 2},
       .begin = {0, 1},
       .end = {1, 2},
       .strides = {1, 1},
       .new_axis = 1,
       .shrink = 2,
       .shape = "[1,2]",
       .values = {2, 3}},
      {.name = "x[..., None]",
       .x = {2},
       .begin = {0, 0},
       .end = {0, 0},
       .strides = {1, 1},
       .ellipsis = 1,
       .new_axis = 2,
       .shape = "[2,1]",
       .values = {0, 1}},
      {.name = "x[5:1]", .x = {4}, .begin = {5}, .end = {1}, .strides = {1}, .shape = "[0]", .values = {}},
      {.name = "x[0:100:3]", .x = {7}, .begin = {0}, .end = {100}, .strides = {3}, .shape = "[3]", .values = {0, 3, 6}},
      {.name = "x[6:0:-4]", .x = {7}, .begin = {6}, .end = {0}, .strides = {-4}, .shape = "[2]", .values = {6, 2}},
      {.name = "x[4]", .x = {4}, .begin = {4}, .end = {5}, .strides = {1}, .shrink = 1, .shape = "", .values = {}},
      {.name = "x[::0]", .x = {4}, .begin = {0}, .end = {4}, .strides = {0}, .shape = "", .values = {}},
      {.name = "x[0, 0]", .x = {4}, .begin = {0, 0}, .end = {1, 1}, .strides = {1, 1}, .shape = "", .values = {}},
      {.name = "x[..., ...]",
       .x = {4},
       .begin = {0, 0},
       .end = {1, 1},
       .strides = {1, 1},
       .ellipsis = 3,
       .shape = "",
       .values = {}},
      {.name = "x[INT_MIN:INT_MAX:INT_MIN]",
       .x = {4},
       .begin = {INT32_MIN},
       .end = {INT32_MAX},
       .strides = {INT32_MIN},
       .shape = "[0]",
       .values = {}},
  };
  for (const SliceCase& c : cases) {
    OpTest t(all_ops(), "StridedSlice");
    t.attr("begin_mask", c.begin_mask)
        .attr("end_mask", c.end_mask)
        .attr("ellipsis_mask", c.ellipsis)
        .attr("new_axis_mask", c.new_axis);
    t.attr("shrink_axis_mask", c.shrink);
    const absl::Status status =
        t.input(iota(c.x)).input(Tensor(c.begin)).input(Tensor(c.end)).input(Tensor(c.strides)).run();
    if (c.shape.empty()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
      continue;
    }
    ASSERT_TRUE(status.ok()) << c.name << ": " << status.message();
    EXPECT_EQ(t.output(0).shape().to_string(), c.shape) << c.name;
    EXPECT_EQ(t.output(0).to_vector<int32_t>(), c.values) << c.name;
    // The gradient puts each element back where it came from.
    OpTest g(all_ops(), "StridedSliceGrad");
    g.attr("begin_mask", c.begin_mask)
        .attr("end_mask", c.end_mask)
        .attr("ellipsis_mask", c.ellipsis)
        .attr("new_axis_mask", c.new_axis);
    g.attr("shrink_axis_mask", c.shrink);
    const std::vector<int32_t> dims(c.x.dims().begin(), c.x.dims().end());
    const Tensor dy = t.output(0);
    ASSERT_TRUE(
        g.input(Tensor(dims)).input(Tensor(c.begin)).input(Tensor(c.end)).input(Tensor(c.strides)).input(dy).run().ok())
        << c.name;
    const auto dx = g.output(0).flat<int32_t>();
    for (size_t i = 0; i < dx.size(); ++i) EXPECT_TRUE(dx[i] == 0 || dx[i] == static_cast<int32_t>(i)) << c.name;
  }
}

TEST(StridedSliceSpec, partly_known_shapes) {
  const std::vector<int64_t> begin = {1, 0}, end = {3, 0}, strides = {1, 1};
  StridedSliceMasks masks{.begin = 2, .end = 2};
  EXPECT_EQ(strided_slice_spec({-1, 5}, &begin, &end, strides, masks)->final_shape.to_string(), "[?,5]");
  EXPECT_EQ(strided_slice_spec({4, 5}, nullptr, nullptr, strides, masks)->final_shape.to_string(), "[?,5]");
  masks.shrink_axis = 1;
  EXPECT_EQ(strided_slice_spec({4, 5}, nullptr, nullptr, strides, masks)->final_shape.to_string(), "[5]");
}

TEST(Slice, boxes) {
  OpTest t(all_ops(), "Slice");
  ASSERT_TRUE(t.input(iota({3, 4}))
                  .input(Tensor(std::vector<int32_t>{1, 1}))
                  .input(Tensor(std::vector<int32_t>{2, -1}))
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<int32_t>(), ElementsAre(5, 6, 7, 9, 10, 11));
  for (const auto& [begin, size] : {std::pair<std::vector<int32_t>, std::vector<int32_t>>{{-1, 0}, {1, 1}},
                                    {{0, 5}, {1, 0}},
                                    {{0, 2}, {1, 3}},
                                    {{0}, {1}},
                                    {{0, 0}, {-2, 1}}}) {
    OpTest b(all_ops(), "Slice");
    EXPECT_EQ(b.input(iota({3, 4})).input(Tensor(begin)).input(Tensor(size)).run().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(StridedSliceAssign, writes_into_a_variable) {
  auto v = std::make_shared<VariableResource>(int32, PartialTensorShape({2, 3}));
  v->set(iota({2, 3}));
  OpTest t(all_ops(), "StridedSliceAssign");
  t.attr("begin_mask", int64_t{1}).attr("end_mask", int64_t{1}).attr("shrink_axis_mask", int64_t{2});
  ASSERT_TRUE(t.ref_input(v)
                  .input(Tensor(std::vector<int32_t>{0, 1}))
                  .input(Tensor(std::vector<int32_t>{0, 2}))
                  .input(Tensor(std::vector<int32_t>{1, 1}))
                  .input(Tensor(std::vector<int32_t>{70, 80}))
                  .run()
                  .ok());
  EXPECT_THAT(v->value_or_empty().to_vector<int32_t>(), ElementsAre(0, 70, 2, 3, 80, 5));
}

TEST(TensorStridedSliceUpdate, broadcasts_the_value) {
  OpTest t(all_ops(), "TensorStridedSliceUpdate");
  ASSERT_TRUE(t.input(iota({4}))
                  .input(Tensor(std::vector<int32_t>{1}))
                  .input(Tensor(std::vector<int32_t>{3}))
                  .input(Tensor(std::vector<int32_t>{1}))
                  .input(Tensor(9))
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<int32_t>(), ElementsAre(0, 9, 9, 3));
}

}  // namespace
}  // namespace millrace
