// Datasets made of values and files.

#include "data/csv.h"
#include "data/files.h"
#include "data/sources.h"
#include "op/shape_context.h"
#include "ops/dataset_kernel.h"

namespace millrace {
namespace {

absl::StatusOr<DatasetPtr> make_range(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const int64_t start, ctx.scalar<int64_t>(0));
  MR_ASSIGN_OR_RETURN(const int64_t stop, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const int64_t step, ctx.scalar<int64_t>(2));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return range_dataset(start, stop, step, std::move(spec));
}

absl::StatusOr<DatasetPtr> make_one_tensor(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return tensor_dataset(tensor_inputs(ctx, 0, ctx.num_inputs()), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_tensor_slice(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return tensor_slice_dataset(tensor_inputs(ctx, 0, ctx.num_inputs()), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_sparse_tensor_slice(KernelContext& ctx) {
  MR_RETURN_IF_ERROR(ctx.flat<int64_t>(0).status());
  MR_RETURN_IF_ERROR(ctx.flat<int64_t>(2).status());
  return sparse_tensor_slice_dataset(ctx.input(0), ctx.input(1), ctx.input(2));
}

// Filenames, compression and buffer size stand at inputs 0, `compression` and `buffer`; -1: there is none.
absl::StatusOr<FileOptions> file_options(KernelContext& ctx, int compression, int buffer) {
  FileOptions options;
  MR_ASSIGN_OR_RETURN(const auto files, ctx.flat<std::string>(0));
  if (ctx.shape(0).rank() > 1) return invalid_argument("`filenames` must be a scalar or a vector.");
  options.files.assign(files.begin(), files.end());
  if (compression >= 0) {
    MR_ASSIGN_OR_RETURN(options.compression, ctx.scalar<std::string>(compression));
  }
  MR_ASSIGN_OR_RETURN(options.buffer_bytes, ctx.scalar<int64_t>(buffer));
  return options;
}

absl::StatusOr<DatasetPtr> make_tf_record(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(FileOptions options, file_options(ctx, 1, 2));
  return tf_record_dataset(std::move(options));
}

absl::StatusOr<DatasetPtr> make_tf_record_v2(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(FileOptions options, file_options(ctx, 1, 2));
  MR_ASSIGN_OR_RETURN(const auto offsets, ctx.flat<int64_t>(3));
  if (!offsets.empty() && offsets.size() != options.files.size())
    return invalid_argument("If `byte_offsets` is specified, it must have the same number of elements as `filenames`.");
  options.byte_offsets.assign(offsets.begin(), offsets.end());
  return tf_record_dataset(std::move(options));
}

absl::StatusOr<DatasetPtr> make_text_line(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(FileOptions options, file_options(ctx, 1, 2));
  if (options.compression != "" && options.compression != "ZLIB" && options.compression != "GZIP")
    return invalid_argument("Unsupported compression_type.");
  return text_line_dataset(std::move(options));
}

absl::StatusOr<DatasetPtr> make_fixed_length_any(KernelContext& ctx, int compression) {
  MR_ASSIGN_OR_RETURN(FileOptions options, file_options(ctx, compression, 4));
  FixedLengthOptions record;
  MR_ASSIGN_OR_RETURN(record.header_bytes, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(record.record_bytes, ctx.scalar<int64_t>(2));
  MR_ASSIGN_OR_RETURN(record.footer_bytes, ctx.scalar<int64_t>(3));
  if (options.buffer_bytes < 0) return invalid_argument("`buffer_size` must be >= 0 (0 == default)");
  return fixed_length_record_dataset(std::move(options), record);
}
absl::StatusOr<DatasetPtr> make_fixed_length(KernelContext& ctx) { return make_fixed_length_any(ctx, -1); }
absl::StatusOr<DatasetPtr> make_fixed_length_v2(KernelContext& ctx) { return make_fixed_length_any(ctx, 5); }

absl::StatusOr<DatasetPtr> make_csv(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(FileOptions files, file_options(ctx, 1, 2));
  CsvFormat format;
  MR_ASSIGN_OR_RETURN(const bool header, ctx.scalar<bool>(3));
  MR_ASSIGN_OR_RETURN(const std::string delimiter, ctx.scalar<std::string>(4));
  if (delimiter.size() != 1) return invalid_argument("field_delim should be only 1 char");
  format.delimiter = delimiter[0];
  MR_ASSIGN_OR_RETURN(format.use_quotes, ctx.scalar<bool>(5));
  MR_ASSIGN_OR_RETURN(format.na_value, ctx.scalar<std::string>(6));
  MR_ASSIGN_OR_RETURN(const auto columns, ctx.vector<int64_t>(7));
  format.columns.assign(columns.begin(), columns.end());
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  const int defaults = 8, end = defaults + static_cast<int>(spec.types.size());
  if (end < ctx.num_inputs() && ctx.input(end).num_elements() > 0)
    return unimplemented("CSVDatasetV2: exclude_cols is not supported; name the wanted ones in select_cols.");
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] < 0 || (i > 0 && columns[i - 1] >= columns[i]))
      return invalid_argument("select_cols should be strictly increasing indices");
  }
  if (!columns.empty() && columns.size() != spec.types.size())
    return invalid_argument("select_cols should match output size");
  return csv_dataset(std::move(files), header, std::move(format), tensor_inputs(ctx, defaults, end), std::move(spec));
}

absl::StatusOr<DatasetPtr> make_random(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const int64_t seed, ctx.scalar<int64_t>(0));
  MR_ASSIGN_OR_RETURN(const int64_t seed2, ctx.scalar<int64_t>(1));
  MR_ASSIGN_OR_RETURN(ElementSpec spec, element_spec(ctx.node()));
  return random_dataset(seed, seed2, std::move(spec));
}

absl::Status dataset_shape(ShapeContext& c) {
  if (c.node().op == "RangeDataset" || c.node().op == "RandomDataset" || c.node().op == "RandomDatasetV2")
    for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return scalar_shape(c);
}

absl::Status sparse_slice_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return scalar_shape(c);
}

// Filenames are a scalar or a vector, all else scalars.
absl::Status files_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  for (int i = 1; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return scalar_shape(c);
}

absl::Status csv_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  for (int i = 1; i < 7; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(7, 1).status());
  return scalar_shape(c);
}

absl::Status tf_record_v2_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_most(3, 1).status());
  return scalar_shape(c);
}

}  // namespace

void register_dataset_sources(Registry& registry) {
  registry.op("RangeDataset")
      .input("start: int64")
      .input("stop: int64")
      .input("step: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .attr("replicate_on_split: bool = false")
      .stateful()
      .shape(dataset_shape)
      .cpu<DatasetKernel<make_range>>()
      .not_differentiable()
      .doc("start, start + step, ... up to stop.");
  registry.op("TensorDataset")
      .input("components: Toutput_types")
      .output("handle: variant")
      .attr("Toutput_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(dataset_shape)
      .cpu<DatasetKernel<make_one_tensor>>()
      .not_differentiable()
      .doc("One element: the components.");
  registry.op("TensorSliceDataset")
      .input("components: Toutput_types")
      .output("handle: variant")
      .attr("Toutput_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("is_files: bool = false")
      .attr("metadata: string = ''")
      .attr("replicate_on_split: bool = false")
      .stateful()
      .shape(dataset_shape)
      .cpu<DatasetKernel<make_tensor_slice>>()
      .not_differentiable()
      .doc("The rows of the components, one element each.");
  registry.op("SparseTensorSliceDataset")
      .input("indices: int64")
      .input("values: Tvalues")
      .input("dense_shape: int64")
      .output("handle: variant")
      .attr("Tvalues: type")
      .stateful()
      .shape(sparse_slice_shape)
      .cpu<DatasetKernel<make_sparse_tensor_slice>>()
      .not_differentiable()
      .doc("The rows of a sparse tensor, each a sparse tensor.");
  registry.op("TFRecordDataset")
      .input("filenames: string")
      .input("compression_type: string")
      .input("buffer_size: int64")
      .output("handle: variant")
      .attr("metadata: string = ''")
      .stateful()
      .shape(files_shape)
      .cpu<DatasetKernel<make_tf_record>>()
      .not_differentiable()
      .doc("The records of TFRecord files.");
  registry.op("TFRecordDatasetV2")
      .input("filenames: string")
      .input("compression_type: string")
      .input("buffer_size: int64")
      .input("byte_offsets: int64")
      .output("handle: variant")
      .attr("metadata: string = ''")
      .stateful()
      .shape(tf_record_v2_shape)
      .cpu<DatasetKernel<make_tf_record_v2>>()
      .not_differentiable()
      .doc("The records of TFRecord files, from given offsets.");
  registry.op("TextLineDataset")
      .input("filenames: string")
      .input("compression_type: string")
      .input("buffer_size: int64")
      .output("handle: variant")
      .attr("metadata: string = ''")
      .stateful()
      .shape(files_shape)
      .cpu<DatasetKernel<make_text_line>>()
      .not_differentiable()
      .doc("The lines of text files.");
  registry.op("FixedLengthRecordDataset")
      .input("filenames: string")
      .input("header_bytes: int64")
      .input("record_bytes: int64")
      .input("footer_bytes: int64")
      .input("buffer_size: int64")
      .output("handle: variant")
      .attr("metadata: string = ''")
      .stateful()
      .shape(files_shape)
      .cpu<DatasetKernel<make_fixed_length>>()
      .not_differentiable()
      .doc("Records of equal length.");
  registry.op("FixedLengthRecordDatasetV2")
      .input("filenames: string")
      .input("header_bytes: int64")
      .input("record_bytes: int64")
      .input("footer_bytes: int64")
      .input("buffer_size: int64")
      .input("compression_type: string")
      .output("handle: variant")
      .attr("metadata: string = ''")
      .stateful()
      .shape(files_shape)
      .cpu<DatasetKernel<make_fixed_length_v2>>()
      .not_differentiable()
      .doc("Records of equal length, of files that may be compressed.");
  registry.op("RandomDataset")
      .input("seed: int64")
      .input("seed2: int64")
      .output("handle: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(dataset_shape)
      .cpu<DatasetKernel<make_random>>()
      .not_differentiable()
      .doc("Random integers below 2^32.");
  registry.op("RandomDatasetV2")
      .input("seed: int64")
      .input("seed2: int64")
      .input("seed_generator: resource")
      .output("handle: variant")
      .attr("rerandomize_each_iteration: bool = false")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("metadata: string = ''")
      .stateful()
      .shape(dataset_shape)
      .cpu<DatasetKernel<make_random>>()
      .not_differentiable()
      .doc("Random integers below 2^32.");
  registry.op("CSVDataset")
      .input("filenames: string")
      .input("compression_type: string")
      .input("buffer_size: int64")
      .input("header: bool")
      .input("field_delim: string")
      .input("use_quote_delim: bool")
      .input("na_value: string")
      .input("select_cols: int64")
      .input("record_defaults: output_types")
      .output("handle: variant")
      .attr("output_types: list({float, double, int32, int64, string}) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(csv_shape)
      .cpu<DatasetKernel<make_csv>>()
      .not_differentiable()
      .doc("The records of files of comma-separated values.");
  registry.op("CSVDatasetV2")
      .input("filenames: string")
      .input("compression_type: string")
      .input("buffer_size: int64")
      .input("header: bool")
      .input("field_delim: string")
      .input("use_quote_delim: bool")
      .input("na_value: string")
      .input("select_cols: int64")
      .input("record_defaults: output_types")
      .input("exclude_cols: int64")
      .output("handle: variant")
      .attr("output_types: list({float, double, int32, int64, string}) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(csv_shape)
      .cpu<DatasetKernel<make_csv>>()
      .not_differentiable()
      .doc("The records of files of comma-separated values.");
}

}  // namespace millrace
