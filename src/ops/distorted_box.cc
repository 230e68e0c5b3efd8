// A random box within an image, for crops that still show the objects that known boxes surround. Draws equal
// TensorFlow's for the same seeds, so areas and ratios are computed in float, as there.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/exact_uniform.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/random_generator.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

struct Box {
  int64_t top = 0, left = 0, bottom = 0, right = 0;

  float area() const { return static_cast<float>((right - left) * (bottom - top)); }
  Box intersect(const Box& b) const {
    const Box both{std::max(top, b.top), std::max(left, b.left), std::min(bottom, b.bottom), std::min(right, b.right)};
    return both.left > both.right || both.top > both.bottom ? Box() : both;
  }
};

bool covers_an_object(const Box& crop, float min_covered, const std::vector<Box>& objects) {
  constexpr float kMinArea = 1;  // one pixel
  if (crop.area() < kMinArea) return false;
  return std::ranges::any_of(objects, [&](const Box& object) {
    return object.area() >= kMinArea && crop.intersect(object).area() / object.area() >= min_covered;
  });
}

int64_t rounded(float x) { return std::lrintf(std::clamp(x, -4e18f, 4e18f)); }

struct CropSize {
  int64_t height = 0, width = 0;
};

// The largest height whose width still fits.
int64_t fitting_height(int64_t height, int64_t image_width, float ratio) {
  if (rounded(static_cast<float>(height) * ratio) <= image_width) return height;
  constexpr double kEpsilon = static_cast<double>(1e-7f);
  height = static_cast<int64_t>((static_cast<double>(image_width) + 0.5 - kEpsilon) / static_cast<double>(ratio));
  return rounded(static_cast<float>(height) * ratio) > image_width ? height - 1 : height;
}

// A size of an area in [min_area, max_area] with width = round(ratio * height); nullopt where none fits the image.
std::optional<CropSize> draw_size(const Box& image, float min_area, float max_area, float ratio, SinglePhilox& random) {
  int64_t highest = fitting_height(rounded(std::sqrt(max_area / ratio)), image.right, ratio);
  highest = std::min(highest, image.bottom);
  int64_t height = std::min(rounded(std::sqrt(min_area / ratio)), highest);
  if (height < highest) height += uniform32(random, static_cast<uint32_t>(highest - height + 1));
  CropSize size{height, rounded(static_cast<float>(height) * ratio)};
  const auto area = [&] { return static_cast<float>(size.height * size.width); };
  // Rounding may have left the range: one step back is tried.
  const auto step = [&](int64_t by) {
    size.height += by;
    size.width = rounded(static_cast<float>(size.height) * ratio);
  };
  if (area() < min_area) step(1);
  if (area() > max_area) step(-1);
  if (area() < min_area || area() > max_area || size.width > image.right || size.height > image.bottom ||
      size.width <= 0 || size.height <= 0)
    return std::nullopt;
  return size;
}

struct BoxOptions {
  float min_object_covered = 0;
  float min_ratio = 0, max_ratio = 0, min_area = 0, max_area = 0;
  int64_t max_attempts = 0;
  bool use_image = false;
};

std::optional<Box> draw_crop(const Box& image, const BoxOptions& options, SinglePhilox& random) {
  const float ratio = uniform_float(random()) * (options.max_ratio - options.min_ratio) + options.min_ratio;
  if (ratio <= 0 || image.right <= 0 || image.bottom <= 0 || options.min_area > options.max_area) return std::nullopt;
  const auto width = static_cast<float>(image.right), height = static_cast<float>(image.bottom);
  const auto size =
      draw_size(image, options.min_area * width * height, options.max_area * width * height, ratio, random);
  if (!size) return std::nullopt;
  const auto offset = [&](int64_t room) {
    return room > 0 ? static_cast<int64_t>(uniform32(random, static_cast<uint32_t>(room))) : 0;
  };
  const int64_t top = offset(image.bottom - size->height);
  const int64_t left = offset(image.right - size->width);
  return Box{top, left, top + size->height, left + size->width};
}

// Two positive values, the first and the second of a range.
absl::Status read_range(const KernelInit& init, const char* attr, std::string_view name, float* low, float* high) {
  MR_ASSIGN_OR_RETURN(const std::vector<float> range, init.attr<std::vector<float>>(attr));
  if (range.size() != 2) return invalid_argument(name, " range field must specify 2 dimensions");
  if (!(range[0] > 0 && range[1] > 0) || std::isinf(range[0]) || std::isinf(range[1]))
    return invalid_argument(name, " range must be positive and finite: [", range[0], ", ", range[1], "]");
  *low = range[0];
  *high = range[1];
  return absl::OkStatus();
}

template <class T> class SampleDistortedBoundingBox final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    if (init.has_attr("min_object_covered")) {
      MR_ASSIGN_OR_RETURN(options_.min_object_covered, init.attr<float>("min_object_covered"));
      MR_RETURN_IF_ERROR(check_covered(options_.min_object_covered));
    }
    MR_RETURN_IF_ERROR(
        read_range(init, "aspect_ratio_range", "Aspect ratio", &options_.min_ratio, &options_.max_ratio));
    MR_RETURN_IF_ERROR(read_range(init, "area_range", "Area", &options_.min_area, &options_.max_area));
    if (options_.min_area > 1 || options_.max_area > 1)
      return invalid_argument("Area range must be less then or equal to 1.0: [", options_.min_area, ", ",
                              options_.max_area, "]");
    MR_ASSIGN_OR_RETURN(options_.max_attempts, init.attr<int64_t>("max_attempts"));
    if (options_.max_attempts <= 0 || options_.max_attempts > std::numeric_limits<int32_t>::max())
      return invalid_argument("Max attempts must be positive: ", options_.max_attempts);
    MR_ASSIGN_OR_RETURN(options_.use_image, init.attr<bool>("use_image_if_no_bounding_boxes"));
    return generator_.init(init);
  }

  absl::Status compute(KernelContext& ctx) override {
    BoxOptions options = options_;
    MR_ASSIGN_OR_RETURN(const Box image, read_image(ctx));
    if (ctx.num_inputs() > 2) {
      if (ctx.shape(2).rank() != 0) return invalid_argument("min_object_covered must be 0-D, got shape ", ctx.shape(2));
      MR_ASSIGN_OR_RETURN(options.min_object_covered, ctx.scalar<float>(2));
      MR_RETURN_IF_ERROR(check_covered(options.min_object_covered));
    }
    MR_ASSIGN_OR_RETURN(const std::vector<Box> objects, read_objects(ctx, image));
    Philox stream = generator_.reserve(static_cast<uint64_t>(options.max_attempts));
    SinglePhilox random(&stream);
    std::optional<Box> crop;
    for (int64_t i = 0; i < options.max_attempts && !crop; ++i) {
      if (i % 1024 == 1023) MR_RETURN_IF_ERROR(ctx.check_cancelled());
      crop = draw_crop(image, options, random);
      if (crop && !covers_an_object(*crop, options.min_object_covered, objects)) crop.reset();
    }
    return write(ctx, image, crop.value_or(image));
  }

 private:
  static absl::Status check_covered(float covered) {
    if (covered >= 0) return absl::OkStatus();
    return invalid_argument("Min object covered must be non-negative: ", covered);
  }

  static absl::StatusOr<Box> read_image(KernelContext& ctx) {
    if (ctx.shape(0).rank() != 1) return invalid_argument("image_size must be 1-dimensional", ctx.shape(0));
    if (ctx.shape(0).dim(0) != 3) return invalid_argument("image_size must contain 3 elements", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> size, ctx.vector<T>(0));
    const auto height = static_cast<int64_t>(size[0]), width = static_cast<int64_t>(size[1]);
    for (const auto& [name, value] : {std::pair("height", height), std::pair("width", width)}) {
      if (value < 0 || value >= std::numeric_limits<int32_t>::max())
        return invalid_argument("image ", name, " must be in [0, 2^31 - 1), got ", value);
    }
    return Box{0, 0, height, width};
  }

  absl::StatusOr<std::vector<Box>> read_objects(KernelContext& ctx, const Box& image) const {
    const TensorShape& shape = ctx.shape(1);
    if (shape.rank() != 3)
      return invalid_argument("input boxes must be 3-dimensional [batch, num_boxes, coords]: ", shape);
    if (shape.dim(2) != 4) return invalid_argument("bounding boxes must have shape [4] or [*, 4], got ", shape);
    MR_ASSIGN_OR_RETURN(const std::span<const float> boxes, ctx.flat<float>(1));
    std::vector<Box> objects;
    for (const float v : boxes) {
      if (!(v >= 0 && v <= 1)) return invalid_argument("All bounding box coordinates must be in [0.0, 1.0]: ", v);
    }
    const auto pixel = [](float at, int64_t size) { return static_cast<int64_t>(at * static_cast<float>(size)); };
    for (size_t i = 0; i + 4 <= boxes.size(); i += 4)
      objects.push_back({pixel(boxes[i], image.bottom), pixel(boxes[i + 1], image.right),
                         pixel(boxes[i + 2], image.bottom), pixel(boxes[i + 3], image.right)});
    if (!objects.empty()) return objects;
    if (!options_.use_image)
      return invalid_argument(
          "No bounding boxes provided as input. One must enable use_image_if_no_bounding_boxes if you wish to not "
          "provide any bounding boxes.");
    return std::vector<Box>{image};
  }

  static absl::Status write(KernelContext& ctx, const Box& image, const Box& crop) {
    MR_ASSIGN_OR_RETURN(const TensorShape three, make_shape({3}));
    MR_ASSIGN_OR_RETURN(const std::span<T> begin, ctx.output<T>(0, three));
    MR_ASSIGN_OR_RETURN(const std::span<T> size, ctx.output<T>(1, three));
    MR_ASSIGN_OR_RETURN(const TensorShape one_box, make_shape({1, 1, 4}));
    MR_ASSIGN_OR_RETURN(const std::span<float> box, ctx.output<float>(2, one_box));
    begin[0] = static_cast<T>(crop.top), begin[1] = static_cast<T>(crop.left), begin[2] = T{0};
    size[0] = static_cast<T>(crop.bottom - crop.top), size[1] = static_cast<T>(crop.right - crop.left);
    size[2] = static_cast<T>(-1);  // all channels
    const auto height = static_cast<float>(image.bottom), width = static_cast<float>(image.right);
    box[0] = static_cast<float>(crop.top) / height, box[1] = static_cast<float>(crop.left) / width;
    box[2] = static_cast<float>(crop.bottom) / height, box[3] = static_cast<float>(crop.right) / width;
    return absl::OkStatus();
  }

  BoxOptions options_;
  GuardedPhilox generator_;
};

absl::Status distorted_box_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape size, c.with_rank(0, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape boxes, c.with_rank(1, 3));
  if (c.num_inputs() > 2) MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_RETURN_IF_ERROR(merge_dim(size.dim(0), 3).status());
  MR_RETURN_IF_ERROR(merge_dim(boxes.dim(2), 4).status());
  for (const int i : {0, 1}) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({3})));
  return c.set_output(2, make_partial_shape({1, 1, 4}));
}

OpBuilder distorted_box(OpBuilder op, bool covered_is_attr) {
  op.output("begin: T")
      .output("size: T")
      .output("bboxes: float")
      .attr("T: {uint8, int8, int16, int32, int64}")
      .attr("seed: int = 0")
      .attr("seed2: int = 0");
  if (covered_is_attr) op.attr("min_object_covered: float = 0.1");
  return op.attr("aspect_ratio_range: list(float) = [0.75, 1.33]")
      .attr("area_range: list(float) = [0.05, 1.0]")
      .attr("max_attempts: int = 100")
      .attr("use_image_if_no_bounding_boxes: bool = false")
      .stateful()
      .shape(distorted_box_shape)
      .cpu<SampleDistortedBoundingBox, uint8_t, int8_t, int16_t, int32_t, int64_t>()
      .not_differentiable();
}

}  // namespace

void register_distorted_box(Registry& registry) {
  distorted_box(registry.op("SampleDistortedBoundingBox").input("image_size: T").input("bounding_boxes: float"), true)
      .doc("A random box of bounded area and ratio that covers a part of a given box, as begin and size of a slice.");
  distorted_box(registry.op("SampleDistortedBoundingBoxV2")
                    .input("image_size: T")
                    .input("bounding_boxes: float")
                    .input("min_object_covered: float"),
                false)
      .doc("The same, with the part that must be covered as an input.");
}

}  // namespace millrace
