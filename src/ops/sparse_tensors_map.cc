// Sparse tensors kept in a map of the session under a number each, so that queues can carry them.

#include <map>
#include <mutex>

#include "kernels/elements.h"
#include "ops/named_resource.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

// Thread-safe. A tensor is taken out once.
class SparseTensorsMap final : public Resource {
 public:
  explicit SparseTensorsMap(std::string name) : name_(std::move(name)) {}
  std::string description() const override { return "SparseTensorsMap"; }

  int64_t add(SparseTensor sparse) {
    const std::lock_guard lock(mutex_);
    map_.emplace(next_, std::move(sparse));
    return next_++;
  }
  absl::StatusOr<std::vector<SparseTensor>> take(std::span<const int64_t> handles) {
    std::vector<SparseTensor> taken;
    const std::lock_guard lock(mutex_);
    for (const int64_t handle : handles) {
      const auto found = map_.find(handle);
      if (found == map_.end()) return invalid_argument("Unable to find SparseTensor: ", handle, " in map: ", name_);
      taken.push_back(std::move(found->second));
      map_.erase(found);
    }
    return taken;
  }

 private:
  const std::string name_;
  std::mutex mutex_;
  int64_t next_ = 0;
  std::map<int64_t, SparseTensor> map_;
};

// The map is found by the name of the op that adds to it, where it has no shared name.
absl::StatusOr<ResourceName> map_name(const KernelInit& init) {
  MR_ASSIGN_OR_RETURN(ResourceName name, resource_name(init));
  MR_ASSIGN_OR_RETURN(const std::string shared, init.attr<std::string>("shared_name"));
  if (shared.empty()) name.name = init.node().name;
  return name;
}

class MapKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(name_, map_name(init));
    return absl::OkStatus();
  }

 protected:
  absl::StatusOr<std::shared_ptr<SparseTensorsMap>> find_or_make(const KernelContext& ctx) const {
    return ctx.resources().lookup_or_create<SparseTensorsMap>(
        name_.container, name_.name, [&]() -> absl::StatusOr<std::shared_ptr<SparseTensorsMap>> {
          return std::make_shared<SparseTensorsMap>(name_.name);
        });
  }
  ResourceName name_;
};

class AddSparse final : public MapKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    MR_ASSIGN_OR_RETURN(const auto map, find_or_make(ctx));
    return ctx.set_scalar(0, map->add(std::move(sparse)));
  }
};

class AddManySparse final : public MapKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    if (sparse.rank() < 2)
      return invalid_argument("Rank of input SparseTensor should be > 1, but saw rank: ", sparse.rank());
    MR_RETURN_IF_ERROR(check_indices(sparse, false));
    const int64_t rows = sparse.dims[0];
    for (int64_t i = 1; i < sparse.size(); ++i) {
      if (sparse.index(i)[0] < sparse.index(i - 1)[0])
        return invalid_argument("indices[", i, "] is out of order: rows must stand one behind the other");
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(const auto handles, ctx.output<int64_t>(0, shape));
    // The map outlives the step, so what a claimed size costs there is bounded by what came.
    constexpr int64_t kMaxRows = int64_t{1} << 20;
    if (rows > kMaxRows) return resource_exhausted("AddManySparseToTensorsMap: ", rows, " rows, more than ", kMaxRows);
    MR_ASSIGN_OR_RETURN(const auto map, find_or_make(ctx));
    int64_t begin = 0;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t end = begin;
      while (end < sparse.size() && sparse.index(end)[0] == row) ++end;
      MR_ASSIGN_OR_RETURN(SparseTensor part, part_of(sparse, begin, end));
      handles[static_cast<size_t>(row)] = map->add(std::move(part));
      begin = end;
    }
    return absl::OkStatus();
  }

  // Entries [begin, end) without their first dimension.
  static absl::StatusOr<SparseTensor> part_of(const SparseTensor& sparse, int64_t begin, int64_t end) {
    SparseTensor part{{}, {}, {sparse.dims.begin() + 1, sparse.dims.end()}};
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({end - begin, part.rank()}));
    MR_ASSIGN_OR_RETURN(part.indices, make_tensor(DataType::kInt64, indices_shape));
    int64_t* index = part.indices.unchecked_mutable<int64_t>().data();
    for (int64_t i = begin; i < end; ++i, index += part.rank()) copy_run(sparse.index(i) + 1, index, part.rank());
    MR_ASSIGN_OR_RETURN(const Tensor values, slice_rows(sparse.values, begin, end));
    MR_ASSIGN_OR_RETURN(part.values, deep_copy(values));
    return part;
  }
};

class TakeManySparse final : public MapKernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 1)
      return invalid_argument("sparse_handles should be a vector but received shape ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const auto handles, ctx.vector<int64_t>(0));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "dtype"));
    if (handles.empty()) return invalid_argument("Must have at least 1 serialized SparseTensor, has none");
    MR_ASSIGN_OR_RETURN(const auto map, ctx.resources().lookup<SparseTensorsMap>(name_.container, name_.name));
    MR_ASSIGN_OR_RETURN(const std::vector<SparseTensor> parts, map->take(handles));
    int64_t total = 0;
    std::vector<int64_t> dims = parts[0].dims;
    for (size_t p = 0; p < parts.size(); ++p) {
      const SparseTensor& part = parts[p];
      if (part.values.dtype() != dtype)
        return invalid_argument("Requested SparseTensor of type ", dtype_name(dtype), " but SparseTensor[", p,
                                "].values.dtype() == ", dtype_name(part.values.dtype()));
      if (part.dims.size() != dims.size())
        return invalid_argument("Inconsistent rank across SparseTensors: rank prior to SparseTensor[", p,
                                "] was: ", dims.size() + 1, " but rank of SparseTensor[", p,
                                "] is: ", part.dims.size() + 1);
      for (size_t d = 0; d < dims.size(); ++d) dims[d] = std::max(dims[d], part.dims[d]);
      total += part.size();
    }
    dims.insert(dims.begin(), static_cast<int64_t>(parts.size()));
    return output(ctx, parts, dims, total);
  }

  static absl::Status output(KernelContext& ctx, std::span<const SparseTensor> parts, const std::vector<int64_t>& dims,
                             int64_t total) {
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({total, static_cast<int64_t>(dims.size())}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({total}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(Tensor * values, ctx.allocate_output(1, values_shape));
    auto index = indices.begin();
    int64_t at = 0;
    for (size_t p = 0; p < parts.size(); ++p) {
      for (int64_t i = 0; i < parts[p].size(); ++i) {
        *index++ = static_cast<int64_t>(p);
        index = std::copy_n(parts[p].index(i), parts[p].rank(), index);
      }
      MR_RETURN_IF_ERROR(with_storage(values->dtype(), [&]<class S>(std::type_identity<S>) {
        copy_run(static_cast<const S*>(parts[p].values.raw_data()), static_cast<S*>(values->raw_mutable_data()) + at,
                 parts[p].size());
        return absl::OkStatus();
      }));
      at += parts[p].size();
    }
    MR_ASSIGN_OR_RETURN(Tensor shape, make_vector<int64_t>(dims));
    return ctx.set_output(2, std::move(shape));
  }
};

absl::Status add_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 0, 1, 2).status());
  return scalar_shape(c);
}

absl::Status add_many_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 0, 1, 2).status());
  return c.set_output(0, unknown_shape_of_rank(1));
}

absl::Status take_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  return set_sparse_outputs(c, 0, -1);
}

OpBuilder add_op(Registry& registry, const char* name) {
  return registry.op(name)
      .input("sparse_indices: int64")
      .input("sparse_values: T")
      .input("sparse_shape: int64")
      .attr("T: type")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .stateful()
      .not_differentiable();
}

}  // namespace

void register_sparse_tensors_map(Registry& registry) {
  add_op(registry, "AddSparseToTensorsMap")
      .output("sparse_handle: int64")
      .shape(add_shape)
      .cpu<AddSparse>()
      .doc("Keeps a sparse tensor; its number.");
  add_op(registry, "AddManySparseToTensorsMap")
      .output("sparse_handles: int64")
      .shape(add_many_shape)
      .cpu<AddManySparse>()
      .doc("Keeps the rows of a sparse tensor; their numbers.");
  registry.op("TakeManySparseFromTensorsMap")
      .input("sparse_handles: int64")
      .output("sparse_indices: int64")
      .output("sparse_values: dtype")
      .output("sparse_shape: int64")
      .attr("dtype: type")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .shape(take_shape)
      .stateful()
      .cpu<TakeManySparse>()
      .not_differentiable()
      .doc("Takes sparse tensors out of their map, stacked.");
}

}  // namespace millrace
