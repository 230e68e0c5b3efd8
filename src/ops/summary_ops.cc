// Summaries: what TensorBoard shows, as serialized tensorflow.Summary messages.

#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/wire.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/summary_values.h"

namespace millrace {
namespace {

// Field numbers of Summary and Summary.Value.
constexpr uint32_t kSummaryValue = 1, kTag = 1;

template <class T> class ScalarSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(1));
    const bool both_single = tags.size() == 1 && values.size() == 1;
    if (ctx.shape(0) != ctx.shape(1) && !both_single)
      return invalid_argument("tags and values are not the same shape: ", ctx.shape(0), " != ", ctx.shape(1),
                              tags.size() == 1 ? str_cat(" (tag '", tags[0], "')") : std::string());
    std::string summary;
    for (size_t i = 0; i < tags.size(); ++i)
      append_scalar_value(summary, tags[i], static_cast<float>(as_double(values[i])));
    return ctx.set_scalar(0, std::move(summary));
  }
};

class HistogramSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    if (tags.size() != 1) return invalid_argument("tags must be scalar");
    std::string summary;
    MR_RETURN_IF_ERROR(append_histogram_value(summary, tags[0], ctx.input(1), ctx.node().name));
    return ctx.set_scalar(0, std::move(summary));
  }
};

class ImageSummary final : public Kernel {
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
    if (ctx.shape(0).num_elements() != 1) return invalid_argument("Tags must be a scalar");
    MR_ASSIGN_OR_RETURN(const auto tags, ctx.flat<std::string>(0));
    std::string summary;
    MR_RETURN_IF_ERROR(append_image_values(summary, tags[0], ctx.input(1), max_images_, bad_color_));
    return ctx.set_scalar(0, std::move(summary));
  }

 private:
  int64_t max_images_ = 3;
  std::vector<uint8_t> bad_color_;
};

// The sample rate is an attribute of the first version, an input of the second.
class AudioSummary final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(max_outputs_, init.attr<int64_t>("max_outputs"));
    if (!init.has_attr("sample_rate")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(sample_rate_, init.attr<float>("sample_rate"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 0) return invalid_argument("Tag must be a scalar");
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(0));
    float sample_rate = sample_rate_;
    if (ctx.num_inputs() > 2) {
      MR_ASSIGN_OR_RETURN(sample_rate, ctx.scalar<float>(2));
    }
    std::string summary;
    MR_RETURN_IF_ERROR(append_audio_values(summary, tag, ctx.input(1), max_outputs_, sample_rate));
    return ctx.set_scalar(0, std::move(summary));
  }

 private:
  int64_t max_outputs_ = 3;
  float sample_rate_ = 0;
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
    std::string summary;
    MR_RETURN_IF_ERROR(append_tensor_value(summary, {.node_name = ctx.node().name}, ctx.input(0)));
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
    std::string summary;
    MR_RETURN_IF_ERROR(append_tensor_value(summary, {.tag = tag, .metadata = metadata}, ctx.input(1)));
    return ctx.set_scalar(0, std::move(summary));
  }
};

absl::Status image_summary_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 4).status());
  return scalar_shape(c);
}

absl::Status audio_summary_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_least(1, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_most(1, 3).status());
  if (c.num_inputs() > 2) MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
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
      .cpu<HistogramSummary>()
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
      .cpu<ImageSummary>()
      .not_differentiable()
      .doc("A summary with the first images of a batch as PNG files.");
  registry.op("AudioSummary")
      .input("tag: string")
      .input("tensor: float")
      .output("summary: string")
      .attr("sample_rate: float")
      .attr("max_outputs: int >= 1 = 3")
      .shape(audio_summary_shape)
      .cpu<AudioSummary>()
      .not_differentiable()
      .doc("A summary with the first sounds of a batch as WAV files.");
  registry.op("AudioSummaryV2")
      .input("tag: string")
      .input("tensor: float")
      .input("sample_rate: float")
      .output("summary: string")
      .attr("max_outputs: int >= 1 = 3")
      .shape(audio_summary_shape)
      .cpu<AudioSummary>()
      .not_differentiable()
      .doc("A summary with the first sounds of a batch as WAV files.");
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
