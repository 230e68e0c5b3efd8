// Summaries: what TensorBoard shows, as serialized tensorflow.Summary messages.

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "absl/container/flat_hash_set.h"
#include "base/wire.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/families.h"
#include "ops/histogram.h"
#include "ops/tensor_wire.h"

namespace millrace {
namespace {

// Field numbers of Summary, Summary.Value.
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kTag = 1, kSimpleValue = 2, kHistogram = 5, kNodeName = 7, kTensor = 8, kMetadata = 9;

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
