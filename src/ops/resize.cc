// Images resized bilinearly or by nearest neighbour, and their gradients.

#include "ops/resize.h"

#include <algorithm>
#include <cmath>

#include "kernels/elements.h"
#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"

namespace millrace {

absl::StatusOr<PixelMapping> pixel_mapping(const KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const bool align_corners, init.attr<bool>("align_corners"));
  const bool half_pixel_centers = init.has_attr("half_pixel_centers") && *init.attr<bool>("half_pixel_centers");
  if (align_corners && half_pixel_centers)
    return invalid_argument("If half_pixel_centers is True, align_corners must be False.");
  return align_corners ? PixelMapping::kCorners : half_pixel_centers ? PixelMapping::kCenters : PixelMapping::kTopLeft;
}

namespace {

absl::Status check_image_size(int64_t height, int64_t width) {
  constexpr int64_t kMost = INT32_MAX;
  if (height > kMost || width > kMost) return invalid_argument("input sizes must be between 0 and max int32");
  if (height <= 0 || width <= 0) return invalid_argument("input image must be of non-zero size");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResizeSizes> resize_sizes(KernelContext& ctx) {
  const TensorShape& in = ctx.shape(0);
  if (in.rank() != 4) return invalid_argument("input must be 4-dimensional", in);
  if (ctx.shape(1).rank() != 1) return invalid_argument("shape_t must be 1-dimensional", ctx.shape(1));
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> size, ctx.int_values(1));
  if (size.size() != 2) return invalid_argument("shape_t must have two elements", ctx.shape(1));
  if (size[0] <= 0 || size[1] <= 0)
    return invalid_argument("output dimensions must be positive, got ", size[0], " x ", size[1]);
  MR_RETURN_IF_ERROR(check_image_size(in.dim(1), in.dim(2)));
  if (in.dim(3) == 0) return invalid_argument("input image must have at least one channel, got shape ", in);
  MR_ASSIGN_OR_RETURN(TensorShape output, make_shape({in.dim(0), size[0], size[1], in.dim(3)}));
  return ResizeSizes{in.dim(0), in.dim(1), in.dim(2), in.dim(3), size[0], size[1], std::move(output)};
}

absl::StatusOr<ResizeSizes> resize_gradient_sizes(KernelContext& ctx) {
  const TensorShape& grad = ctx.shape(0);
  const TensorShape& image = ctx.shape(1);
  if (grad.rank() != 4) return invalid_argument("input_grad must be 4-dimensional", grad);
  if (image.rank() != 4) return invalid_argument("original_image must be 4-dimensional", image);
  MR_RETURN_IF_ERROR(check_image_size(image.dim(1), image.dim(2)));
  MR_RETURN_IF_ERROR(check_image_size(grad.dim(1), grad.dim(2)));
  if (grad.dim(0) != image.dim(0) || grad.dim(3) != image.dim(3))
    return invalid_argument("grads and original_image must have the same batch and channels, got ", grad, " and ",
                            image);
  return ResizeSizes{image.dim(0), image.dim(1), image.dim(2), image.dim(3), grad.dim(1), grad.dim(2), image};
}

float resize_scale(int64_t in_size, int64_t out_size, PixelMapping mapping) {
  if (mapping == PixelMapping::kCorners && out_size > 1)
    return static_cast<float>(in_size - 1) / static_cast<float>(out_size - 1);
  return static_cast<float>(in_size) / static_cast<float>(out_size);
}

absl::Status resize_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape image, c.with_rank(0, 4));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(1, 1));
  if (vector.dim(0) >= 0 && vector.dim(0) != 2)
    return invalid_argument("Dimension must be 2 but is ", vector.dim(0), ": size is [height, width]");
  MR_ASSIGN_OR_RETURN(const auto size, known_ints(c, 1));
  const int64_t height = size ? (*size)[0] : -1, width = size ? (*size)[1] : -1;
  if (size && (height < 0 || width < 0))
    return invalid_argument("size must be non-negative, got ", height, " x ", width);
  return c.set_output(0, make_partial_shape({image.dim(0), height, width, image.dim(3)}));
}

absl::Status resize_gradient_shape(ShapeContext& c) { return c.set_output(0, c.with_rank(1, 4)); }

namespace {

// ---- bilinear

// Between which two input positions an output position lies, and how far.
struct Between {
  int64_t lower = 0, upper = 0;
  float lerp = 0;
};

Between between(int64_t out, float scale, PixelMapping mapping, int64_t in_size) {
  const float in = input_position(out, scale, mapping);
  const float floor = std::floor(in);
  Between b;
  b.upper = std::min(static_cast<int64_t>(std::ceil(in)), in_size - 1);
  b.lower = std::clamp<int64_t>(static_cast<int64_t>(floor), 0, b.upper);
  b.lerp = in - floor;
  return b;
}

std::vector<Between> all_between(int64_t in_size, int64_t out_size, PixelMapping mapping) {
  return for_each_pixel(in_size, out_size, mapping, between);
}

template <class T> class ResizeBilinear final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, s.output));
    if (out.empty()) return absl::OkStatus();
    if (s.same_size()) {
      std::ranges::transform(in, out.begin(), [](const T& v) { return static_cast<float>(v); });
      return absl::OkStatus();
    }
    const std::vector<Between> columns = all_between(s.in_width, s.out_width, mapping_);
    const float height_scale = resize_scale(s.in_height, s.out_height, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    parallel_for(s.batch * s.out_height, static_cast<double>(out_row) * 2, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const Between y = between(r % s.out_height, height_scale, mapping_, s.in_height);
        const T* image = in.data() + r / s.out_height * s.in_height * in_row;
        interpolate_row(image + y.lower * in_row, image + y.upper * in_row, y.lerp, columns, s.channels,
                        out.data() + r * out_row);
      }
    });
    return absl::OkStatus();
  }

 private:
  static void interpolate_row(const T* top, const T* bottom, float y_lerp, const std::vector<Between>& columns,
                              int64_t channels, float* out) {
    for (const Between& x : columns) {
      const int64_t left = x.lower * channels, right = x.upper * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const auto top_left = static_cast<float>(top[left + c]);
        const auto bottom_left = static_cast<float>(bottom[left + c]);
        const float upper = top_left + (static_cast<float>(top[right + c]) - top_left) * x.lerp;
        const float lower = bottom_left + (static_cast<float>(bottom[right + c]) - bottom_left) * x.lerp;
        *out++ = upper + (lower - upper) * y_lerp;
      }
    }
  }

  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

template <class T> void add_to(T* to, float value) { *to = static_cast<T>(static_cast<float>(*to) + value); }
template <> void add_to(double* to, float value) { *to += static_cast<double>(value); }

template <class T> class ResizeBilinearGrad final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_gradient_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const float> grad, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, s.output));
    fill_zero(out.data(), static_cast<int64_t>(out.size()));
    if (out.empty()) return absl::OkStatus();
    const std::vector<Between> rows = all_between(s.in_height, s.out_height, mapping_);
    const std::vector<Between> columns = all_between(s.in_width, s.out_width, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    // Neighbouring rows add to one another's places: only images are independent.
    parallel_for(s.batch, static_cast<double>(s.out_height * out_row) * 4, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        T* image = out.data() + b * s.in_height * in_row;
        for (int64_t y = 0; y < s.out_height; ++y) {
          const Between& row = rows[static_cast<size_t>(y)];
          scatter_row(grad.data() + (b * s.out_height + y) * out_row, row.lerp, columns, s.channels,
                      image + row.lower * in_row, image + row.upper * in_row);
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static void scatter_row(const float* grad, float y_lerp, const std::vector<Between>& columns, int64_t channels,
                          T* top, T* bottom) {
    for (const Between& x : columns) {
      const int64_t left = x.lower * channels, right = x.upper * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float g = *grad++;
        add_to(top + left + c, g * (1 - y_lerp) * (1 - x.lerp));
        add_to(top + right + c, g * (1 - y_lerp) * x.lerp);
        add_to(bottom + left + c, g * y_lerp * (1 - x.lerp));
        add_to(bottom + right + c, g * y_lerp * x.lerp);
      }
    }
  }

  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

absl::Status resize_bilinear_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool align_corners, g.attr<bool>("align_corners"));
  MR_ASSIGN_OR_RETURN(const bool half_pixel_centers, g.attr<bool>("half_pixel_centers"));
  g.set_dx(0, g.op("ResizeBilinearGrad", {g.dy(0), g.x(0)},
                   {{"align_corners", align_corners}, {"half_pixel_centers", half_pixel_centers}}));
  return absl::OkStatus();
}

// ---- nearest neighbour

int64_t nearest(int64_t out, float scale, PixelMapping mapping, int64_t in_size) {
  // Centers need no shift back by half a pixel: rounding down takes the pixel whose area holds the position.
  const float in =
      mapping == PixelMapping::kCenters ? (static_cast<float>(out) + 0.5f) * scale : static_cast<float>(out) * scale;
  const float rounded = mapping == PixelMapping::kCorners ? std::round(in) : std::floor(in);
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, in_size - 1);
}

std::vector<int64_t> all_nearest(int64_t in_size, int64_t out_size, PixelMapping mapping) {
  return for_each_pixel(in_size, out_size, mapping, nearest);
}

template <class T> class ResizeNearestNeighbor final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, s.output));
    if (out.empty()) return absl::OkStatus();
    const std::vector<int64_t> columns = all_nearest(s.in_width, s.out_width, mapping_);
    const float height_scale = resize_scale(s.in_height, s.out_height, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    parallel_for(s.batch * s.out_height, static_cast<double>(out_row), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t y = nearest(r % s.out_height, height_scale, mapping_, s.in_height);
        const T* row = in.data() + (r / s.out_height * s.in_height + y) * in_row;
        T* to = out.data() + r * out_row;
        for (const int64_t x : columns) to = std::copy_n(row + x * s.channels, s.channels, to);
      }
    });
    return absl::OkStatus();
  }

 private:
  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

template <class T> class ResizeNearestNeighborGrad final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  // Here "in" is the gradient and "out" the image it is brought back to.
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> grad, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, s.output));
    fill_zero(out.data(), static_cast<int64_t>(out.size()));
    if (out.empty()) return absl::OkStatus();
    const std::vector<int64_t> rows = all_nearest(s.out_height, s.in_height, mapping_);
    const std::vector<int64_t> columns = all_nearest(s.out_width, s.in_width, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    parallel_for(s.batch, static_cast<double>(s.in_height * in_row) * 2, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T* from = grad.data() + b * s.in_height * in_row;
        T* image = out.data() + b * s.out_height * out_row;
        for (const int64_t y : rows) {
          for (const int64_t x : columns) {
            T* to = image + y * out_row + x * s.channels;
            for (int64_t c = 0; c < s.channels; ++c) to[c] = Add::apply(to[c], *from++);
          }
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

absl::Status resize_nearest_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool align_corners, g.attr<bool>("align_corners"));
  MR_ASSIGN_OR_RETURN(const bool half_pixel_centers, g.attr<bool>("half_pixel_centers"));
  const AttrMap attrs = {{"align_corners", align_corners}, {"half_pixel_centers", half_pixel_centers}};
  const PartialTensorShape image = g.shape(g.x(0));
  constexpr std::string_view kGrad = "ResizeNearestNeighborGrad";
  if (image.has_rank() && image.rank() == 4 && image.dim(1) >= 0 && image.dim(2) >= 0) {
    const std::vector<int32_t> size = {static_cast<int32_t>(image.dim(1)), static_cast<int32_t>(image.dim(2))};
    g.set_dx(0, op_with_literal(g, kGrad, g.dy(0), Tensor({2}, size), "size", kGrad, attrs));
    return absl::OkStatus();
  }
  const Output size = slice_vector(g, shape_of(g, g.x(0)), {.begin = 1, .end = 3});
  g.set_dx(0, g.op(kGrad, {g.dy(0), size}, attrs));
  return absl::OkStatus();
}

using ImageTypes = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t>;

}  // namespace

void register_resize(Registry& registry) {
  registry.op("ResizeBilinear")
      .input("images: T")
      .input("size: int32")
      .output("resized_images: float")
      .attr("T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double, bfloat16}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_shape)
      .cpu_for<ResizeBilinear>(ImageTypes())
      .gradient(resize_bilinear_gradient)
      .doc("Images resized, each pixel interpolated between the four around it.");
  registry.op("ResizeBilinearGrad")
      .input("grads: float")
      .input("original_image: T")
      .output("output: T")
      .attr("T: {float, bfloat16, half, double}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_gradient_shape)
      .cpu_for<ResizeBilinearGrad>(FloatTypes())
      .not_differentiable()
      .doc("The gradient of ResizeBilinear.");
  registry.op("ResizeNearestNeighbor")
      .input("images: T")
      .input("size: int32")
      .output("resized_images: T")
      .attr("T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_shape)
      .cpu_for<ResizeNearestNeighbor>(ImageTypes())
      .gradient(resize_nearest_gradient)
      .doc("Images resized, each pixel a copy of the nearest.");
  registry.op("ResizeNearestNeighborGrad")
      .input("grads: T")
      .input("size: int32")
      .output("output: T")
      .attr("T: {uint8, int8, int32, half, float, double, bfloat16}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_shape)
      .cpu<ResizeNearestNeighborGrad, uint8_t, int8_t, int32_t, Half, BFloat16, float, double>()
      .not_differentiable()
      .doc("The gradient of ResizeNearestNeighbor.");
}

}  // namespace millrace
