// Dimensions and vectors of one per dimension, from one order of an image's dimensions ("NHWC") to another.

#include <algorithm>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// Where dimension i of the source stands in the destination.
absl::StatusOr<std::vector<int64_t>> places(const std::string& source, const std::string& destination) {
  if (source.size() != 4 && source.size() != 5)
    return invalid_argument("Source format must be of length 4 or 5, received src_format = ", source);
  std::string a = source, b = destination;
  std::ranges::sort(a);
  std::ranges::sort(b);
  if (a != b || std::ranges::adjacent_find(a) != a.end())
    return invalid_argument("Destination and source format strings must have the same letters, each once, got ", source,
                            " and ", destination);
  std::vector<int64_t> to;
  for (const char c : source) to.push_back(static_cast<int64_t>(destination.find(c)));
  return to;
}

std::string without_batch_and_channels(std::string format) {
  std::erase_if(format, [](char c) { return c == 'N' || c == 'C'; });
  return format;
}

class FormatKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(source_, init.attr<std::string>("src_format"));
    MR_ASSIGN_OR_RETURN(destination_, init.attr<std::string>("dst_format"));
    MR_ASSIGN_OR_RETURN(places_, places(source_, destination_));
    return absl::OkStatus();
  }

 protected:
  std::string source_, destination_;
  std::vector<int64_t> places_;
};

template <class T> class DataFormatDimMap final : public FormatKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(0)));
    const auto n = static_cast<int64_t>(places_.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t dim = x[i];
      out[i] = static_cast<T>(places_[static_cast<size_t>((dim % n + n) % n)]);
    }
    return absl::OkStatus();
  }
};

// Rows of x, one per dimension, or one per dimension of space only.
template <class T> class DataFormatVecPermute final : public FormatKernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 1 && shape.rank() != 2)
      return invalid_argument("input must be a vector or 2D tensor, but got shape ", shape);
    if (shape.rank() == 2 && shape.dim(1) != 2)
      return invalid_argument("Second dimension of 2D input must be of size 2, but got shape ", shape);
    const auto n = static_cast<int64_t>(places_.size());
    std::string source = source_, destination = destination_;
    if (shape.dim(0) == n - 2) {
      source = without_batch_and_channels(source);
      destination = without_batch_and_channels(destination);
    }
    if (shape.dim(0) != static_cast<int64_t>(source.size()))
      return invalid_argument("First dimension of the input must be ", n - 2, " or ", n, ", but got shape ", shape);
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    const size_t width = x.size() / source.size();
    for (size_t i = 0; i < source.size(); ++i)
      std::ranges::copy(x.subspan(i * width, width),
                        out.begin() + static_cast<std::ptrdiff_t>(destination.find(source[i]) * width));
    return absl::OkStatus();
  }
};

}  // namespace

void register_data_formats(Registry& registry) {
  const auto start = [&](const char* name, const char* doc) {
    OpBuilder op = registry.op(name);
    op.input("x: T")
        .output("y: T")
        .attr("T: {int32, int64} = DT_INT32")
        .attr("src_format: string = 'NHWC'")
        .attr("dst_format: string = 'NCHW'")
        .shape(unchanged_shape)
        .doc(doc);
    return op;
  };
  start("DataFormatDimMap", "Numbers of dimensions in another format.").cpu<DataFormatDimMap, int32_t, int64_t>();
  start("DataFormatVecPermute", "A vector of one element per dimension, in the order of another format.")
      .cpu<DataFormatVecPermute, int32_t, int64_t>();
}

}  // namespace millrace
