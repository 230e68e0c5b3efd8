// Boxes on images: drawn, chosen among those that overlap (non-maximum suppression), and patches cut out on a grid.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <queue>

#include "base/checked.h"
#include "kernels/elements.h"
#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

// ---- drawing

using Color = std::array<float, 4>;

// TensorFlow's.
std::vector<Color> default_colors() {
  return {{1, 1, 0, 1},       {0, 0, 1, 1},    {1, 0, 0, 1},    {0, 1, 0, 1}, {0.5f, 0, 0.5f, 1},
          {0.5f, 0.5f, 0, 1}, {0.5f, 0, 0, 1}, {0, 0, 0.5f, 1}, {0, 1, 1, 1}, {1, 0, 1, 1}};
}

// A place on an axis of `size` pixels; far outside where the number is no place at all.
int64_t place(float relative, int64_t size) {
  const float at = relative * static_cast<float>(size - 1);
  constexpr float kFar = 1e9f;
  return std::isnan(at) ? -1 : static_cast<int64_t>(std::clamp(at, -kFar, kFar));
}

template <class T> class DrawBoundingBoxes final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    const TensorShape& boxes = ctx.shape(1);
    if (shape.rank() != 4) return invalid_argument("The rank of the images should be 4, got ", shape);
    if (boxes.rank() != 3 || boxes.dim(2) != 4)
      return invalid_argument("The shape of the boxes should be [batch, boxes, 4], got ", boxes);
    if (shape.dim(0) != boxes.dim(0)) return invalid_argument("The batch sizes should be the same");
    const int64_t depth = shape.dim(3);
    if (depth != 1 && depth != 3 && depth != 4)
      return invalid_argument("Channel depth should be either 1 (GRY), 3 (RGB), or 4 (RGBA)");
    MR_ASSIGN_OR_RETURN(const std::vector<Color> colors, colors_of(ctx, depth));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const float> all, ctx.flat<float>(1));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    std::ranges::copy(in, out.begin());
    const int64_t count = boxes.dim(1);
    Canvas canvas{out.data(), shape.dim(1), shape.dim(2), depth};
    for (int64_t b = 0; b < shape.dim(0); ++b, canvas.pixels += canvas.height * canvas.width * depth) {
      for (int64_t i = 0; i < count; ++i)
        canvas.draw(all.data() + (b * count + i) * 4, colors[static_cast<size_t>(i) % colors.size()]);
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<std::vector<Color>> colors_of(KernelContext& ctx, int64_t depth) {
    std::vector<Color> colors = default_colors();
    if (depth == 1) {
      for (Color& color : colors) color[0] = 1;  // white
    }
    if (ctx.num_inputs() > 2 && ctx.shape(2).num_elements() > 0) {
      const TensorShape& shape = ctx.shape(2);
      if (shape.rank() != 2) return invalid_argument("colors must be a 2-D matrix, got ", shape);
      if (shape.dim(1) < depth)
        return invalid_argument("colors must have equal or more channels than the image provided: ", shape.dim(1),
                                " < ", depth);
      MR_ASSIGN_OR_RETURN(const std::span<const float> values, ctx.flat<float>(2));
      colors.assign(static_cast<size_t>(shape.dim(0)), Color{});
      for (size_t i = 0; i < colors.size(); ++i)
        std::copy_n(values.data() + static_cast<int64_t>(i) * shape.dim(1), std::min<int64_t>(shape.dim(1), 4),
                    colors[i].begin());
    }
    return colors;
  }

  struct Canvas {
    T* pixels;
    int64_t height, width, depth;
    void set(int64_t y, int64_t x, const Color& color) {
      for (int64_t c = 0; c < depth; ++c)
        pixels[(y * width + x) * depth + c] = static_cast<T>(color[static_cast<size_t>(c)]);
    }
    // The four sides, as far as they are on the image.
    void draw(const float* box, const Color& color) {
      const int64_t top = place(box[0], height), left = place(box[1], width);
      const int64_t bottom = place(box[2], height), right = place(box[3], width);
      if (top > bottom || left > right || top >= height || bottom < 0 || left >= width || right < 0) return;
      const int64_t first_x = std::max<int64_t>(left, 0), last_x = std::min(right, width - 1);
      const int64_t first_y = std::max<int64_t>(top, 0), last_y = std::min(bottom, height - 1);
      for (int64_t x = first_x; x <= last_x; ++x) {
        if (top >= 0) set(top, x, color);
        if (bottom < height) set(bottom, x, color);
      }
      for (int64_t y = first_y; y <= last_y; ++y) {
        if (left >= 0) set(y, left, color);
        if (right < width) set(y, right, color);
      }
    }
  };
};

absl::Status draw_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 3).status());
  if (c.num_inputs() > 2) MR_RETURN_IF_ERROR(c.with_rank(2, 2).status());
  return c.set_output(0, c.with_rank_at_least(0, 3));
}

// ---- non-maximum suppression

struct Candidate {
  int32_t box;
  float score;
  size_t compared;  // with so many of the chosen boxes
};
struct WorseCandidate {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.score < b.score || (a.score == b.score && a.box > b.box);
  }
};

struct Suppression {
  int64_t max_output_size = 0;
  float overlap_threshold = 0.5f;
  float score_threshold = std::numeric_limits<float>::lowest();
  float sigma = 0;  // of soft suppression; 0: hard
};

struct Chosen {
  std::vector<int32_t> boxes;
  std::vector<float> scores;
};

// The best box is chosen; others are dropped where they overlap a chosen one, or, with a sigma, lose score (Bodla et
// al. 2017).
template <class Overlap> Chosen suppress(std::span<const float> scores, const Suppression& s, Overlap&& overlap) {
  std::priority_queue<Candidate, std::vector<Candidate>, WorseCandidate> queue;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > s.score_threshold) queue.push({static_cast<int32_t>(i), scores[i], 0});
  }
  const bool soft = s.sigma > 0;
  Chosen chosen;
  while (static_cast<int64_t>(chosen.boxes.size()) < s.max_output_size && !queue.empty()) {
    Candidate next = queue.top();
    queue.pop();
    const float before = next.score;
    bool dropped = false;
    for (size_t j = chosen.boxes.size(); j-- > next.compared;) {  // those of similar score overlap most
      const float similarity = overlap(next.box, chosen.boxes[j]);
      if (soft) next.score *= std::exp(-0.5f / s.sigma * similarity * similarity);
      dropped = !soft && similarity > s.overlap_threshold;
      if (dropped || next.score <= s.score_threshold) break;
    }
    next.compared = chosen.boxes.size();
    if (dropped) continue;
    if (next.score == before) {
      chosen.boxes.push_back(next.box);
      chosen.scores.push_back(next.score);
    } else if (next.score > s.score_threshold) {
      queue.push(next);
    }
  }
  return chosen;
}

// Intersection over union of two boxes given by any two opposite corners.
float intersection_over_union(const float* a, const float* b) {
  const float a_top = std::min(a[0], a[2]), a_bottom = std::max(a[0], a[2]);
  const float a_left = std::min(a[1], a[3]), a_right = std::max(a[1], a[3]);
  const float b_top = std::min(b[0], b[2]), b_bottom = std::max(b[0], b[2]);
  const float b_left = std::min(b[1], b[3]), b_right = std::max(b[1], b[3]);
  const float a_area = (a_bottom - a_top) * (a_right - a_left), b_area = (b_bottom - b_top) * (b_right - b_left);
  if (a_area <= 0 || b_area <= 0) return 0;
  const float height = std::max(std::min(a_bottom, b_bottom) - std::max(a_top, b_top), 0.0f);
  const float width = std::max(std::min(a_right, b_right) - std::max(a_left, b_left), 0.0f);
  return height * width / (a_area + b_area - height * width);
}

absl::StatusOr<std::vector<float>> floats(KernelContext& ctx, int i) {
  if (ctx.input(i).dtype() == DataType::kHalf) {
    MR_ASSIGN_OR_RETURN(const auto half, ctx.flat<Half>(i));
    std::vector<float> values;
    for (const Half v : half) values.push_back(static_cast<float>(v));
    return values;
  }
  MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<float>(i));
  return std::vector<float>(values.begin(), values.end());
}
absl::StatusOr<float> float_scalar(KernelContext& ctx, int i, std::string_view name) {
  if (ctx.shape(i).rank() != 0) return invalid_argument(name, " must be 0-D, got shape ", ctx.shape(i));
  MR_ASSIGN_OR_RETURN(const std::vector<float> values, floats(ctx, i));
  return values[0];
}

// All versions: later ones have more inputs (thresholds, sigma), padding and more outputs.
class NonMaxSuppression final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    if (init.has_attr("iou_threshold")) {
      MR_ASSIGN_OR_RETURN(iou_threshold_, init.attr<float>("iou_threshold"));
    }
    if (init.has_attr("pad_to_max_output_size")) {
      MR_ASSIGN_OR_RETURN(pad_, init.attr<bool>("pad_to_max_output_size"));
    }
    return check_threshold(iou_threshold_);
  }

  absl::Status compute(KernelContext& ctx) override {
    const bool is_matrix = ctx.node().op == "NonMaxSuppressionWithOverlaps";
    MR_RETURN_IF_ERROR(check_shapes(ctx, is_matrix));
    MR_ASSIGN_OR_RETURN(const Suppression s, read(ctx));
    MR_ASSIGN_OR_RETURN(const std::vector<float> boxes, floats(ctx, 0));
    MR_ASSIGN_OR_RETURN(const std::vector<float> scores, floats(ctx, 1));
    const size_t n = scores.size();
    const Chosen chosen =
        is_matrix
            ? suppress(scores, s,
                       [&](int32_t a, int32_t b) { return boxes[static_cast<size_t>(a) * n + static_cast<size_t>(b)]; })
            : suppress(scores, s, [&](int32_t a, int32_t b) {
                return intersection_over_union(boxes.data() + 4 * int64_t{a}, boxes.data() + 4 * int64_t{b});
              });
    return write(ctx, s, chosen);
  }

 private:
  static absl::Status check_threshold(float threshold) {
    if (!(threshold >= 0 && threshold <= 1))
      return invalid_argument("iou_threshold must be in [0, 1], got ", threshold);
    return absl::OkStatus();
  }

  static absl::Status check_shapes(KernelContext& ctx, bool is_matrix) {
    const TensorShape& boxes = ctx.shape(0);
    if (boxes.rank() != 2) return invalid_argument(is_matrix ? "overlaps" : "boxes", " must be 2-D, got ", boxes);
    if (boxes.dim(1) != (is_matrix ? boxes.dim(0) : 4))
      return invalid_argument(is_matrix ? "overlaps must be square" : "boxes must have 4 columns", boxes);
    if (boxes.dim(0) > std::numeric_limits<int32_t>::max()) return invalid_argument("too many boxes: ", boxes);
    if (ctx.shape(1).rank() != 1) return invalid_argument("scores must be 1-D", ctx.shape(1));
    if (ctx.shape(1).dim(0) != boxes.dim(0)) return invalid_argument("scores has incompatible shape", ctx.shape(1));
    return absl::OkStatus();
  }

  absl::StatusOr<Suppression> read(KernelContext& ctx) const {
    Suppression s;
    if (ctx.shape(2).rank() != 0) return invalid_argument("max_output_size must be 0-D, got shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(s.max_output_size, ctx.int_scalar(2));
    if (s.max_output_size < 0) return invalid_argument("max_output_size must be non-negative: ", s.max_output_size);
    s.overlap_threshold = iou_threshold_;
    if (ctx.num_inputs() > 3) {
      MR_ASSIGN_OR_RETURN(s.overlap_threshold, float_scalar(ctx, 3, "iou_threshold"));
      if (ctx.node().op != "NonMaxSuppressionWithOverlaps") MR_RETURN_IF_ERROR(check_threshold(s.overlap_threshold));
    }
    if (ctx.num_inputs() > 4) {
      MR_ASSIGN_OR_RETURN(s.score_threshold, float_scalar(ctx, 4, "score_threshold"));
    }
    if (ctx.num_inputs() > 5) {
      MR_ASSIGN_OR_RETURN(s.sigma, float_scalar(ctx, 5, "soft_nms_sigma"));
      if (!(s.sigma >= 0)) return invalid_argument("soft_nms_sigma_val must be non-negative, got ", s.sigma);
    }
    return s;
  }

  absl::Status write(KernelContext& ctx, const Suppression& s, const Chosen& chosen) const {
    const auto count = static_cast<int64_t>(chosen.boxes.size());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({pad_ ? s.max_output_size : count}));
    MR_ASSIGN_OR_RETURN(const std::span<int32_t> boxes, ctx.output<int32_t>(0, shape));
    std::ranges::fill(std::ranges::copy(chosen.boxes, boxes.begin()).out, boxes.end(), 0);
    if (ctx.num_outputs() == 3) {
      MR_ASSIGN_OR_RETURN(Tensor * scores, ctx.allocate_output(1, shape));
      const auto copy = [&]<class T>(std::span<T> out) {
        for (size_t i = 0; i < out.size(); ++i)
          out[i] = static_cast<T>(i < chosen.scores.size() ? chosen.scores[i] : 0);
      };
      if (scores->dtype() == DataType::kHalf) copy(scores->unchecked_mutable<Half>());
      else copy(scores->unchecked_mutable<float>());
    }
    if (ctx.num_outputs() > 1) return ctx.set_scalar(ctx.num_outputs() - 1, static_cast<int32_t>(count));
    return absl::OkStatus();
  }

  float iou_threshold_ = 0.5f;
  bool pad_ = false;
};

absl::Status suppression_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape boxes, c.with_rank(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape scores, c.with_rank(1, 1));
  for (int i = 2; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  if (const auto merged = merge_dim(boxes.dim(0), scores.dim(0)); !merged.ok()) return merged.status();
  int64_t count = -1;
  if (c.node().attrs.contains("pad_to_max_output_size")) {
    MR_ASSIGN_OR_RETURN(const bool pad, c.attr<bool>("pad_to_max_output_size"));
    MR_ASSIGN_OR_RETURN(const std::optional<int64_t> most, known_int(c, 2));
    if (pad && most) count = *most;
    if (count < -1) return invalid_argument("max_output_size must be non-negative: ", count);
  }
  const int last = c.num_outputs() - 1;
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({count})));
  if (last == 2) MR_RETURN_IF_ERROR(c.set_output(1, make_partial_shape({count})));
  return last > 0 ? c.set_output(last, PartialTensorShape::scalar()) : absl::OkStatus();
}

// ---- patches

// The sizes of patches and where they lie, in terms of pooling's window.
template <class Attrs> absl::StatusOr<WindowAttrs> patches_from(const Attrs& from) {
  WindowAttrs a;
  MR_ASSIGN_OR_RETURN(a.window, from.template attr<std::vector<int64_t>>("ksizes"));
  MR_ASSIGN_OR_RETURN(a.strides, from.template attr<std::vector<int64_t>>("strides"));
  MR_ASSIGN_OR_RETURN(a.dilations, from.template attr<std::vector<int64_t>>("rates"));
  MR_ASSIGN_OR_RETURN(const std::string padding, from.template attr<std::string>("padding"));
  a.padding = padding == "SAME" ? Padding::kSame : Padding::kValid;
  for (const std::vector<int64_t>* list : {&a.window, &a.strides, &a.dilations}) {
    if (list->size() != 4) return invalid_argument("ksizes, strides and rates must have 4 elements");
    if ((*list)[0] != 1 || (*list)[3] != 1)
      return unimplemented("Only support ksizes, strides and rates across space.");
    for (const int64_t value : *list) {
      if (value < 1 || value > INT32_MAX)
        return out_of_range("ksizes, strides and rates must be positive numbers of 32 bits, got ", value);
    }
  }
  return a;
}

class ExtractImagePatches final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(attrs_, patches_from(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& in = ctx.shape(0);
    if (in.rank() != 4) return invalid_argument("input must be 4-dimensional", in);
    MR_ASSIGN_OR_RETURN(const WindowDim y, place_window(attrs_, 0, in.dim(1), attrs_.window[1]));
    MR_ASSIGN_OR_RETURN(const WindowDim x, place_window(attrs_, 1, in.dim(2), attrs_.window[2]));
    const CheckedInt depth = CheckedInt(y.window) * x.window * in.dim(3);
    if (!depth.valid()) return invalid_argument("patches are too large");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({in.dim(0), y.output, x.output, depth.value()}));
    const Tensor images = ctx.input(0);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    return with_storage(images.dtype(), [&]<class S>(std::type_identity<S>) {
      extract(static_cast<const S*>(images.raw_data()), in, y, x, static_cast<S*>(out->raw_mutable_data()));
      return absl::OkStatus();
    });
  }

 private:
  template <class S>
  static void extract(const S* images, const TensorShape& in, const WindowDim& y, const WindowDim& x, S* out) {
    const int64_t channels = in.dim(3), row = x.input * channels, patch = y.window * x.window * channels;
    parallel_for(in.dim(0) * y.output, static_cast<double>(x.output * patch), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const S* image = images + r / y.output * y.input * row;
        S* to = out + r * x.output * patch;
        fill_zero(to, x.output * patch);
        const int64_t oy = r % y.output;
        const WindowDim::Taps rows = y.taps(oy);
        for (int64_t ox = 0; ox < x.output; ++ox, to += patch) {
          const WindowDim::Taps columns = x.taps(ox);
          for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
            const S* from = image + (y.start(oy) + ky * y.dilation) * row;
            for (int64_t kx = columns.begin; kx < columns.end; ++kx)
              copy_run(from + (x.start(ox) + kx * x.dilation) * channels, to + (ky * x.window + kx) * channels,
                       channels);
          }
        }
      }
    });
  }

  WindowAttrs attrs_;
};

absl::Status patches_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape in, c.with_rank(0, 4));
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, patches_from(c));
  int64_t out[2] = {-1, -1};
  for (int i = 0; i < 2; ++i) {
    if (in.dim(i + 1) < 0) continue;
    MR_ASSIGN_OR_RETURN(const WindowDim w, place_window(a, i, in.dim(i + 1), a.window[static_cast<size_t>(i + 1)]));
    out[i] = w.output;
  }
  const int64_t depth = multiply_dims(multiply_dims(a.window[1], a.window[2]), in.dim(3));
  return c.set_output(0, make_partial_shape({in.dim(0), out[0], out[1], depth}));
}

OpBuilder suppression(Registry& registry, std::string_view name) {
  return registry.op(name).shape(suppression_shape).cpu<NonMaxSuppression>();
}

void register_suppression(Registry& registry) {
  suppression(registry, "NonMaxSuppression")
      .input("boxes: float")
      .input("scores: float")
      .input("max_output_size: int32")
      .output("selected_indices: int32")
      .attr("iou_threshold: float = 0.5")
      .not_differentiable()
      .doc("The boxes of the best scores that do not overlap a better one.");
  suppression(registry, "NonMaxSuppressionV2")
      .input("boxes: T")
      .input("scores: T")
      .input("max_output_size: int32")
      .input("iou_threshold: T_threshold")
      .output("selected_indices: int32")
      .attr("T: {half, float} = DT_FLOAT")
      .attr("T_threshold: {half, float} = DT_FLOAT")
      .not_differentiable()
      .doc("The same with a threshold that is a tensor.");
  suppression(registry, "NonMaxSuppressionV3")
      .input("boxes: T")
      .input("scores: T")
      .input("max_output_size: int32")
      .input("iou_threshold: T_threshold")
      .input("score_threshold: T_threshold")
      .output("selected_indices: int32")
      .attr("T: {half, float} = DT_FLOAT")
      .attr("T_threshold: {half, float} = DT_FLOAT")
      .doc("The same among boxes above a score.");
  suppression(registry, "NonMaxSuppressionV4")
      .input("boxes: T")
      .input("scores: T")
      .input("max_output_size: int32")
      .input("iou_threshold: T_threshold")
      .input("score_threshold: T_threshold")
      .output("selected_indices: int32")
      .output("valid_outputs: int32")
      .attr("T: {half, float} = DT_FLOAT")
      .attr("T_threshold: {half, float} = DT_FLOAT")
      .attr("pad_to_max_output_size: bool = false")
      .doc("The same, filled up with zeros where asked, and how many are real.");
  suppression(registry, "NonMaxSuppressionV5")
      .input("boxes: T")
      .input("scores: T")
      .input("max_output_size: int32")
      .input("iou_threshold: T")
      .input("score_threshold: T")
      .input("soft_nms_sigma: T")
      .output("selected_indices: int32")
      .output("selected_scores: T")
      .output("valid_outputs: int32")
      .attr("T: {half, float} = DT_FLOAT")
      .attr("pad_to_max_output_size: bool = false")
      .doc("The same, where overlaps lower scores rather than end them if sigma is positive.");
  suppression(registry, "NonMaxSuppressionWithOverlaps")
      .input("overlaps: float")
      .input("scores: float")
      .input("max_output_size: int32")
      .input("overlap_threshold: float")
      .input("score_threshold: float")
      .output("selected_indices: int32")
      .not_differentiable()
      .doc("The same with given overlaps of each two.");
}

}  // namespace

void register_image_boxes(Registry& registry) {
  registry.op("DrawBoundingBoxes")
      .input("images: T")
      .input("boxes: float")
      .output("output: T")
      .attr("T: {float, half} = DT_FLOAT")
      .shape(draw_shape)
      .cpu<DrawBoundingBoxes, Half, float>()
      .not_differentiable()
      .doc("Images with the outlines of boxes [y1, x1, y2, x2], each in [0, 1].");
  registry.op("DrawBoundingBoxesV2")
      .input("images: T")
      .input("boxes: float")
      .input("colors: float")
      .output("output: T")
      .attr("T: {float, half} = DT_FLOAT")
      .shape(draw_shape)
      .cpu<DrawBoundingBoxes, Half, float>()
      .doc("The same in given colours, which take turns.");
  register_suppression(registry);
  registry.op("ExtractImagePatches")
      .input("images: T")
      .output("patches: T")
      .attr("ksizes: list(int) >= 4")
      .attr("strides: list(int) >= 4")
      .attr("rates: list(int) >= 4")
      .attr(
          "T: {half, bfloat16, float, double, int8, int16, int32, int64, uint8, uint16, uint32, uint64, complex64, "
          "complex128, bool}")
      .attr("padding: {'SAME', 'VALID'}")
      .shape(patches_shape)
      .cpu<ExtractImagePatches>()
      .doc("Patches on a grid of each image, stacked in the channels.");
}

}  // namespace millrace
