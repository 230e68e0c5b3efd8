// Datasets that call functions, and ops that walk a whole dataset.

#include "data/background.h"
#include "data/batch.h"
#include "data/map.h"
#include "op/shape_context.h"
#include "ops/dataset_kernel.h"

namespace millrace {
namespace {

// What most of these ops begin with: the input, then captured values for one function.
struct Common {
  DatasetPtr input;
  FunctionPtr function;
  ElementSpec spec;
  int next = 0;  // first input behind the captured values
};

absl::StatusOr<Common> common(KernelContext& ctx, std::string_view function = "f") {
  Common c;
  MR_ASSIGN_OR_RETURN(c.input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int captured, list_length(ctx.node(), "Targuments"));
  c.next = 1 + captured;
  MR_ASSIGN_OR_RETURN(c.function, function_input(ctx, function, 1, c.next));
  MR_ASSIGN_OR_RETURN(c.spec, element_spec(ctx.node()));
  return c;
}

absl::StatusOr<DatasetPtr> make_map(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx));
  MapOptions options;
  MR_ASSIGN_OR_RETURN(options.preserve_cardinality, get_attr<bool>(ctx.node(), "preserve_cardinality"));
  return map_dataset(std::move(c.input), std::move(c.function), options, std::move(c.spec));
}

absl::StatusOr<DatasetPtr> make_parallel_map(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx));
  MapOptions options;
  MR_ASSIGN_OR_RETURN(options.preserve_cardinality, get_attr<bool>(ctx.node(), "preserve_cardinality"));
  MR_ASSIGN_OR_RETURN(options.num_parallel_calls, ctx.int_scalar(c.next));
  if (options.num_parallel_calls == 0 || options.num_parallel_calls < -1)
    return invalid_argument("num_parallel_calls must be greater than zero.");
  if (ctx.node().op == "ParallelMapDataset") {
    MR_ASSIGN_OR_RETURN(const bool sloppy, get_attr<bool>(ctx.node(), "sloppy"));
    options.deterministic = !sloppy;
  } else {
    MR_ASSIGN_OR_RETURN(options.deterministic, deterministic_attr(ctx.node()));
  }
  return map_dataset(std::move(c.input), std::move(c.function), options, std::move(c.spec));
}

absl::StatusOr<DatasetPtr> make_filter(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx, "predicate"));
  return filter_dataset(std::move(c.input), std::move(c.function));
}

absl::StatusOr<DatasetPtr> make_take_while(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx, "predicate"));
  return take_while_dataset(std::move(c.input), std::move(c.function));
}

absl::StatusOr<DatasetPtr> make_flat_map(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx));
  return flat_map_dataset(std::move(c.input), std::move(c.function), std::move(c.spec));
}

absl::StatusOr<DatasetPtr> make_interleave(KernelContext& ctx, bool parallel) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx));
  InterleaveOptions options{.parallel = parallel};
  MR_ASSIGN_OR_RETURN(options.cycle_length, ctx.scalar<int64_t>(c.next));
  MR_ASSIGN_OR_RETURN(options.block_length, ctx.scalar<int64_t>(c.next + 1));
  return interleave_dataset(std::move(c.input), std::move(c.function), options, std::move(c.spec));
}
absl::StatusOr<DatasetPtr> make_sequential_interleave(KernelContext& ctx) { return make_interleave(ctx, false); }
absl::StatusOr<DatasetPtr> make_parallel_interleave(KernelContext& ctx) { return make_interleave(ctx, true); }

absl::StatusOr<DatasetPtr> make_scan(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int states, list_length(ctx.node(), "Tstate"));
  MR_ASSIGN_OR_RETURN(FunctionPtr function, function_input(ctx, "f", 1 + states, ctx.num_inputs()));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return scan_dataset(std::move(input), tensor_inputs(ctx, 1, 1 + states), std::move(function), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_group_by_window(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  FunctionPtr functions[3];
  int next = 1;
  const char* const names[] = {"key_func", "reduce_func", "window_size_func"};
  for (int i = 0; i < 3; ++i) {
    MR_ASSIGN_OR_RETURN(const int captured, list_length(ctx.node(), str_cat("T", names[i], "_other_arguments")));
    MR_ASSIGN_OR_RETURN(functions[i], function_input(ctx, names[i], next, next + captured));
    next += captured;
  }
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return group_by_window_dataset(std::move(input), functions[0], functions[1], functions[2], std::move(spec));
}

absl::StatusOr<DatasetPtr> make_map_and_batch(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Common c, common(ctx));
  MR_ASSIGN_OR_RETURN(const int64_t batch_size, ctx.scalar<int64_t>(c.next));
  MapOptions options;
  MR_ASSIGN_OR_RETURN(options.num_parallel_calls, ctx.scalar<int64_t>(c.next + 1));
  MR_ASSIGN_OR_RETURN(const bool drop_remainder, ctx.scalar<bool>(c.next + 2));
  MR_ASSIGN_OR_RETURN(options.preserve_cardinality, get_attr<bool>(ctx.node(), "preserve_cardinality"));
  if (batch_size <= 0) return invalid_argument("batch_size must be greater than zero.");
  if (options.num_parallel_calls == 0 || options.num_parallel_calls < -1)
    return invalid_argument("num_parallel_calls must be greater than zero.");
  ElementSpec row{c.spec.types, {}};
  for (const PartialTensorShape& shape : c.spec.shapes) {
    if (!shape.has_rank() || shape.rank() == 0) {
      row.shapes.emplace_back();
    } else {
      MR_ASSIGN_OR_RETURN(PartialTensorShape part, make_partial_shape(shape.dims().subspan(1)));
      row.shapes.push_back(std::move(part));
    }
  }
  MR_ASSIGN_OR_RETURN(DatasetPtr mapped,
                      map_dataset(std::move(c.input), std::move(c.function), options, std::move(row)));
  return batch_dataset(std::move(mapped), batch_size, drop_remainder, std::move(c.spec));
}

// Ops that walk a dataset: done by a task of the session, so that the executor's thread is free.
class WalkKernel : public AsyncKernel {
 public:
  void compute_async(KernelContext& ctx, Done done) final {
    ctx.services().schedule([this, &ctx, done = std::move(done)] {
      absl::StatusOr<Element> result = walk(ctx);
      absl::Status status = result.status();
      for (size_t i = 0; status.ok() && i < result->size(); ++i) {
        if (static_cast<int>(i) >= ctx.num_outputs())
          status = invalid_argument(ctx.node().op, ": the element has too many components.");
        else if (const DataType wanted = ctx.node().output_types[i]; (*result)[i].dtype() != wanted)
          status = invalid_argument(ctx.node().op, ": component ", i, " of the element is ",
                                    dtype_name((*result)[i].dtype()), ", output_types says ", dtype_name(wanted), ".");
        else status = ctx.set_output(static_cast<int>(i), std::move((*result)[i]));
      }
      if (status.ok() && static_cast<int>(result->size()) != ctx.num_outputs())
        status = invalid_argument(ctx.node().op, ": the element has ", result->size(), " components, not ",
                                  ctx.num_outputs(), ".");
      done(std::move(status));
    });
  }

 private:
  virtual absl::StatusOr<Element> walk(KernelContext& ctx) = 0;
};

class ReduceDataset final : public WalkKernel {
  absl::StatusOr<Element> walk(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DatasetPtr input, dataset_input(ctx, 0));
    MR_ASSIGN_OR_RETURN(const int states, list_length(ctx.node(), "Tstate"));
    MR_ASSIGN_OR_RETURN(const FunctionPtr function, function_input(ctx, "f", 1 + states, ctx.num_inputs()));
    return reduce_dataset(*input, tensor_inputs(ctx, 1, 1 + states), *function, ctx.cancellation());
  }
};

class DatasetToSingleElement final : public WalkKernel {
  absl::StatusOr<Element> walk(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DatasetPtr input, dataset_input(ctx, 0));
    MR_ASSIGN_OR_RETURN(const IteratorPtr iterator, input->iterate());
    IterationContext iteration{ctx.cancellation()};
    Element element, second;
    bool end = false;
    MR_RETURN_IF_ERROR(iterator->get_next(iteration, &element, &end));
    if (end) return invalid_argument("Dataset was empty.");
    MR_RETURN_IF_ERROR(iterator->get_next(iteration, &second, &end));
    if (!end) return invalid_argument("Dataset had more than one element.");
    return element;
  }
};

absl::Status function_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return scalar_shape(c);
}

absl::Status components_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const auto shapes, c.attr<std::vector<PartialTensorShape>>("output_shapes"));
  if (static_cast<int>(shapes.size()) != c.num_outputs())
    return invalid_argument("`output_shapes` must be the same length as `output_types` (", shapes.size(), " vs. ",
                            c.num_outputs(), ")");
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, shapes[static_cast<size_t>(i)]));
  return absl::OkStatus();
}

}  // namespace

void register_dataset_functions(Registry& registry) {
  registry.op("MapDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("use_inter_op_parallelism: bool = true")
      .attr("preserve_cardinality: bool = false")
      .attr("force_synchronous: bool = false")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_map>>()
      .not_differentiable()
      .doc("f of each element.");
  registry.op("ParallelMapDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("num_parallel_calls: int32")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("use_inter_op_parallelism: bool = true")
      .attr("sloppy: bool = false")
      .attr("preserve_cardinality: bool = false")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_map>>()
      .not_differentiable()
      .doc("f of each element, several at once.");
  registry.op("ParallelMapDatasetV2")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("num_parallel_calls: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("use_inter_op_parallelism: bool = true")
      .attr("deterministic: string = 'default'")
      .attr("preserve_cardinality: bool = false")
      .attr("use_unbounded_threadpool: bool = false")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_map>>()
      .not_differentiable()
      .doc("f of each element, several at once.");
  registry.op("FilterDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .output("handle: variant")
      .attr("predicate: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_filter>>()
      .not_differentiable()
      .doc("Elements that the predicate holds for.");
  registry.op("ParallelFilterDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("num_parallel_calls: int64")
      .output("handle: variant")
      .attr("predicate: func")
      .attr("deterministic: string = 'default'")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_filter>>()
      .not_differentiable()
      .doc("Elements that the predicate holds for.");
  registry.op("TakeWhileDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .output("handle: variant")
      .attr("predicate: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_take_while>>()
      .not_differentiable()
      .doc("Elements up to the first that the predicate does not hold for.");
  registry.op("FlatMapDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_flat_map>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, one dataset after another.");
  registry.op("InterleaveDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_sequential_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn.");
  registry.op("ParallelInterleaveDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .input("sloppy: bool")
      .input("buffer_output_elements: int64")
      .input("prefetch_input_elements: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn, made ahead.");
  registry.op("ParallelInterleaveDatasetV2")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .input("num_parallel_calls: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("sloppy: bool = false")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn, made ahead.");
  registry.op("ParallelInterleaveDatasetV3")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .input("num_parallel_calls: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("deterministic: string = 'default'")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn, made ahead.");
  registry.op("ParallelInterleaveDatasetV4")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .input("buffer_output_elements: int64")
      .input("prefetch_input_elements: int64")
      .input("num_parallel_calls: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("deterministic: string = 'default'")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn, made ahead.");
  registry.op("LegacyParallelInterleaveDatasetV2")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("cycle_length: int64")
      .input("block_length: int64")
      .input("buffer_output_elements: int64")
      .input("prefetch_input_elements: int64")
      .output("handle: variant")
      .attr("f: func")
      .attr("deterministic: string = 'default'")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_parallel_interleave>>()
      .not_differentiable()
      .doc("The elements of the datasets that f makes, in turn, made ahead.");
  registry.op("ScanDataset")
      .input("input_dataset: variant")
      .input("initial_state: Tstate")
      .input("other_arguments: Targuments")
      .output("handle: variant")
      .attr("f: func")
      .attr("Tstate: list(type) >= 1")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("preserve_cardinality: bool = false")
      .attr("use_default_device: bool = true")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_scan>>()
      .not_differentiable()
      .doc("f of a state and each element gives the next state and an element.");
  registry.op("GroupByWindowDataset")
      .input("input_dataset: variant")
      .input("key_func_other_arguments: Tkey_func_other_arguments")
      .input("reduce_func_other_arguments: Treduce_func_other_arguments")
      .input("window_size_func_other_arguments: Twindow_size_func_other_arguments")
      .output("handle: variant")
      .attr("key_func: func")
      .attr("reduce_func: func")
      .attr("window_size_func: func")
      .attr("Tkey_func_other_arguments: list(type) >= 0")
      .attr("Treduce_func_other_arguments: list(type) >= 0")
      .attr("Twindow_size_func_other_arguments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_group_by_window>>()
      .not_differentiable()
      .doc("What reduce_func makes of windows of elements with equal keys.");
  registry.op("MapAndBatchDataset")
      .input("input_dataset: variant")
      .input("other_arguments: Targuments")
      .input("batch_size: int64")
      .input("num_parallel_calls: int64")
      .input("drop_remainder: bool")
      .output("handle: variant")
      .attr("f: func")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("preserve_cardinality: bool = false")
      .attr("metadata: string = ''")
      .shape(function_shape)
      .cpu<DatasetKernel<make_map_and_batch>>()
      .not_differentiable()
      .doc("f of each element, batch_size of them stacked.");
  registry.op("ReduceDataset")
      .input("input_dataset: variant")
      .input("initial_state: Tstate")
      .input("other_arguments: Targuments")
      .output("components: output_types")
      .attr("f: func")
      .attr("Tstate: list(type) >= 1")
      .attr("Targuments: list(type) >= 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("use_inter_op_parallelism: bool = true")
      .attr("metadata: string = ''")
      .stateful()
      .shape(components_shape)
      .cpu<ReduceDataset>()
      .not_differentiable()
      .doc("f of a state and each element gives the next state; the last one is the result.");
  registry.op("DatasetToSingleElement")
      .input("dataset: variant")
      .output("components: output_types")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(components_shape)
      .cpu<DatasetToSingleElement>()
      .not_differentiable()
      .doc("The only element.");
}

}  // namespace millrace
