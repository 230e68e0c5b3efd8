// Datasets made of others without functions: order, number and grouping of elements.

#include <atomic>

#include "data/background.h"
#include "data/batch.h"
#include "data/shuffle.h"
#include "data/transforms.h"
#include "op/shape_context.h"
#include "ops/dataset_kernel.h"

namespace millrace {
namespace {

absl::StatusOr<DatasetPtr> make_take(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t count, ctx.scalar<int64_t>(1));
  return take_dataset(std::move(input), count);
}

absl::StatusOr<DatasetPtr> make_skip(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t count, ctx.scalar<int64_t>(1));
  return skip_dataset(std::move(input), count);
}

absl::StatusOr<DatasetPtr> make_repeat(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t count, ctx.scalar<int64_t>(1));
  return repeat_dataset(std::move(input), count);
}

absl::StatusOr<DatasetPtr> make_shard(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t num_shards, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const int64_t index, ctx.scalar<int64_t>(2));
  return shard_dataset(std::move(input), num_shards, index);
}

absl::StatusOr<DatasetPtr> make_concatenate(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr first, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(DatasetPtr second, dataset_input(ctx, 1));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return concatenate_dataset(std::move(first), std::move(second), std::move(spec));
}

absl::StatusOr<DatasetList> dataset_inputs(KernelContext& ctx, int begin) {
  DatasetList list;
  for (int i = begin; i < ctx.num_inputs(); ++i) {
    MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, i));
    list.push_back(std::move(input));
  }
  return list;
}

absl::StatusOr<DatasetPtr> make_zip(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetList inputs, dataset_inputs(ctx, 0));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return zip_dataset(std::move(inputs), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_cache(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const std::string filename, ctx.scalar<std::string>(1));
  if (!filename.empty())
    return unimplemented("CacheDataset: a cache in a file ('", filename, "') is not supported; use one in memory.");
  return cache_dataset(std::move(input));
}

absl::StatusOr<DatasetPtr> make_batch(KernelContext& ctx, int drop_remainder) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t batch_size, ctx.scalar<int64_t>(1));
  bool drop = false;
  if (drop_remainder >= 0) {
    MR_ASSIGN_OR_RETURN(drop, ctx.scalar<bool>(drop_remainder));
  }
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return batch_dataset(std::move(input), batch_size, drop, std::move(spec));
}
absl::StatusOr<DatasetPtr> make_batch_v1(KernelContext& ctx) { return make_batch(ctx, -1); }
absl::StatusOr<DatasetPtr> make_batch_v2(KernelContext& ctx) { return make_batch(ctx, 2); }
absl::StatusOr<DatasetPtr> make_parallel_batch(KernelContext& ctx) { return make_batch(ctx, 3); }

absl::StatusOr<DatasetPtr> make_padded_batch(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t batch_size, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const int64_t n, get_attr<int64_t>(ctx.node(), "N"));
  const bool has_drop = ctx.node().op != "PaddedBatchDataset";
  const int shapes_end = 2 + static_cast<int>(n), values_end = ctx.num_inputs() - (has_drop ? 1 : 0);
  Padding padding;
  for (int i = 2; i < shapes_end; ++i) {
    MR_ASSIGN_OR_RETURN(const auto dims, ctx.vector<int64_t>(i));
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, make_partial_shape(dims));
    padding.shapes.push_back(std::move(shape));
  }
  padding.values = tensor_inputs(ctx, shapes_end, values_end);
  bool drop = false;
  if (has_drop) {
    MR_ASSIGN_OR_RETURN(drop, ctx.scalar<bool>(values_end));
  }
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return padded_batch_dataset(std::move(input), batch_size, std::move(padding), drop, std::move(spec));
}

absl::StatusOr<DatasetPtr> make_unbatch(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return unbatch_dataset(std::move(input), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_window(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t size, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const int64_t shift, ctx.scalar<int64_t>(2));
  MR_ASSIGN_OR_RETURN(const int64_t stride, ctx.scalar<int64_t>(3));
  MR_ASSIGN_OR_RETURN(const bool drop, ctx.scalar<bool>(4));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return window_dataset(std::move(input), size, shift, stride, drop, std::move(spec));
}

absl::StatusOr<DatasetPtr> make_dense_to_sparse(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t batch_size, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const auto dims, ctx.vector<int64_t>(2));
  MR_ASSIGN_OR_RETURN(PartialTensorShape row_shape, make_partial_shape(dims));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return dense_to_sparse_batch_dataset(std::move(input), batch_size, std::move(row_shape), std::move(spec));
}

// Seeds at inputs 2 and 3.
absl::StatusOr<std::shared_ptr<SeedGenerator>> seeds_from_inputs(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(int64_t seed, ctx.scalar<int64_t>(2));
  MR_ASSIGN_OR_RETURN(int64_t seed2, ctx.scalar<int64_t>(3));
  MR_ASSIGN_OR_RETURN(const bool reshuffle, get_attr<bool>(ctx.node(), "reshuffle_each_iteration"));
  choose_seeds_if_unset(&seed, &seed2);
  return std::make_shared<SeedGenerator>(seed, seed2, reshuffle);
}

absl::StatusOr<DatasetPtr> make_shuffle(KernelContext& ctx, std::shared_ptr<SeedGenerator> seeds) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t buffer_size, ctx.scalar<int64_t>(1));
  return shuffle_dataset(std::move(input), buffer_size, std::move(seeds));
}

absl::StatusOr<DatasetPtr> make_shuffle_v1(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<SeedGenerator> seeds, seeds_from_inputs(ctx));
  return make_shuffle(ctx, std::move(seeds));
}

absl::StatusOr<DatasetPtr> make_shuffle_v2(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<SeedGenerator> seeds, ctx.resource<SeedGenerator>(2));
  return make_shuffle(ctx, std::move(seeds));
}

absl::StatusOr<DatasetPtr> make_shuffle_v3(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(4));
  absl::StatusOr<std::shared_ptr<SeedGenerator>> seeds =
      ctx.resources().lookup<SeedGenerator>(handle.container, handle.name);
  if (!seeds.ok()) seeds = seeds_from_inputs(ctx);  // DummySeedGenerator's handle leads nowhere
  MR_RETURN_IF_ERROR(seeds.status());
  return make_shuffle(ctx, *std::move(seeds));
}

absl::StatusOr<DatasetPtr> make_shuffle_and_repeat(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<SeedGenerator> seeds, seeds_from_inputs(ctx));
  MR_ASSIGN_OR_RETURN(const int64_t count, ctx.scalar<int64_t>(4));
  if (count < -1) return invalid_argument("count must be greater than or equal to -1.");
  MR_ASSIGN_OR_RETURN(DatasetPtr shuffled, make_shuffle(ctx, std::move(seeds)));
  return repeat_dataset(std::move(shuffled), count);
}

absl::StatusOr<DatasetPtr> make_prefetch(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t buffer_size, ctx.scalar<int64_t>(1));
  return prefetch_dataset(std::move(input), buffer_size);
}

absl::StatusOr<DatasetPtr> make_ignore_errors(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const bool log, get_attr<bool>(ctx.node(), "log_warning"));
  return ignore_errors_dataset(std::move(input), log);
}

absl::StatusOr<DatasetPtr> make_unique_elements(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  return unique_dataset(std::move(input));
}

absl::StatusOr<DatasetPtr> make_directed_interleave(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr selector, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(DatasetList inputs, dataset_inputs(ctx, 1));
  MR_ASSIGN_OR_RETURN(const bool stop, get_attr<bool>(ctx.node(), "stop_on_empty_dataset"));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return directed_interleave_dataset(std::move(selector), std::move(inputs), std::move(spec), stop);
}

absl::StatusOr<DatasetPtr> make_assert_cardinality(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(DatasetPtr input, dataset_input(ctx, 0));
  MR_ASSIGN_OR_RETURN(const int64_t cardinality, ctx.scalar<int64_t>(1));
  return assert_cardinality_dataset(std::move(input), cardinality);
}

absl::StatusOr<DatasetPtr> pass_on(KernelContext& ctx) { return dataset_input(ctx, 0); }

class DatasetCardinality final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DatasetPtr input, dataset_input(ctx, 0));
    return ctx.set_scalar<int64_t>(0, input->cardinality());
  }
};

class ForwardVariant final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(dataset_input(ctx, 0).status());
    return ctx.set_output(0, ctx.input(0));
  }
};

// A handle that leads nowhere.
class NamelessResource final : public Kernel {
  absl::Status compute(KernelContext& ctx) override { return ctx.set_scalar(0, ResourceHandle()); }
};

class AnonymousMemoryCache final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(ctx.set_scalar(0, ResourceHandle()));
    return ctx.set_scalar(1, Variant());
  }
};

class AnonymousSeedGenerator final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(int64_t seed, ctx.scalar<int64_t>(0));
    MR_ASSIGN_OR_RETURN(int64_t seed2, ctx.scalar<int64_t>(1));
    bool reshuffle = true;
    if (ctx.num_inputs() > 2) {
      MR_ASSIGN_OR_RETURN(reshuffle, ctx.scalar<bool>(2));
    }
    choose_seeds_if_unset(&seed, &seed2);
    static std::atomic<int64_t> count{0};
    ResourceHandle handle;
    handle.container = ResourceManager::kDefaultContainer;
    handle.name = str_cat("AnonymousSeedGenerator", count.fetch_add(1));
    handle.type_name = "SeedGenerator";
    MR_RETURN_IF_ERROR(
        ctx.resources().create(handle.container, handle.name, std::make_shared<SeedGenerator>(seed, seed2, reshuffle)));
    MR_RETURN_IF_ERROR(ctx.set_scalar(0, std::move(handle)));
    return ctx.set_scalar(1, Variant());
  }
};

class DeleteByHandle final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    return handle.name.empty() ? absl::OkStatus() : ctx.resources().remove(handle.container, handle.name);
  }
};

absl::Status scalars_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return scalar_shape(c);
}

absl::Status first_scalar_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return scalar_shape(c);
}

absl::Status dense_to_sparse_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return scalar_shape(c);
}

}  // namespace

void register_dataset_transforms(Registry& registry) {
  registry.op("TakeDataset")
      .input("input_dataset: variant")
      .input("count: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_take>>()
      .not_differentiable()
      .doc("The first count elements; -1: all.");
  registry.op("SkipDataset")
      .input("input_dataset: variant")
      .input("count: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_skip>>()
      .not_differentiable()
      .doc("All but the first count elements; -1: none.");
  registry.op("RepeatDataset")
      .input("input_dataset: variant")
      .input("count: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_repeat>>()
      .not_differentiable()
      .doc("The input count times; -1: without end.");
  registry.op("ShardDataset")
      .input("input_dataset: variant")
      .input("num_shards: int64")
      .input("index: int64")
      .output("handle: variant")
      .attr("require_non_empty: bool = false")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shard>>()
      .not_differentiable()
      .doc("Every num_shards-th element, from index.");
  registry.op("ConcatenateDataset")
      .input("input_dataset: variant")
      .input("another_dataset: variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_concatenate>>()
      .not_differentiable()
      .doc("One dataset behind another.");
  registry.op("ZipDataset")
      .input("input_datasets: N * variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("N: int >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_zip>>()
      .not_differentiable()
      .doc("Elements of several datasets side by side.");
  registry.op("CacheDataset")
      .input("input_dataset: variant")
      .input("filename: string")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_cache>>()
      .not_differentiable()
      .doc("Keeps the input's elements in memory after the first pass.");
  registry.op("CacheDatasetV2")
      .input("input_dataset: variant")
      .input("filename: string")
      .input("cache: resource")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_cache>>()
      .not_differentiable()
      .doc("Keeps the input's elements in memory after the first pass.");
  registry.op("BatchDataset")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_batch_v1>>()
      .not_differentiable()
      .doc("batch_size elements stacked as one.");
  registry.op("BatchDatasetV2")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .input("drop_remainder: bool")
      .output("handle: variant")
      .attr("parallel_copy: bool = false")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_batch_v2>>()
      .not_differentiable()
      .doc("batch_size elements stacked as one.");
  registry.op("ParallelBatchDataset")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .input("num_parallel_calls: int64")
      .input("drop_remainder: bool")
      .output("handle: variant")
      .attr("parallel_copy: bool = false")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("deterministic: string = 'default'")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_parallel_batch>>()
      .not_differentiable()
      .doc("batch_size elements stacked as one.");
  registry.op("PaddedBatchDataset")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .input("padded_shapes: N * int64")
      .input("padding_values: Toutput_types")
      .output("handle: variant")
      .attr("Toutput_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("N: int >= 1")
      .attr("metadata: string = ''")
      .shape(scalar_shape)
      .cpu<DatasetKernel<make_padded_batch>>()
      .not_differentiable()
      .doc("batch_size elements padded to one shape and stacked.");
  registry.op("PaddedBatchDatasetV2")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .input("padded_shapes: N * int64")
      .input("padding_values: Toutput_types")
      .input("drop_remainder: bool")
      .output("handle: variant")
      .attr("parallel_copy: bool = false")
      .attr("Toutput_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("N: int >= 1")
      .attr("metadata: string = ''")
      .shape(scalar_shape)
      .cpu<DatasetKernel<make_padded_batch>>()
      .not_differentiable()
      .doc("batch_size elements padded to one shape and stacked.");
  registry.op("UnbatchDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_unbatch>>()
      .not_differentiable()
      .doc("The rows of each element.");
  registry.op("WindowDataset")
      .input("input_dataset: variant")
      .input("size: int64")
      .input("shift: int64")
      .input("stride: int64")
      .input("drop_remainder: bool")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_window>>()
      .not_differentiable()
      .doc("Datasets of neighbouring elements.");
  registry.op("DenseToSparseBatchDataset")
      .input("input_dataset: variant")
      .input("batch_size: int64")
      .input("row_shape: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(dense_to_sparse_shape)
      .cpu<DatasetKernel<make_dense_to_sparse>>()
      .not_differentiable()
      .doc("Elements of different shapes stacked as a sparse tensor.");
  registry.op("ShuffleDataset")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .input("seed: int64")
      .input("seed2: int64")
      .output("handle: variant")
      .attr("reshuffle_each_iteration: bool = true")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shuffle_v1>>()
      .not_differentiable()
      .doc("Random order, through a buffer.");
  registry.op("ShuffleDatasetV2")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .input("seed_generator: resource")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shuffle_v2>>()
      .not_differentiable()
      .doc("Random order, with seeds of a generator.");
  registry.op("ShuffleDatasetV3")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .input("seed: int64")
      .input("seed2: int64")
      .input("seed_generator: resource")
      .output("handle: variant")
      .attr("reshuffle_each_iteration: bool = true")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shuffle_v3>>()
      .not_differentiable()
      .doc("Random order, with seeds of a generator.");
  registry.op("ShuffleAndRepeatDataset")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .input("seed: int64")
      .input("seed2: int64")
      .input("count: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("reshuffle_each_iteration: bool = true")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shuffle_and_repeat>>()
      .not_differentiable()
      .doc("Random order over count passes through the input.");
  registry.op("ShuffleAndRepeatDatasetV2")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .input("seed: int64")
      .input("seed2: int64")
      .input("count: int64")
      .input("seed_generator: resource")
      .output("handle: variant")
      .attr("reshuffle_each_iteration: bool = true")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_shuffle_and_repeat>>()
      .not_differentiable()
      .doc("Random order over count passes through the input.");
  registry.op("PrefetchDataset")
      .input("input_dataset: variant")
      .input("buffer_size: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("slack_period: int = 0")
      .attr("legacy_autotune: bool = true")
      .attr("buffer_size_min: int = 0")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_prefetch>>()
      .not_differentiable()
      .doc("Makes elements ahead of their use.");
  registry.op("IgnoreErrorsDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("log_warning: bool = false")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_ignore_errors>>()
      .not_differentiable()
      .doc("Leaves out elements that fail.");
  registry.op("UniqueDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_unique_elements>>()
      .not_differentiable()
      .doc("Each element once.");
  registry.op("DirectedInterleaveDataset")
      .input("selector_input_dataset: variant")
      .input("data_input_datasets: N * variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("N: int >= 1")
      .attr("stop_on_empty_dataset: bool = false")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_directed_interleave>>()
      .not_differentiable()
      .doc("Elements of the datasets that the selector names.");
  registry.op("OptionsDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("serialized_options: string")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input; its options do not change what it gives.");
  registry.op("ModelDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("algorithm: int = 0")
      .attr("cpu_budget: int = 0")
      .attr("ram_budget: int = 0")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input: nothing is tuned here.");
  registry.op("OptimizeDataset")
      .input("input_dataset: variant")
      .input("optimizations: string")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("optimization_configs: list(string) = []")
      .shape(first_scalar_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input: nothing is rewritten here.");
  registry.op("OptimizeDatasetV2")
      .input("input_dataset: variant")
      .input("optimizations_enabled: string")
      .input("optimizations_disabled: string")
      .input("optimizations_default: string")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("optimization_configs: list(string) = []")
      .shape(first_scalar_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input: nothing is rewritten here.");
  registry.op("FinalizeDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("has_captured_ref: bool = false")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input.");
  registry.op("RewriteDataset")
      .input("input_dataset: variant")
      .input("rewrite_name: string")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input: nothing is rewritten here.");
  registry.op("MaxIntraOpParallelismDataset")
      .input("input_dataset: variant")
      .input("max_intra_op_parallelism: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input.");
  registry.op("PrivateThreadPoolDataset")
      .input("input_dataset: variant")
      .input("num_threads: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input.");
  registry.op("NonSerializableDataset")
      .input("input_dataset: variant")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<pass_on>>()
      .not_differentiable()
      .doc("The input.");
  registry.op("AssertCardinalityDataset")
      .input("input_dataset: variant")
      .input("cardinality: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(scalars_shape)
      .cpu<DatasetKernel<make_assert_cardinality>>()
      .not_differentiable()
      .doc("The input, which must have so many elements.");
  registry.op("DatasetCardinality")
      .input("input_dataset: variant")
      .output("cardinality: int64")
      .attr("cardinality_options: string = ''")
      .shape(scalars_shape)
      .cpu<DatasetCardinality>()
      .not_differentiable()
      .doc("The number of elements, -1 for infinite, -2 for unknown.");
  registry.op("WrapDatasetVariant")
      .input("input_handle: variant")
      .output("output_handle: variant")
      .shape(scalars_shape)
      .cpu<ForwardVariant>()
      .not_differentiable()
      .doc("A dataset in a variant.");
  registry.op("UnwrapDatasetVariant")
      .input("input_handle: variant")
      .output("output_handle: variant")
      .shape(scalars_shape)
      .cpu<ForwardVariant>()
      .not_differentiable()
      .doc("A dataset out of a variant.");
  registry.op("DummySeedGenerator")
      .output("handle: resource")
      .stateful()
      .shape(scalar_shape)
      .cpu<NamelessResource>()
      .not_differentiable()
      .doc("A handle to no generator: seeds are inputs.");
  registry.op("AnonymousSeedGenerator")
      .input("seed: int64")
      .input("seed2: int64")
      .input("reshuffle: bool")
      .output("handle: resource")
      .output("deleter: variant")
      .stateful()
      .shape(scalars_shape)
      .cpu<AnonymousSeedGenerator>()
      .not_differentiable()
      .doc("Seeds for the passes of a shuffled dataset.");
  registry.op("DeleteSeedGenerator")
      .input("handle: resource")
      .input("deleter: variant")
      .stateful()
      .shape(no_outputs)
      .cpu<DeleteByHandle>()
      .not_differentiable()
      .doc("Forgets a generator.");
  registry.op("AnonymousRandomSeedGenerator")
      .input("seed: int64")
      .input("seed2: int64")
      .output("handle: resource")
      .output("deleter: variant")
      .stateful()
      .shape(scalars_shape)
      .cpu<AnonymousSeedGenerator>()
      .not_differentiable()
      .doc("Seeds for the passes of a shuffled dataset.");
  registry.op("DeleteRandomSeedGenerator")
      .input("handle: resource")
      .input("deleter: variant")
      .stateful()
      .shape(no_outputs)
      .cpu<DeleteByHandle>()
      .not_differentiable()
      .doc("Forgets a generator.");
  registry.op("DummyMemoryCache")
      .output("handle: resource")
      .stateful()
      .shape(scalar_shape)
      .cpu<NamelessResource>()
      .not_differentiable()
      .doc("A handle to no cache: each dataset has its own.");
  registry.op("AnonymousMemoryCache")
      .output("handle: resource")
      .output("deleter: variant")
      .stateful()
      .shape(scalar_shape)
      .cpu<AnonymousMemoryCache>()
      .not_differentiable()
      .doc("A handle to no cache: each dataset has its own.");
  registry.op("DeleteMemoryCache")
      .input("handle: resource")
      .input("deleter: variant")
      .stateful()
      .shape(no_outputs)
      .cpu<DeleteByHandle>()
      .not_differentiable()
      .doc("Forgets a cache.");
}

}  // namespace millrace
