// The nearest of given centers, by squared Euclidean distance.

#include <algorithm>
#include <numeric>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

class NearestNeighbors final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape &points = ctx.shape(0), &centers = ctx.shape(1);
    if (points.rank() != 2) return invalid_argument("Input points should be a matrix.");
    if (centers.rank() != 2) return invalid_argument("Input centers should be a matrix.");
    if (centers.dim(0) == 0) return invalid_argument("At least one center must be provided.");
    if (points.dim(1) != centers.dim(1))
      return invalid_argument("Number of dimensions in input centers should match that of input points: ",
                              centers.dim(1), " vs. ", points.dim(1));
    if (ctx.shape(2).rank() != 0) return invalid_argument("Input k should be a scalar.");
    MR_ASSIGN_OR_RETURN(const int64_t wanted, ctx.scalar<int64_t>(2));
    if (wanted < 0) return invalid_argument("k must be nonnegative, got ", wanted);
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<float>(1));
    const int64_t k = std::min(wanted, centers.dim(0));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({points.dim(0), k}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, shape));
    MR_ASSIGN_OR_RETURN(const auto distances, ctx.output<float>(1, shape));
    const auto width = static_cast<size_t>(points.dim(1)), count = static_cast<size_t>(centers.dim(0));
    MR_ASSIGN_OR_RETURN(const TensorShape scratch, make_shape({centers.dim(0)}));
    MR_ASSIGN_OR_RETURN(Tensor distances_of_point, ctx.allocate_temp(DataType::kFloat, scratch));
    MR_ASSIGN_OR_RETURN(Tensor centers_by_distance, ctx.allocate_temp(DataType::kInt64, scratch));
    const auto distance = distances_of_point.unchecked_mutable<float>();
    const auto order = centers_by_distance.unchecked_mutable<int64_t>();
    for (int64_t p = 0; p < points.dim(0); ++p) {
      const auto point = x.subspan(static_cast<size_t>(p) * width, width);
      for (size_t c = 0; c < count; ++c) {
        float sum = 0;
        for (size_t d = 0; d < width; ++d) {
          const float difference = point[d] - y[c * width + d];
          sum += difference * difference;
        }
        distance[c] = sum;
      }
      std::iota(order.begin(), order.end(), int64_t{0});
      // NaN is farther than all numbers: an order that sorting can rely on.
      const auto nearer = [&](int64_t a, int64_t b) {
        const float da = distance[static_cast<size_t>(a)], db = distance[static_cast<size_t>(b)];
        if (da != da || db != db) return da == da ? true : db == db ? false : a < b;
        return da != db ? da < db : a < b;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), nearer);
      for (int64_t i = 0; i < k; ++i) {
        const auto at = static_cast<size_t>(p * k + i);
        indices[at] = order[static_cast<size_t>(i)];
        distances[at] = distance[static_cast<size_t>(order[static_cast<size_t>(i)])];
      }
    }
    return absl::OkStatus();
  }
};

absl::Status nearest_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape points, c.with_rank(0, 2));
  MR_RETURN_IF_ERROR(c.with_rank(1, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  const int64_t n = points.has_rank() ? points.dim(0) : -1;
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({n, -1})));
  return c.set_output(1, make_partial_shape({n, -1}));
}

}  // namespace

void register_nearest_neighbors(Registry& registry) {
  registry.op("NearestNeighbors")
      .input("points: float")
      .input("centers: float")
      .input("k: int64")
      .output("nearest_center_indices: int64")
      .output("nearest_center_distances: float")
      .shape(nearest_shape)
      .cpu<NearestNeighbors>()
      .not_differentiable()
      .doc("The k nearest centers of each point, the nearest first, with squared distances.");
}

}  // namespace millrace
