// Strings made of tensors and of neighbouring strings.

#include <cstdio>

#include "base/checked.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// ---- StringFormat

void append_number(std::string& out, double v, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", digits, v);
  out += text;
}

void append_element(std::string& out, const Tensor& t, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (t.dtype()) {
    case DataType::kFloat: return append_number(out, static_cast<double>(t.unchecked<float>()[at]), 9);
    case DataType::kDouble: return append_number(out, t.unchecked<double>()[at], 17);
    case DataType::kHalf:
      return append_number(out, static_cast<double>(static_cast<float>(t.unchecked<Half>()[at])), 9);
    case DataType::kBfloat16:
      return append_number(out, static_cast<double>(static_cast<float>(t.unchecked<BFloat16>()[at])), 9);
    case DataType::kInt8: return str_append(&out, int{t.unchecked<int8_t>()[at]});
    case DataType::kInt16: return str_append(&out, int{t.unchecked<int16_t>()[at]});
    case DataType::kInt32: return str_append(&out, t.unchecked<int32_t>()[at]);
    case DataType::kInt64: return str_append(&out, t.unchecked<int64_t>()[at]);
    case DataType::kUint8: return str_append(&out, int{t.unchecked<uint8_t>()[at]});
    case DataType::kUint16: return str_append(&out, int{t.unchecked<uint16_t>()[at]});
    case DataType::kUint32: return str_append(&out, t.unchecked<uint32_t>()[at]);
    case DataType::kUint64: return str_append(&out, t.unchecked<uint64_t>()[at]);
    case DataType::kBool: return str_append(&out, int{t.unchecked<bool>()[at]});
    case DataType::kString: return str_append(&out, "\"", t.unchecked<std::string>()[at], "\"");
    default: out += "?";
  }
}

// Values as numpy prints them; `edge` entries at both ends of each dimension (negative: all).
class Printer {
 public:
  Printer(const Tensor& tensor, int64_t edge) : tensor_(tensor), edge_(edge) {}
  std::string print() {
    std::string out;
    if (tensor_.num_elements() > 0 || tensor_.rank() > 0) dimension(out, 0, 0, tensor_.num_elements());
    return out;
  }

 private:
  // Elements [begin, begin + size) make up one index of the dimensions before `d`. Ranks are bounded, and so the
  // recursion.
  void dimension(std::string& out, int d, int64_t begin, int64_t size) {
    if (d == tensor_.rank()) return append_element(out, tensor_, begin);
    const int64_t n = tensor_.dim(d), part = n > 0 ? size / n : 0;
    const bool innermost = d + 1 == tensor_.rank();
    const std::string gap = innermost ? " "
                                      : std::string(static_cast<size_t>(tensor_.rank() - d - 1), '\n') +
                                            std::string(static_cast<size_t>(d) + 1, ' ');
    out += '[';
    for (int64_t i = 0; i < n; ++i) {
      if (i > 0) out += gap;
      if (edge_ >= 0 && n > 2 * edge_ && i == edge_) {
        out += "...";
        if (edge_ == 0) break;
        i = n - edge_ - 1;
        continue;
      }
      dimension(out, d + 1, begin + i * part, part);
    }
    out += ']';
  }
  const Tensor& tensor_;
  const int64_t edge_;
};

class StringFormat final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string text, init.attr<std::string>("template"));
    MR_ASSIGN_OR_RETURN(const std::string placeholder, init.attr<std::string>("placeholder"));
    MR_ASSIGN_OR_RETURN(summarize_, init.attr<int64_t>("summarize"));
    if (placeholder.empty()) return invalid_argument("placeholder must not be empty");
    size_t begin = 0;
    for (size_t at; (at = text.find(placeholder, begin)) != std::string::npos; begin = at + placeholder.size())
      pieces_.push_back(text.substr(begin, at - begin));
    pieces_.push_back(text.substr(begin));
    const size_t inputs = init.node().input_types.size();
    if (pieces_.size() != inputs + 1)
      return invalid_argument("num placeholders in template and num inputs must match: ", pieces_.size() - 1, " vs. ",
                              inputs);
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    std::string out = pieces_[0];
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      out += Printer(ctx.input(i), summarize_).print();
      out += pieces_[static_cast<size_t>(i) + 1];
    }
    return ctx.set_scalar(0, std::move(out));
  }
  std::vector<std::string> pieces_;  // of the template, around the placeholders
  int64_t summarize_ = 3;
};

// ---- StringNGrams

class StringNGrams final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(separator_, init.attr<std::string>("separator"));
    MR_ASSIGN_OR_RETURN(left_pad_, init.attr<std::string>("left_pad"));
    MR_ASSIGN_OR_RETURN(right_pad_, init.attr<std::string>("right_pad"));
    MR_ASSIGN_OR_RETURN(widths_, init.attr<std::vector<int64_t>>("ngram_widths"));
    MR_ASSIGN_OR_RETURN(pad_width_, init.attr<int64_t>("pad_width"));
    MR_ASSIGN_OR_RETURN(keep_short_, init.attr<bool>("preserve_short_sequences"));
    for (const int64_t w : widths_)
      if (w <= 0) return invalid_argument("ngram_widths must contain positive values");
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto data, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> splits, ctx.int_values(1));
    for (size_t i = 0; i < splits.size(); ++i) {
      if (splits[i] < (i == 0 ? 0 : splits[i - 1]) || splits[i] > static_cast<int64_t>(data.size()) ||
          (i == 0 && splits[0] != 0))
        return invalid_argument("Invalid split value ", splits[i], ", must be in [", i == 0 ? 0 : splits[i - 1], ", ",
                                data.size(), "]");
    }
    if (!splits.empty() && splits.back() != static_cast<int64_t>(data.size()))
      return invalid_argument("Last split value must be data size. Expected ", data.size(), ", got ", splits.back());
    std::vector<std::string> grams;
    std::vector<int64_t> counts;
    for (size_t row = 1; row < splits.size(); ++row) {
      const auto begin = static_cast<size_t>(splits[row - 1]);
      const auto row_data = data.subspan(begin, static_cast<size_t>(splits[row]) - begin);
      MR_RETURN_IF_ERROR(check_work(static_cast<int64_t>(row_data.size())));
      add_row(row_data, &grams);
      counts.push_back(static_cast<int64_t>(grams.size()));
      if (grams.size() > kMaxGrams) return resource_exhausted("StringNGrams: more than ", kMaxGrams, " n-grams.");
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(grams.size())}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    std::move(grams.begin(), grams.end(), out.begin());
    MR_ASSIGN_OR_RETURN(Tensor * out_splits, ctx.allocate_output(1, ctx.shape(1)));
    for (size_t i = 0; i < splits.size(); ++i) {
      const int64_t value = i == 0 ? 0 : counts[i - 1];
      if (out_splits->dtype() == DataType::kInt32)
        out_splits->unchecked_mutable<int32_t>()[i] = static_cast<int32_t>(value);
      else out_splits->unchecked_mutable<int64_t>()[i] = value;
    }
    return absl::OkStatus();
  }

  int64_t padding(int64_t width) const { return std::min(pad_width_ < 0 ? width - 1 : pad_width_, width - 1); }

  // Widths come from the graph: padding alone could fill the memory with n-grams of any length.
  absl::Status check_work(int64_t n) const {
    for (const int64_t width : widths_) {
      const CheckedInt count = CheckedInt(padding(width)) * 2 + n + 1 - width;
      if (count.valid() && count.value() <= 0) continue;
      if (const CheckedInt pieces = count * width; !pieces.valid() || pieces.value() > kMaxPieces)
        return resource_exhausted("StringNGrams: n-grams of width ", width, " over ", n, " strings have more than ",
                                  kMaxPieces, " pieces.");
    }
    return absl::OkStatus();
  }

  void add_row(std::span<const std::string> row, std::vector<std::string>* grams) const {
    const auto n = static_cast<int64_t>(row.size());
    bool any = false;
    for (const int64_t width : widths_) {
      const int64_t pad = padding(width);
      for (int64_t begin = -pad; begin + width <= n + pad; ++begin) {
        grams->push_back(gram(row, begin, width));
        any = true;
        if (grams->size() > kMaxGrams) return;
      }
    }
    // A row too short for every width is one n-gram of its own.
    if (!any && keep_short_ && n > 0 && !widths_.empty()) grams->push_back(gram(row, 0, n));
  }
  std::string gram(std::span<const std::string> row, int64_t begin, int64_t width) const {
    std::string out;
    for (int64_t i = begin; i < begin + width; ++i) {
      if (i > begin) out += separator_;
      out += i < 0 ? left_pad_ : i >= static_cast<int64_t>(row.size()) ? right_pad_ : row[static_cast<size_t>(i)];
    }
    return out;
  }

  static constexpr size_t kMaxGrams = size_t{1} << 28;
  static constexpr int64_t kMaxPieces = int64_t{1} << 28;  // of one row
  std::string separator_, left_pad_, right_pad_;
  std::vector<int64_t> widths_;
  int64_t pad_width_ = 0;
  bool keep_short_ = false;
};

// ---- UnsortedSegmentJoin

class UnsortedSegmentJoin final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const int64_t num_segments, ctx.int_scalar(2));
    MR_ASSIGN_OR_RETURN(const std::string separator, get_attr<std::string>(ctx.node(), "separator"));
    const TensorShape &in_shape = ctx.shape(0), &id_shape = ctx.shape(1);
    if (num_segments < 0) return invalid_argument("Number of segments must be greater than 0, got ", num_segments);
    if (id_shape.rank() == 0) return invalid_argument("Segment_ids cannot have rank 0");
    if (id_shape.rank() > in_shape.rank() || subshape(in_shape, 0, id_shape.rank()) != id_shape)
      return invalid_argument("inputs.shape = ", in_shape, " does not start with segment_ids.shape = ", id_shape);
    const TensorShape inner = subshape(in_shape, id_shape.rank(), in_shape.rank());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(inner, 0, num_segments));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    const auto width = static_cast<size_t>(inner.num_elements());
    // Segments without columns may be any number.
    std::vector<bool> begun(width == 0 ? 0 : static_cast<size_t>(num_segments), false);
    for (std::string& s : out) s.clear();
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= num_segments)
        return invalid_argument("segment_ids[", i, "] = ", ids[i], " is out of range [0, ", num_segments, ")");
      if (ids[i] < 0) continue;  // dropped
      const auto segment = static_cast<size_t>(ids[i]);
      for (size_t k = 0; k < width; ++k) {
        std::string& s = out[segment * width + k];
        if (begun[segment]) s += separator;
        s += in[i * width + k];
      }
      if (width > 0) begun[segment] = true;
    }
    return absl::OkStatus();
  }
};

absl::Status ngrams_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape splits, c.with_rank(1, 1));
  MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape({-1})));
  return c.set_output(1, splits);
}

absl::Status segment_join_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> segments, c.int_scalar(2));
  if (!c.input(0).has_rank() || !c.input(1).has_rank()) return c.set_output(0, PartialTensorShape());
  const int ids = c.input(1).rank();
  if (ids > c.input(0).rank()) return invalid_argument("inputs must start with the shape of segment_ids");
  std::vector<int64_t> dims{segments && *segments >= 0 ? *segments : -1};
  for (int d = ids; d < c.input(0).rank(); ++d) dims.push_back(c.input(0).dim(d));
  return c.set_output(0, make_partial_shape(dims));
}

}  // namespace

void register_string_format(Registry& registry) {
  registry.op("StringFormat")
      .input("inputs: T")
      .output("output: string")
      .attr("T: list(type) >= 0")
      .attr("template: string = '%s'")
      .attr("placeholder: string = '%s'")
      .attr("summarize: int = 3")
      .shape(scalar_shape)
      .cpu<StringFormat>()
      .not_differentiable()
      .doc("A template with tensors in place of the placeholders.");
  registry.op("StringNGrams")
      .input("data: string")
      .input("data_splits: Tsplits")
      .output("ngrams: string")
      .output("ngrams_splits: Tsplits")
      .attr("separator: string")
      .attr("ngram_widths: list(int) >= 0")
      .attr("left_pad: string")
      .attr("right_pad: string")
      .attr("pad_width: int")
      .attr("preserve_short_sequences: bool")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(ngrams_shape)
      .cpu<StringNGrams>()
      .not_differentiable()
      .doc("Neighbouring strings of each row joined.");
  registry.op("UnsortedSegmentJoin")
      .input("inputs: string")
      .input("segment_ids: Tindices")
      .input("num_segments: Tnumsegments")
      .output("output: string")
      .attr("separator: string = ''")
      .attr("Tindices: {int32, int64}")
      .attr("Tnumsegments: {int32, int64} = DT_INT32")
      .shape(segment_join_shape)
      .cpu<UnsortedSegmentJoin>()
      .not_differentiable()
      .doc("Strings of each segment joined.");
}

}  // namespace millrace
