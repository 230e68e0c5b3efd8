#include <climits>
#include <cmath>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

Tensor image(std::vector<float> values, TensorShape shape) { return Tensor(shape, std::move(values)); }
Tensor size(int height, int width) { return Tensor(std::vector<int32_t>{height, width}); }

struct Value {
  const char* op;
  bool align_corners, half_pixel_centers;
  std::vector<float> out;  // of [1, 2, 3] x [4, 5, 6] as 3 by 2
};
// Values are TensorFlow's.
const Value kValues[] = {
    {"ResizeBilinear", false, false, {1, 2.5f, 3, 4.5f, 4, 5.5f}},
    {"ResizeBilinear", true, false, {1, 3, 2.5f, 4.5f, 4, 6}},
    {"ResizeBilinear", false, true, {1.25f, 2.75f, 2.75f, 4.25f, 4.25f, 5.75f}},
    {"ResizeNearestNeighbor", false, false, {1, 2, 1, 2, 4, 5}},
    {"ResizeNearestNeighbor", true, false, {1, 3, 4, 6, 4, 6}},
    {"ResizeNearestNeighbor", false, true, {1, 3, 4, 6, 4, 6}},
};

TEST(Resize, values_are_tensorflows) {
  for (const Value& v : kValues) {
    SCOPED_TRACE(std::string(v.op) + (v.align_corners ? " corners" : v.half_pixel_centers ? " centers" : ""));
    OpTest t(all_ops(), v.op);
    t.attr("align_corners", v.align_corners).attr("half_pixel_centers", v.half_pixel_centers);
    t.input(image({1, 2, 3, 4, 5, 6}, {1, 2, 3, 1})).input(size(3, 2));
    ASSERT_TRUE(t.run().ok());
    ASSERT_EQ(t.output(0).shape(), TensorShape({1, 3, 2, 1}));
    for (size_t i = 0; i < v.out.size(); ++i) EXPECT_NEAR(t.output(0).flat<float>()[i], v.out[i], 1e-6f) << i;
  }
}

TEST(Resize, one_size_copies) {
  for (const char* op : {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}) {
    SCOPED_TRACE(op);
    OpTest t(all_ops(), op);
    t.input(image({1, 2, 3, 4, 5, 6}, {1, 2, 3, 1})).input(size(2, 3));
    ASSERT_TRUE(t.run().ok());
    for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(t.output(0).flat<float>()[i], static_cast<float>(i + 1), 1e-6f);
  }
}

struct Bad {
  const char* name;
  TensorShape shape;
  Tensor size;
  const char* message;
};
const Bad kBad[] = {
    {"zero height", {1, 2, 3, 1}, size(0, 2), "positive"},
    {"negative width", {1, 2, 3, 1}, size(2, -2), "negative"},
    {"lowest width", {1, 2, 3, 1}, size(2, INT_MIN), "negative"},
    {"rank", {2, 3, 1}, size(2, 2), "rank"},
    {"three sizes", {1, 2, 3, 1}, Tensor(std::vector<int32_t>{1, 2, 3}), "must be 2"},
    {"scalar size", {1, 2, 3, 1}, Tensor(2), "rank"},
    {"no pixels", {1, 0, 3, 1}, size(2, 2), "non-zero size"},
    {"too large", {1, 2, 3, 1000}, size(INT_MAX, INT_MAX), ""},
};

TEST(Resize, bad_inputs_are_errors) {
  for (const char* op :
       {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "ResizeNearestNeighborGrad"}) {
    for (const Bad& bad : kBad) {
      SCOPED_TRACE(std::string(op) + ": " + bad.name);
      OpTest t(all_ops(), op);
      t.input(Tensor(bad.shape, std::vector<float>(static_cast<size_t>(bad.shape.num_elements()), 1.0f)));
      t.input(bad.size);
      const absl::Status status = t.run();
      EXPECT_FALSE(status.ok());
      EXPECT_NE(status.message().find(bad.message), std::string::npos) << status;
    }
  }
}

TEST(Resize, empty_batches_stay_empty) {
  for (const char* op : {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}) {
    OpTest t(all_ops(), op);
    t.input(Tensor(TensorShape({0, 2, 3, 1}), std::vector<float>())).input(size(4, 4));
    ASSERT_TRUE(t.run().ok()) << op;
    EXPECT_EQ(t.output(0).shape(), TensorShape({0, 4, 4, 1}));
  }
}

TEST(Resize, gradient_needs_the_same_batch_and_channels) {
  for (const char* op : {"ResizeBilinearGrad", "ResizeBicubicGrad"}) {
    OpTest t(all_ops(), op);
    t.input(image({1, 2, 3, 4}, {1, 2, 2, 1})).input(image({1, 2, 3, 4}, {1, 1, 2, 2}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << op;
  }
}

TEST(Resize, one_mapping_only) {
  OpTest t(all_ops(), "ResizeBilinear");
  t.attr("align_corners", true).attr("half_pixel_centers", true);
  t.input(image({1, 2}, {1, 1, 2, 1})).input(size(2, 2));
  EXPECT_NE(t.run().message().find("align_corners must be False"), std::string::npos);
}

TEST(Resize, shapes) {
  OpTest t(all_ops(), "ResizeBilinear");
  t.attr("T", DataType::kFloat);
  const Tensor known = size(5, 6);
  EXPECT_EQ(t.infer({{2, -1, -1, 3}, {2}}, {nullptr, &known}).value(), std::vector<std::string>{"[2,5,6,3]"});
  EXPECT_EQ(t.infer({{2, 4, 4, 3}, {2}}).value(), std::vector<std::string>{"[2,?,?,3]"});
  EXPECT_EQ(t.infer({{}, {}}).value(), std::vector<std::string>{"[?,?,?,?]"});
}

// ---- crops

OpTest& crop(OpTest& t, std::vector<float> boxes, std::vector<int32_t> index, int height, int width) {
  const auto n = static_cast<int64_t>(index.size());
  return t.input(image({1, 2, 3, 4}, {1, 2, 2, 1}))
      .input(Tensor({n, 4}, std::move(boxes)))
      .input(Tensor(std::move(index)))
      .input(size(height, width));
}

TEST(CropAndResize, crops) {
  OpTest t(all_ops(), "CropAndResize");
  t.attr("extrapolation_value", -1.0f);
  ASSERT_TRUE(crop(t, {0, 0, 1, 1, 0.5f, 0.5f, 0.5f, 2}, {0, 0}, 2, 2).run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 2.5f, -1, 2.5f, -1}));
}

TEST(CropAndResize, bad_inputs_are_errors) {
  const auto run = [](std::vector<float> boxes, std::vector<int32_t> index, int height, int width) {
    OpTest t(all_ops(), "CropAndResize");
    return crop(t, std::move(boxes), std::move(index), height, width).run();
  };
  EXPECT_EQ(run({0, 0, 1, 1}, {1}, 2, 2).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(run({0, 0, 1, 1}, {-1}, 2, 2).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(run({0, 0, 1, 1}, {0}, 0, 2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({0, 0, 1, 1}, {0}, 2, -1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({0, 0, 1, NAN}, {0}, 2, 2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(run({0, 0, 1, 1}, {0}, INT_MAX, INT_MAX).ok());
}

}  // namespace
}  // namespace millrace
