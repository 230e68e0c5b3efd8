// Summaries: what TensorBoard shows, as serialized tensorflow.Summary messages.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/checked.h"
#include "base/wire.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/histogram.h"
#include "ops/image_formats.h"
#include "ops/tensor_wire.h"

namespace millrace {
namespace {

// Field numbers of Summary, Summary.Value.
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kTag = 1, kSimpleValue = 2, kImage = 4, kHistogram = 5, kNodeName = 7, kTensor = 8, kMetadata = 9;
constexpr uint32_t kImageHeight = 1, kImageWidth = 2, kImageColorspace = 3, kEncodedImage = 4;

template <class T> double as_double(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return static_cast<double>(static_cast<float>(value));
  else return static_cast<double>(value);
}

template <class T> class ScalarSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(1));
    const bool both_single = tags.size() == 1 && values.size() == 1;
    if (ctx.shape(0) != ctx.shape(1) && !both_single)
      return invalid_argument("tags and values are not the same shape: ", ctx.shape(0), " != ", ctx.shape(1),
                              tags.size() == 1 ? str_cat(" (tag '", tags[0], "')") : std::string());
    std::string summary;
    for (size_t i = 0; i < tags.size(); ++i) {
      std::string value;
      append_bytes_field(value, kTag, tags[i]);
      append_float_field(value, kSimpleValue, static_cast<float>(as_double(values[i])));
      append_bytes_field(summary, kSummaryValue, value);
    }
    return ctx.set_scalar(0, std::move(summary));
  }
};

template <class T> class HistogramSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    if (tags.size() != 1) return invalid_argument("tags must be scalar");
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(1));
    Histogram histogram;
    for (const T v : values) {
      const double value = as_double(v);
      if (std::isnan(value)) return invalid_argument("Nan in summary histogram for: ", ctx.node().name);
      if (std::isinf(value)) return invalid_argument("Infinity in summary histogram for: ", ctx.node().name);
      histogram.add(value);
    }
    std::string value, summary;
    append_bytes_field(value, kTag, tags[0]);
    append_bytes_field(value, kHistogram, histogram.serialized());
    append_bytes_field(summary, kSummaryValue, value);
    return ctx.set_scalar(0, std::move(summary));
  }
};

// One image of floating numbers as bytes: 0 to the largest become 0 to 255, or, where some are negative, -m to m become
// 1 to 255. A pixel with a number that is not finite gets `bad_color`. The range is a float, and each
// further step rounded to T, as TensorFlow's is.
template <class T> void to_bytes(std::span<const T> image, std::span<const uint8_t> bad_color, std::span<uint8_t> out) {
  using F = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto rounded = [](F value) { return static_cast<F>(static_cast<T>(value)); };
  constexpr float kAlmostZero = 1e-6f;
  const size_t channels = bad_color.size();
  const auto is_finite = [&](size_t pixel) {
    return std::ranges::all_of(image.subspan(pixel, channels), [](T v) { return std::isfinite(static_cast<F>(v)); });
  };
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (size_t i = 0; i < image.size(); i += channels) {
    if (!is_finite(i)) continue;
    for (const T v : image.subspan(i, channels)) {
      least = std::min(least, static_cast<float>(v));
      most = std::max(most, static_cast<float>(v));
    }
  }
  const bool is_signed = least < 0;
  const float range = is_signed ? std::max(std::abs(least), std::abs(most)) : most;
  const F scale = range < kAlmostZero ? F{0} : rounded((is_signed ? 127.0f : 255.0f) / range);
  const F offset = is_signed ? F{128} : F{0};
  for (size_t i = 0; i < image.size(); i += channels) {
    const bool finite = is_finite(i);
    for (size_t c = 0; c < channels; ++c) {
      const F value = finite ? rounded(rounded(static_cast<F>(image[i + c]) * scale) + offset) : F{0};
      out[i + c] = finite ? static_cast<uint8_t>(std::clamp<F>(value, 0, 255)) : bad_color[c];
    }
  }
}

template <class T> class ImageSummary final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(max_images_, init.attr<int64_t>("max_images"));
    MR_ASSIGN_OR_RETURN(const Tensor bad_color, init.attr<Tensor>("bad_color"));
    if (bad_color.dtype() != DataType::kUint8)
      return invalid_argument("bad_color must be uint8, got ", dtype_name(bad_color.dtype()));
    if (bad_color.rank() != 1) return invalid_argument("bad_color must be a vector, got shape ", bad_color.shape());
    const auto values = bad_color.unchecked<uint8_t>();
    bad_color_.assign(values.begin(), values.end());
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(1);
    if (ctx.shape(0).num_elements() != 1) return invalid_argument("Tags must be a scalar");
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    MR_RETURN_IF_ERROR(check(shape));
    MR_ASSIGN_OR_RETURN(const std::span<const T> all, ctx.flat<T>(1));
    const ImageSize size{shape.dim(1), shape.dim(2), shape.dim(3)};
    const auto samples = static_cast<size_t>(size.height * size.width * size.channels);
    std::string summary;
    for (int64_t i = 0; i < std::min(shape.dim(0), max_images_); ++i) {
      const std::string tag = str_cat(tags[0], "/image", max_images_ > 1 ? str_cat("/", i) : std::string());
      MR_RETURN_IF_ERROR(append(tag, size, all.subspan(static_cast<size_t>(i) * samples, samples), &summary));
    }
    return ctx.set_scalar(0, std::move(summary));
  }

 private:
  absl::Status check(const TensorShape& shape) const {
    const int64_t channels = shape.rank() == 4 ? shape.dim(3) : 0;
    if (channels != 1 && channels != 3 && channels != 4)
      return invalid_argument("Tensor must be 4-D with last dim 1, 3, or 4, not ", shape);
    if (shape.dim(1) == 0 || shape.dim(2) == 0) return invalid_argument("Tensor has images without pixels: ", shape);
    if (CheckedInt pixels = CheckedInt(shape.dim(1)) * shape.dim(2); !pixels.valid_and_at_most(kMostPixels))
      return invalid_argument("Tensor too large for summary ", shape);
    if (static_cast<int64_t>(bad_color_.size()) < channels)
      return invalid_argument("expected depth <= bad_color.size, got depth = ", channels,
                              ", bad_color.size = ", bad_color_.size());
    return absl::OkStatus();
  }

  absl::Status append(const std::string& tag, const ImageSize& size, std::span<const T> image,
                      std::string* summary) const {
    std::vector<uint8_t> bytes;
    const uint8_t* samples = nullptr;
    if constexpr (std::is_same_v<T, uint8_t>) {
      samples = image.data();
    } else {
      bytes.resize(image.size());
      to_bytes(image, std::span(bad_color_).first(static_cast<size_t>(size.channels)), std::span(bytes));
      samples = bytes.data();
    }
    MR_ASSIGN_OR_RETURN(const std::string file, encode_png(samples, size, 8, -1));
    std::string value, picture;
    append_varint_field(picture, kImageHeight, static_cast<uint64_t>(size.height));
    append_varint_field(picture, kImageWidth, static_cast<uint64_t>(size.width));
    append_varint_field(picture, kImageColorspace, static_cast<uint64_t>(size.channels));
    append_bytes_field(picture, kEncodedImage, file);
    append_bytes_field(value, kTag, tag);
    append_bytes_field(value, kImage, picture);
    append_bytes_field(*summary, kSummaryValue, value);
    return absl::OkStatus();
  }

  int64_t max_images_ = 3;
  std::vector<uint8_t> bad_color_;
};

// The tag of a serialized Summary.Value; false where it is damaged.
bool read_tag(std::string_view value, std::string_view* tag) {
  WireReader r(value);
  while (r.next()) {
    if (r.is(kTag, WireType::kBytes)) *tag = r.bytes();
    else r.skip();
  }
  return r.ok();
}

class MergeSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    std::string merged;
    absl::flat_hash_set<absl::string_view> tags;
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      MR_ASSIGN_OR_RETURN(const auto summaries, ctx.flat<std::string>(i));
      for (const std::string& summary : summaries) {
        WireReader r(summary);
        while (r.next()) {
          if (!r.is(kSummaryValue, WireType::kBytes)) {
            r.skip();
            continue;
          }
          const std::string_view value = r.bytes();
          std::string_view tag;
          if (!r.ok() || !read_tag(value, &tag)) return invalid_argument("Could not parse one of the summary inputs");
          // Several values may have no tag.
          if (!tag.empty() && !tags.insert(to_absl(tag)).second)
            return invalid_argument("Duplicate tag ", tag, " found in summary inputs");
          append_bytes_field(merged, kSummaryValue, value);
        }
        if (!r.ok()) return invalid_argument("Could not parse one of the summary inputs");
      }
    }
    return ctx.set_scalar(0, std::move(merged));
  }
};

class TensorSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    std::string value, tensor, summary;
    MR_RETURN_IF_ERROR(append_tensor(tensor, ctx.input(0)));
    append_bytes_field(value, kNodeName, ctx.node().name);
    append_bytes_field(value, kTensor, tensor);
    append_bytes_field(summary, kSummaryValue, value);
    return ctx.set_scalar(0, std::move(summary));
  }
};

class TensorSummaryV2 final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::string metadata, ctx.scalar<std::string>(2));
    WireReader check(metadata);
    while (check.next()) check.skip();
    if (!check.ok()) return invalid_argument("Could not parse serialized_summary_metadata as SummaryMetadata");
    std::string value, tensor, summary;
    MR_RETURN_IF_ERROR(append_tensor(tensor, ctx.input(1)));
    if (!tag.empty()) append_bytes_field(value, kTag, tag);
    append_bytes_field(value, kTensor, tensor);
    append_bytes_field(value, kMetadata, metadata);
    append_bytes_field(summary, kSummaryValue, value);
    return ctx.set_scalar(0, std::move(summary));
  }
};

absl::Status image_summary_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 4).status());
  return scalar_shape(c);
}

absl::Status histogram_summary_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return scalar_shape(c);
}

}  // namespace

void register_summary_ops(Registry& registry) {
  registry.op("ScalarSummary")
      .input("tags: string")
      .input("values: T")
      .output("summary: string")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .shape(scalar_shape)
      .cpu_for<ScalarSummary>(RealTypes())
      .not_differentiable()
      .doc("A summary with a value for each tag.");
  registry.op("HistogramSummary")
      .input("tag: string")
      .input("values: T")
      .output("summary: string")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64} = DT_FLOAT")
      .shape(histogram_summary_shape)
      .cpu_for<HistogramSummary>(RealTypes())
      .not_differentiable()
      .doc("A summary with a histogram of the values.");
  registry.op("ImageSummary")
      .input("tag: string")
      .input("tensor: T")
      .output("summary: string")
      .attr("max_images: int >= 1 = 3")
      .attr("T: {uint8, float, half, float64} = DT_FLOAT")
      .attr("bad_color: tensor = uint8 [255, 0, 0, 255]")
      .shape(image_summary_shape)
      .cpu<ImageSummary, uint8_t, Half, float, double>()
      .not_differentiable()
      .doc("A summary with the first images of a batch as PNG files.");
  registry.op("MergeSummary")
      .input("inputs: N * string")
      .output("summary: string")
      .attr("N: int >= 1")
      .shape(scalar_shape)
      .cpu<MergeSummary>()
      .not_differentiable()
      .doc("One summary of several.");
  registry.op("TensorSummary")
      .input("tensor: T")
      .output("summary: string")
      .attr("T: type")
      .attr("description: string = ''")
      .attr("labels: list(string) = []")
      .attr("display_name: string = ''")
      .shape(scalar_shape)
      .cpu<TensorSummary>()
      .not_differentiable()
      .doc("A summary with a tensor.");
  registry.op("TensorSummaryV2")
      .input("tag: string")
      .input("tensor: T")
      .input("serialized_summary_metadata: string")
      .output("summary: string")
      .attr("T: type")
      .shape(scalar_shape)
      .cpu<TensorSummaryV2>()
      .not_differentiable()
      .doc("A summary with a tensor and metadata.");
}

}  // namespace millrace
