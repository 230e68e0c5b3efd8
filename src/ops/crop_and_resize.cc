// Parts of images, given as boxes, resized to one size, and the gradients for images and boxes.
//
// A box is [y1, x1, y2, x2] in units of the image's height - 1 and width - 1; it may be flipped, and may leave the
// image, where the crop has the extrapolation value.

#include <algorithm>
#include <cmath>

#include "kernels/bounded_index.h"
#include "kernels/elements.h"
#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

struct Crops {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of the image
  int64_t count = 0, crop_height = 0, crop_width = 0;
  std::span<const float> boxes;      // 4 each
  std::vector<int64_t> image_index;  // each within the batch
  int64_t image_row() const { return width * channels; }
  int64_t crop_row() const { return crop_width * channels; }
  int64_t crop_size() const { return crop_height * crop_row(); }
};

absl::Status check_image(std::span<const int64_t> dims, Crops* c) {
  if (dims[1] <= 0 || dims[2] <= 0) return invalid_argument("image dimensions must be positive");
  c->batch = dims[0], c->height = dims[1], c->width = dims[2], c->channels = dims[3];
  return absl::OkStatus();
}

// Inputs `at` and at + 1: boxes and the images they are of.
absl::Status read_boxes(KernelContext& ctx, int at, Crops* c) {
  const TensorShape& boxes = ctx.shape(at);
  const TensorShape& index = ctx.shape(at + 1);
  if (boxes.rank() != 2) return invalid_argument("boxes must be 2-D", boxes);
  if (boxes.dim(1) != 4) return invalid_argument("boxes must have 4 columns", boxes);
  if (index.rank() != 1) return invalid_argument("box_index must be 1-D", index);
  if (index.dim(0) != boxes.dim(0)) return invalid_argument("box_index has incompatible shape", index);
  MR_ASSIGN_OR_RETURN(c->boxes, ctx.flat<float>(at));
  MR_ASSIGN_OR_RETURN(const auto indices, ctx.flat<int32_t>(at + 1));
  c->count = boxes.dim(0);
  c->image_index.resize(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    if (!read_bounded(&indices[i], c->batch, &c->image_index[i]))
      return out_of_range("box_index has values outside [0, batch_size): ", c->image_index[i], " at ", i, " of ",
                          c->batch, " images");
  }
  for (const float v : c->boxes) {
    if (!std::isfinite(v)) return invalid_argument("boxes contains at least one element that is not finite");
  }
  return absl::OkStatus();
}

// Where pixel `i` of a crop lies on the image's axis; outside if it is not in [0, size - 1].
float position(float from, float to, int64_t i, int64_t crop_size, int64_t size) {
  const auto last = static_cast<float>(size - 1);
  if (crop_size <= 1) return 0.5f * (from + to) * last;
  return from * last + static_cast<float>(i) * ((to - from) * last / static_cast<float>(crop_size - 1));
}
bool is_inside(float position, int64_t size) { return position >= 0 && position <= static_cast<float>(size - 1); }

// The pixels around a position that is inside, and the weight of the upper one.
struct Between {
  explicit Between(float in)
      : lower(static_cast<int64_t>(std::floor(in))),
        upper(static_cast<int64_t>(std::ceil(in))),
        lerp(in - std::floor(in)) {}
  int64_t lower, upper;
  float lerp;
};

// Calls fn(box, crop pixel's offset, y, x) for each pixel of the crops of boxes [begin, end); outside(offset) where it
// is not on the image.
template <class Fn, class Outside>
void each_pixel(const Crops& c, int64_t begin, int64_t end, Fn&& fn, Outside&& outside) {
  for (int64_t b = begin; b < end; ++b) {
    const float* box = c.boxes.data() + 4 * b;
    for (int64_t i = 0; i < c.crop_height; ++i) {
      const float y = position(box[0], box[2], i, c.crop_height, c.height);
      for (int64_t j = 0; j < c.crop_width; ++j) {
        const float x = position(box[1], box[3], j, c.crop_width, c.width);
        const int64_t at = b * c.crop_size() + i * c.crop_row() + j * c.channels;
        if (is_inside(y, c.height) && is_inside(x, c.width)) fn(b, at, i, j, y, x);
        else outside(at);
      }
    }
  }
}

template <class T> class CropAndResize final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string method, init.attr<std::string>("method"));
    nearest_ = method == "nearest";
    MR_ASSIGN_OR_RETURN(extrapolation_value_, init.attr<float>("extrapolation_value"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    Crops c;
    if (ctx.shape(0).rank() != 4) return invalid_argument("input image must be 4-D", ctx.shape(0));
    MR_RETURN_IF_ERROR(check_image(ctx.shape(0).dims(), &c));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> size, ctx.int_values(3));
    if (ctx.shape(3).rank() != 1 || size.size() != 2)
      return invalid_argument("crop_size must have two elements", ctx.shape(3));
    if (size[0] <= 0 || size[1] <= 0) return invalid_argument("crop dimensions must be positive");
    c.crop_height = size[0], c.crop_width = size[1];
    MR_RETURN_IF_ERROR(read_boxes(ctx, 1, &c));
    MR_ASSIGN_OR_RETURN(const std::span<const T> image, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({c.count, c.crop_height, c.crop_width, c.channels}));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, shape));
    const double cost = static_cast<double>(c.crop_size()) * 4;
    parallel_for(c.count, cost, [&](int64_t begin, int64_t end) { crop(c, image.data(), out.data(), begin, end); });
    return absl::OkStatus();
  }

 private:
  void crop(const Crops& c, const T* images, float* out, int64_t begin, int64_t end) const {
    each_pixel(
        c, begin, end,
        [&](int64_t b, int64_t at, int64_t, int64_t, float y, float x) {
          const T* image = images + c.image_index[static_cast<size_t>(b)] * c.height * c.image_row();
          if (nearest_) {
            const T* pixel = image + std::lround(y) * c.image_row() + std::lround(x) * c.channels;
            for (int64_t d = 0; d < c.channels; ++d) out[at + d] = static_cast<float>(pixel[d]);
          } else {
            interpolate(c, image, Between(y), Between(x), out + at);
          }
        },
        [&](int64_t at) { std::fill_n(out + at, c.channels, extrapolation_value_); });
  }

  static void interpolate(const Crops& c, const T* image, const Between& y, const Between& x, float* out) {
    const T* top = image + y.lower * c.image_row();
    const T* bottom = image + y.upper * c.image_row();
    for (int64_t d = 0; d < c.channels; ++d) {
      const int64_t left = x.lower * c.channels + d, right = x.upper * c.channels + d;
      const auto top_left = static_cast<float>(top[left]), bottom_left = static_cast<float>(bottom[left]);
      const float upper = top_left + (static_cast<float>(top[right]) - top_left) * x.lerp;
      const float lower = bottom_left + (static_cast<float>(bottom[right]) - bottom_left) * x.lerp;
      out[d] = upper + (lower - upper) * y.lerp;
    }
  }

  bool nearest_ = false;
  float extrapolation_value_ = 0;
};

absl::Status read_crop_gradient(KernelContext& ctx, Crops* c) {
  const TensorShape& grads = ctx.shape(0);
  if (grads.rank() != 4) return invalid_argument("grads image must be 4-D", grads);
  if (grads.dim(1) <= 0 || grads.dim(2) <= 0) return invalid_argument("grads dimensions must be positive");
  if (grads.dim(3) != c->channels) return invalid_argument("image_size and grads are incompatible");
  if (grads.dim(0) != c->count) return invalid_argument("boxes and grads have incompatible shape");
  c->crop_height = grads.dim(1), c->crop_width = grads.dim(2);
  return absl::OkStatus();
}

template <class T> class CropAndResizeGradImage final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string method, init.attr<std::string>("method"));
    nearest_ = method == "nearest";
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    Crops c;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(3));
    if (shape.rank() != 4) return invalid_argument("image_size must have 4 elements", ctx.shape(3));
    MR_RETURN_IF_ERROR(check_image(shape.dims(), &c));
    MR_RETURN_IF_ERROR(read_boxes(ctx, 1, &c));
    MR_RETURN_IF_ERROR(read_crop_gradient(ctx, &c));
    MR_ASSIGN_OR_RETURN(const std::span<const float> grads, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    fill_zero(out.data(), static_cast<int64_t>(out.size()));
    // Boxes of one image overlap: one after another.
    each_pixel(
        c, 0, c.count,
        [&](int64_t b, int64_t at, int64_t, int64_t, float y, float x) {
          T* image = out.data() + c.image_index[static_cast<size_t>(b)] * c.height * c.image_row();
          scatter(c, grads.data() + at, y, x, image);
        },
        [](int64_t) {});
    return absl::OkStatus();
  }

 private:
  static void add_to(T* pixel, float value) { *pixel = Add::apply(*pixel, static_cast<T>(value)); }

  void scatter(const Crops& c, const float* grads, float y, float x, T* image) const {
    if (nearest_) {
      T* pixel = image + std::lround(y) * c.image_row() + std::lround(x) * c.channels;
      for (int64_t d = 0; d < c.channels; ++d) add_to(pixel + d, grads[d]);
      return;
    }
    const Between v(y), h(x);
    for (int64_t d = 0; d < c.channels; ++d) {
      const int64_t left = h.lower * c.channels + d, right = h.upper * c.channels + d;
      const float top = (1 - v.lerp) * grads[d], bottom = v.lerp * grads[d];
      add_to(image + v.lower * c.image_row() + left, (1 - h.lerp) * top);
      add_to(image + v.lower * c.image_row() + right, h.lerp * top);
      add_to(image + v.upper * c.image_row() + left, (1 - h.lerp) * bottom);
      add_to(image + v.upper * c.image_row() + right, h.lerp * bottom);
    }
  }

  bool nearest_ = false;
};

// How much a crop's pixel moves along an axis as the box's two ends move.
struct EndWeights {
  EndWeights(int64_t i, int64_t crop_size, int64_t size) {
    const auto last = static_cast<float>(size - 1);
    if (crop_size <= 1) {
      from = to = 0.5f * last;
      return;
    }
    to = static_cast<float>(i) * last / static_cast<float>(crop_size - 1);
    from = last - to;
  }
  float from, to;
};

template <class T> class CropAndResizeGradBoxes final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    Crops c;
    if (ctx.shape(1).rank() != 4) return invalid_argument("input image must be 4-D", ctx.shape(1));
    MR_RETURN_IF_ERROR(check_image(ctx.shape(1).dims(), &c));
    MR_RETURN_IF_ERROR(read_boxes(ctx, 2, &c));
    MR_RETURN_IF_ERROR(read_crop_gradient(ctx, &c));
    MR_ASSIGN_OR_RETURN(const std::span<const float> grads, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> images, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({c.count, 4}));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, shape));
    std::ranges::fill(out, 0.0f);
    const double cost = static_cast<double>(c.crop_size()) * 8;
    parallel_for(c.count, cost, [&](int64_t begin, int64_t end) {
      each_pixel(
          c, begin, end,
          [&](int64_t b, int64_t at, int64_t i, int64_t j, float y, float x) {
            const T* image = images.data() + c.image_index[static_cast<size_t>(b)] * c.height * c.image_row();
            const auto [dy, dx] = slopes(c, image, grads.data() + at, Between(y), Between(x));
            const EndWeights v(i, c.crop_height, c.height), h(j, c.crop_width, c.width);
            float* box = out.data() + 4 * b;
            box[0] += dy * v.from, box[2] += dy * v.to;
            box[1] += dx * h.from, box[3] += dx * h.to;
          },
          [](int64_t) {});
    });
    return absl::OkStatus();
  }

  // The change of the loss as the position moves down, and right.
  static std::pair<float, float> slopes(const Crops& c, const T* image, const float* grads, const Between& y,
                                        const Between& x) {
    const T* top = image + y.lower * c.image_row();
    const T* bottom = image + y.upper * c.image_row();
    float dy = 0, dx = 0;
    for (int64_t d = 0; d < c.channels; ++d) {
      const int64_t left = x.lower * c.channels + d, right = x.upper * c.channels + d;
      const auto top_left = static_cast<float>(top[left]), top_right = static_cast<float>(top[right]);
      const auto bottom_left = static_cast<float>(bottom[left]), bottom_right = static_cast<float>(bottom[right]);
      dy += grads[d] * ((1 - x.lerp) * (bottom_left - top_left) + x.lerp * (bottom_right - top_right));
      dx += grads[d] * ((1 - y.lerp) * (top_right - top_left) + y.lerp * (bottom_right - bottom_left));
    }
    return {dy, dx};
  }
};

// ---- shapes and gradient

absl::Status check_box_shapes(ShapeContext& c, int boxes_at, int64_t* count) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape boxes, c.with_rank(boxes_at, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape index, c.with_rank(boxes_at + 1, 1));
  if (boxes.dim(1) >= 0 && boxes.dim(1) != 4) return invalid_argument("Dimension must be 4 but is ", boxes.dim(1));
  MR_ASSIGN_OR_RETURN(*count, merge_dim(boxes.dim(0), index.dim(0)));
  return absl::OkStatus();
}

absl::Status crop_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape image, c.with_rank(0, 4));
  int64_t count = -1;
  MR_RETURN_IF_ERROR(check_box_shapes(c, 1, &count));
  MR_RETURN_IF_ERROR(c.with_rank(3, 1).status());
  MR_ASSIGN_OR_RETURN(const auto size, known_ints(c, 3));
  if (size && (size->size() != 2 || (*size)[0] < 0 || (*size)[1] < 0))
    return invalid_argument("crop_size must be two sizes");
  return c.set_output(0, make_partial_shape({count, size ? (*size)[0] : -1, size ? (*size)[1] : -1, image.dim(3)}));
}

absl::Status crop_grad_image_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 4).status());
  int64_t count = -1;
  MR_RETURN_IF_ERROR(check_box_shapes(c, 1, &count));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape image, c.as_shape(3));
  return c.set_output(0, merge(image, unknown_shape_of_rank(4)));
}

absl::Status crop_grad_boxes_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 4).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 4).status());
  int64_t count = -1;
  MR_RETURN_IF_ERROR(check_box_shapes(c, 2, &count));
  return c.set_output(0, make_partial_shape({count, 4}));
}

// For both methods the boxes' gradient is that of the bilinear one.
absl::Status crop_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("T"));
  MR_ASSIGN_OR_RETURN(const std::string method, g.attr<std::string>("method"));
  constexpr std::string_view kGradImage = "CropAndResizeGradImage";
  const PartialTensorShape image = g.shape(g.x(0));
  const Output dy = g.dy(0);
  Output size;
  if (!image.is_fully_defined()) size = shape_of(g, g.x(0));
  if (is_floating(dtype) && dtype != DataType::kBfloat16) {
    const AttrMap attrs = {{"T", dtype}, {"method", method}};
    std::unique_ptr<GradientContext::Guard> scope;
    if (!size) {
      scope = g.name_scope(kGradImage);
      size = int_list(g, to_dims(image), "image_size");
    }
    g.set_dx(0, g.op(kGradImage, {dy, g.x(1), g.x(2), size}, attrs, scope ? "/" : ""));
  }
  g.set_dx(1, g.op("CropAndResizeGradBoxes", {dy, g.x(0), g.x(1), g.x(2)}));
  return absl::OkStatus();
}

using ImageTypes = Types<uint8_t, uint16_t, int8_t, int16_t, int32_t, int64_t, Half, float, double>;

}  // namespace

void register_crop_and_resize(Registry& registry) {
  registry.op("CropAndResize")
      .input("image: T")
      .input("boxes: float")
      .input("box_ind: int32")
      .input("crop_size: int32")
      .output("crops: float")
      .attr("T: {uint8, uint16, int8, int16, int32, int64, half, float, double}")
      .attr("method: {'bilinear', 'nearest'} = 'bilinear'")
      .attr("extrapolation_value: float = 0")
      .shape(crop_shape)
      .cpu_for<CropAndResize>(ImageTypes())
      .gradient(crop_gradient)
      .doc("Boxes cut out of images and resized to one size.");
  registry.op("CropAndResizeGradImage")
      .input("grads: float")
      .input("boxes: float")
      .input("box_ind: int32")
      .input("image_size: int32")
      .output("output: T")
      .attr("T: {float, half, double}")
      .attr("method: {'bilinear', 'nearest'} = 'bilinear'")
      .shape(crop_grad_image_shape)
      .cpu<CropAndResizeGradImage, Half, float, double>()
      .doc("The gradient of CropAndResize for the images.");
  registry.op("CropAndResizeGradBoxes")
      .input("grads: float")
      .input("image: T")
      .input("boxes: float")
      .input("box_ind: int32")
      .output("output: float")
      .attr("T: {uint8, uint16, int8, int16, int32, int64, half, float, double}")
      .attr("method: {'bilinear'} = 'bilinear'")
      .shape(crop_grad_boxes_shape)
      .cpu_for<CropAndResizeGradBoxes>(ImageTypes())
      .doc("The gradient of CropAndResize for the boxes.");
}

}  // namespace millrace
