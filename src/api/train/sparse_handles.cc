#include "api/train/sparse_handles.h"

#include "api/op_builder.h"
#include "base/strings.h"
#include "millrace/array_ops.h"
#include "millrace/control_flow.h"
#include "millrace/math_ops.h"

namespace millrace::train {
namespace {

constexpr const char* kAdd = "AddSparseToTensorsMap";
constexpr const char* kAddMany = "AddManySparseToTensorsMap";

Output store(const char* op, const SparseTensor& t, const std::string& map_name) {
  return create_output(op, {t.indices, t.values, t.dense_shape}, {{"shared_name", map_name}});
}

// The handles, [n], of a minibatch that is left out.
Output no_handles(const SparseTensor& t) {
  Output sizes;
  {
    const name_scope scope("Shape");
    sizes = cast(t.dense_shape, int32);
  }
  const Output rows = ones(index(sizes, {Slice{.begin = 0, .end = 1}}), {.dtype = int64});
  return int64_t{-1} * rows;
}

// The rows that a vector of booleans keeps.
SparseTensor retain(const SparseTensor& t, const Output& keep_rows) {
  const Output keep_values = gather(keep_rows, index(t.indices, {Slice(), 0}));
  const Output kept = reshape(where(keep_values), Tensor(TensorShape({1}), std::vector<int32_t>{-1}));
  const Output indices = gather(t.indices, kept), values = gather(t.values, kept);
  return {indices, values, identity(t.dense_shape)};
}

Output store_if_kept(const SparseTensor& t, bool enqueue_many, const Output& keep, const std::string& map_name) {
  if (keep.shape().rank() == 1) return store(kAddMany, retain(t, keep), map_name);
  const auto stored = [&] { return store(enqueue_many ? kAddMany : kAdd, t, map_name); };
  const auto left_out = [&] { return enqueue_many ? no_handles(t) : constant(Tensor(int64_t{-1})); };
  Output handles;
  if (const std::optional<Tensor> known = get_static_value(keep))
    handles = known->scalar<bool>() ? stored() : left_out();
  else handles = cond(keep, stored, left_out);
  if (enqueue_many) handles.set_shape({-1});
  return handles;
}

// The operation that stored: a condition's Merge has it as an input.
Operation storing_op(const Output& handles) {
  const auto stores = [](const Operation& op) { return op.type() == kAdd || op.type() == kAddMany; };
  const Operation op = handles.op();
  if (stores(op)) return op;
  for (int i = 0; i < op.num_inputs(); ++i)
    if (stores(op.input(i).op())) return op.input(i).op();
  raise(invalid_argument("Sparse tensors cannot be batched where `keep_input` is the constant False."));
}

int64_t example_rank(const SparseTensor& t, bool enqueue_many) {
  const PartialTensorShape shape = t.dense_shape.shape();
  if (!shape.has_rank()) return -1;
  if (shape.rank() != 1)
    raise(invalid_argument("The dense_shape of a sparse tensor must be a vector, '", t.dense_shape.name(),
                           "' has shape ", shape, "."));
  if (shape.dim(0) < 0) return -1;
  if (enqueue_many && shape.dim(0) == 0)
    raise(invalid_argument("enqueue_many: the sparse tensor '", t.values.name(), "' has no rows, its rank is 0."));
  return shape.dim(0) - (enqueue_many ? 1 : 0);
}

void check_same_components(const ExampleList& first, const ExampleList& list) {
  for (size_t i = 0; i < first.size(); ++i) {
    const auto *a = std::get_if<SparseTensor>(&first[i]), *b = std::get_if<SparseTensor>(&list[i]);
    if ((a == nullptr) != (b == nullptr))
      raise(invalid_argument("Inconsistent SparseTensors list: component ", i, " is sparse in some lists only."));
    if (a != nullptr && base_dtype(a->values.dtype()) != base_dtype(b->values.dtype()))
      raise(invalid_argument("Expected types to be consistent: '", a->values.name(), "' is ",
                             dtype_name(a->values.dtype()), ", '", b->values.name(), "' is ",
                             dtype_name(b->values.dtype()), "."));
  }
}

// Handles of all lists go to the first one's map, for whoever dequeues them does not know where they come from.
std::vector<Output> store_list(const ExampleList& list, bool enqueue_many, const Output& keep,
                               std::vector<SparseInfo>* infos, bool first) {
  std::vector<Output> stored;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto* sparse = std::get_if<SparseTensor>(&list[i]);
    SparseInfo& info = (*infos)[i];
    stored.push_back(sparse == nullptr ? std::get<Output>(list[i])
                                       : store_if_kept(*sparse, enqueue_many, keep, first ? "" : info.map.name()));
    if (sparse == nullptr) continue;
    const int64_t rank = example_rank(*sparse, enqueue_many);
    if (first) info = {storing_op(stored.back()), rank};
    else if (info.rank >= 0 && rank >= 0 && info.rank != rank)
      raise(invalid_argument("Inconsistent SparseTensors list: '", sparse->values.name(), "' has rank ", rank,
                             ", the first list's component ", i, " has rank ", info.rank, "."));
  }
  for (size_t i = 0; i < list.size(); ++i)
    if ((*infos)[i].sparse()) stored[i] = expand_dims(stored[i], Tensor(TensorShape({1}), std::vector<int32_t>{-1}));
  return stored;
}

SparseTensor take(const Output& handles, const SparseInfo& info) {
  const colocate_with with_map(info.map);
  const std::vector<Output> taken =
      outputs_of(create_op("TakeManySparseFromTensorsMap", {handles},
                           {{"dtype", base_dtype(info.map.input(1).dtype())}, {"shared_name", info.map.name()}}));
  const int64_t rank = info.rank < 0 ? -1 : info.rank + 1;
  taken[0].set_shape({-1, rank});
  taken[2].set_shape({rank});
  return {taken[0], taken[1], taken[2]};
}

Output after_all(const std::vector<Operation>& all, const Output& output) {
  const name_scope scope("control_dependency");
  const colocate_with colocated(output);
  const control_dependencies after(all);
  return identity(output, {.name = scope.name()});
}

}  // namespace

StoredLists store_sparse_tensors(const std::vector<ExampleList>& lists, bool enqueue_many, const Output& keep_input) {
  StoredLists result;
  result.infos.resize(lists[0].size());
  for (const ExampleList& list : lists) {
    check_same_components(lists[0], list);
    result.lists.push_back(store_list(list, enqueue_many, keep_input, &result.infos, result.lists.empty()));
  }
  return result;
}

ExampleList restore_sparse_tensors(const std::vector<Output>& dequeued, const std::vector<SparseInfo>& infos) {
  ExampleList tensors;
  std::vector<Operation> all;
  bool any_sparse = false;
  for (size_t i = 0; i < dequeued.size(); ++i) {
    if (!infos[i].sparse()) {
      tensors.emplace_back(dequeued[i]);
      all.push_back(dequeued[i].op());
      continue;
    }
    const SparseTensor taken = take(squeeze(dequeued[i], {.axis = {1}}), infos[i]);
    tensors.emplace_back(taken);
    all.push_back(taken.values.op());
    any_sparse = true;
  }
  if (!any_sparse) return tensors;
  for (ExampleTensor& tensor : tensors) {
    if (auto* sparse = std::get_if<SparseTensor>(&tensor)) {
      const Output indices = after_all(all, sparse->indices), values = after_all(all, sparse->values);
      *sparse = {indices, values, after_all(all, sparse->dense_shape)};
    } else {
      tensor = after_all(all, std::get<Output>(tensor));
    }
  }
  return tensors;
}

}  // namespace millrace::train
