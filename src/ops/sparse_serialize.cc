// Sparse tensors as triples of serialized tensors (indices, values, dense shape), and back.

#include "data/rows.h"
#include "graph/proto_convert.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/tensor_wire.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {
namespace {

struct Sparse {
  Tensor indices, values, shape;  // [n,r], [n], [r]
};

absl::Status check_sparse(const Sparse& s) {
  if (s.indices.dtype() != DataType::kInt64 || s.indices.rank() != 2)
    return invalid_argument("Input indices should be a matrix but received shape ", s.indices.shape());
  if (s.values.rank() != 1)
    return invalid_argument("Input values should be a vector but received shape ", s.values.shape());
  if (s.shape.dtype() != DataType::kInt64 || s.shape.rank() != 1)
    return invalid_argument("Input shape should be a vector but received shape ", s.shape.shape());
  if (s.indices.dim(0) != s.values.dim(0) || s.indices.dim(1) != s.shape.dim(0))
    return invalid_argument("Sparse tensor of indices ", s.indices.shape(), ", values ", s.values.shape(),
                            " and shape ", s.shape.shape(), " does not fit together");
  return make_shape(s.shape.unchecked<int64_t>()).status();
}

absl::StatusOr<Sparse> sparse_inputs(const KernelContext& ctx) {
  Sparse s{ctx.input(0), ctx.input(1), ctx.input(2)};
  MR_RETURN_IF_ERROR(check_sparse(s));
  return s;
}

// Writes the triple at `row` of the output.
absl::Status put(const Sparse& s, Tensor& out, size_t row) {
  const Tensor* parts[] = {&s.indices, &s.values, &s.shape};
  for (size_t i = 0; i < 3; ++i) {
    if (out.dtype() == DataType::kVariant) {
      out.unchecked_mutable<Variant>()[3 * row + i] = Variant::make<Tensor>(*parts[i]);
    } else {
      std::string& text = out.unchecked_mutable<std::string>()[3 * row + i];
      text.clear();
      MR_RETURN_IF_ERROR(append_tensor(text, *parts[i]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> get(const Tensor& in, size_t at) {
  if (in.dtype() == DataType::kVariant) {
    const Tensor* t = in.unchecked<Variant>()[at].get<Tensor>();
    if (t == nullptr) return invalid_argument("serialized_sparse[", at / 3, ", ", at % 3, "] is no tensor");
    return *t;
  }
  tensorflow::TensorProto proto;
  if (!proto.ParseFromString(in.unchecked<std::string>()[at]))
    return invalid_argument("Could not parse serialized proto: serialized_sparse[", at / 3, ", ", at % 3, "]");
  return from_proto(proto);
}

class SerializeSparse final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Sparse s, sparse_inputs(ctx));
    MR_ASSIGN_OR_RETURN(const TensorShape three, make_shape({3}));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, three));
    return put(s, *out, 0);
  }
};

class SerializeManySparse final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Sparse s, sparse_inputs(ctx));
    const int64_t rank = s.shape.dim(0), n = s.values.dim(0);
    if (rank < 2) return invalid_argument("Rank of input SparseTensor should be > 1, but saw rank: ", rank);
    const std::span<const int64_t> dims = s.shape.unchecked<int64_t>(), index = s.indices.unchecked<int64_t>();
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({dims[0], 3}));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    MR_ASSIGN_OR_RETURN(Tensor row_shape, make_vector<int64_t>(dims.subspan(1)));
    int64_t begin = 0;
    for (int64_t row = 0; row < dims[0]; ++row) {
      int64_t end = begin;
      while (end < n && index[static_cast<size_t>(end * rank)] == row) ++end;
      MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({end - begin, rank - 1}));
      MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({end - begin}));
      Sparse part;
      MR_ASSIGN_OR_RETURN(part.indices, make_tensor(DataType::kInt64, indices_shape));
      MR_ASSIGN_OR_RETURN(part.values, make_tensor(s.values.dtype(), values_shape));
      int64_t* to = static_cast<int64_t*>(part.indices.raw_mutable_data());
      for (int64_t i = begin; i < end; ++i)
        for (int64_t d = 1; d < rank; ++d) *to++ = index[static_cast<size_t>(i * rank + d)];
      Tensor values = s.values;
      copy_elements(values, begin, part.values, 0, end - begin);
      part.shape = row_shape;
      MR_RETURN_IF_ERROR(put(part, *out, static_cast<size_t>(row)));
      begin = end;
    }
    if (begin != n) return invalid_argument("Received indices that are out of range or not in the order of rows.");
    return absl::OkStatus();
  }
};

// Of [..., 3]: the sparse tensors are stacked along the dimensions before the last.
class DeserializeSparse final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& in = ctx.input(0);
    if (in.rank() < 1 || in.dim(in.rank() - 1) != 3)
      return invalid_argument("Serialized sparse should have 3 as the last dimension, has shape ", in.shape());
    const TensorShape outer = subshape(in.shape(), 0, in.rank() - 1);
    if (outer.num_elements() == 0)
      return invalid_argument("Serialized sparse should have non-zero number of elements, has shape ", in.shape());
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "dtype"));
    std::vector<Sparse> parts(static_cast<size_t>(outer.num_elements()));
    int64_t total = 0;
    std::vector<int64_t> inner;
    for (size_t p = 0; p < parts.size(); ++p) {
      MR_ASSIGN_OR_RETURN(parts[p].indices, get(in, 3 * p));
      MR_ASSIGN_OR_RETURN(parts[p].values, get(in, 3 * p + 1));
      MR_ASSIGN_OR_RETURN(parts[p].shape, get(in, 3 * p + 2));
      MR_RETURN_IF_ERROR(check_sparse(parts[p]));
      if (parts[p].values.dtype() != dtype)
        return invalid_argument("Requested SparseTensor of type ", dtype_name(dtype), " but SparseTensor[", p,
                                "].values.dtype() == ", dtype_name(parts[p].values.dtype()));
      const std::span<const int64_t> dims = parts[p].shape.unchecked<int64_t>();
      if (p == 0) inner.assign(dims.begin(), dims.end());
      if (dims.size() != inner.size())
        return invalid_argument("Inconsistent shape across SparseTensors: rank prior to SparseTensor[", p,
                                "] was: ", inner.size(), " but rank of SparseTensor[", p, "] is: ", dims.size());
      for (size_t d = 0; d < inner.size(); ++d) inner[d] = std::max(inner[d], dims[d]);
      total += parts[p].values.dim(0);
    }
    const auto inner_rank = static_cast<int64_t>(inner.size()), rank = outer.rank() + inner_rank;
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({total, rank}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({total}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(Tensor * values, ctx.allocate_output(1, values_shape));
    std::vector<int64_t> position(static_cast<size_t>(outer.rank()), 0);
    int64_t at = 0;
    auto to = indices.begin();
    for (Sparse& part : parts) {
      const int64_t n = part.values.dim(0);
      const std::span<const int64_t> from = part.indices.unchecked<int64_t>();
      for (int64_t i = 0; i < n; ++i) {
        to = std::copy(position.begin(), position.end(), to);
        const auto row = from.subspan(static_cast<size_t>(i * inner_rank), static_cast<size_t>(inner_rank));
        to = std::copy(row.begin(), row.end(), to);
      }
      copy_elements(part.values, 0, *values, at, n);
      at += n;
      for (int d = outer.rank() - 1; d >= 0; --d) {
        if (++position[static_cast<size_t>(d)] < outer.dim(d)) break;
        position[static_cast<size_t>(d)] = 0;
      }
    }
    inner.insert(inner.begin(), outer.dims().begin(), outer.dims().end());
    MR_ASSIGN_OR_RETURN(Tensor dense_shape, make_vector<int64_t>(inner));
    return ctx.set_output(2, std::move(dense_shape));
  }
};

absl::Status serialize_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return c.set_output(0, PartialTensorShape({3}));
}

absl::Status serialize_many_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(serialize_shape(c));
  return c.set_output(0, PartialTensorShape({-1, 3}));
}

absl::Status sparse_outputs(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape({-1, -1})));
  MR_RETURN_IF_ERROR(c.set_output(1, PartialTensorShape({-1})));
  return c.set_output(2, PartialTensorShape({-1}));
}

absl::Status deserialize_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_least(0, 1).status());
  return sparse_outputs(c);
}

absl::Status deserialize_many_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  return sparse_outputs(c);
}

}  // namespace

void register_sparse_serialize(Registry& registry) {
  registry.op("SerializeSparse")
      .input("sparse_indices: int64")
      .input("sparse_values: T")
      .input("sparse_shape: int64")
      .output("serialized_sparse: out_type")
      .attr("T: type")
      .attr("out_type: {string, variant} = DT_STRING")
      .shape(serialize_shape)
      .cpu<SerializeSparse>()
      .not_differentiable()
      .doc("A sparse tensor as three serialized tensors.");
  registry.op("SerializeManySparse")
      .input("sparse_indices: int64")
      .input("sparse_values: T")
      .input("sparse_shape: int64")
      .output("serialized_sparse: out_type")
      .attr("T: type")
      .attr("out_type: {string, variant} = DT_STRING")
      .shape(serialize_many_shape)
      .cpu<SerializeManySparse>()
      .not_differentiable()
      .doc("The rows of a sparse tensor, each as three serialized tensors.");
  registry.op("DeserializeSparse")
      .input("serialized_sparse: Tserialized")
      .output("sparse_indices: int64")
      .output("sparse_values: dtype")
      .output("sparse_shape: int64")
      .attr("dtype: type")
      .attr("Tserialized: {string, variant} = DT_STRING")
      .shape(deserialize_shape)
      .cpu<DeserializeSparse>()
      .not_differentiable()
      .doc("A sparse tensor of serialized ones, stacked.");
  registry.op("DeserializeManySparse")
      .input("serialized_sparse: string")
      .output("sparse_indices: int64")
      .output("sparse_values: dtype")
      .output("sparse_shape: int64")
      .attr("dtype: type")
      .shape(deserialize_many_shape)
      .cpu<DeserializeSparse>()
      .not_differentiable()
      .doc("A sparse tensor of serialized ones, stacked.");
}

}  // namespace millrace
