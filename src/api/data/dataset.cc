#include <algorithm>

#include "api/data/dataset_function.h"
#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/data.h"
#include "millrace/math_ops.h"
#include "tensor/shape.h"

namespace millrace::data {
namespace {

AttrMap spec_attrs(const ElementSpec& spec) { return {{"output_types", spec.types}, {"output_shapes", spec.shapes}}; }

template <class... Pairs> AttrMap with(AttrMap attrs, const Pairs&... more) {
  (attrs.insert_or_assign(more.first, more.second), ...);
  return attrs;
}

std::pair<std::string, AttrValue> attr(const char* name, AttrValue value) { return {name, std::move(value)}; }

Output int64_tensor(const Input& value, std::string_view name) { return convert_to_tensor(value, int64, name); }

// The first dimension goes.
PartialTensorShape row_shape(const PartialTensorShape& shape) {
  if (!shape.has_rank()) return shape;
  if (shape.rank() == 0) raise(invalid_argument("from_tensor_slices: a scalar has no rows"));
  return PartialTensorShape(shape.dims().subspan(1));
}

ElementSpec batched(const ElementSpec& spec, int64_t batch_size) {
  ElementSpec result = spec;
  for (PartialTensorShape& shape : result.shapes)
    shape = value_or_raise(millrace::concatenate(PartialTensorShape({batch_size}), shape));
  return result;
}

// What two datasets have in common.
ElementSpec common(const ElementSpec& a, const ElementSpec& b) {
  if (a.types != b.types) raise(invalid_argument("concatenate: the datasets' element types differ"));
  ElementSpec result = a;
  for (size_t i = 0; i < a.shapes.size(); ++i) {
    const PartialTensorShape &x = a.shapes[i], &y = b.shapes[i];
    if (!x.has_rank() || !y.has_rank() || x.rank() != y.rank()) {
      result.shapes[i] = PartialTensorShape();
      continue;
    }
    std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
    for (int d = 0; d < x.rank(); ++d) {
      if (x.dim(d) != y.dim(d)) dims[static_cast<size_t>(d)] = -1;
    }
    result.shapes[i] = PartialTensorShape(std::span<const int64_t>(dims));
  }
  return result;
}

struct Seeds {
  Output seed;
  Output seed2;
};

// The seeds of a dataset op: both zero would mean "any", so that becomes another fixed pair.
Seeds dataset_seeds(std::optional<int64_t> op_seed) {
  const SeedPair pair = get_seed(op_seed);
  Seeds s;
  s.seed = constant(pair.seed.value_or(0), {.dtype = int64, .name = "seed"});
  if (!pair.seed2) {
    s.seed2 = constant(0, {.dtype = int64, .name = "seed2"});
    return s;
  }
  const name_scope scope("seed2");
  const Output given = constant(*pair.seed2, {.dtype = int64});
  const Output first_is_zero = equal(s.seed, 0);
  const Output both_zero = logical_and(first_is_zero, equal(given, 0));
  const Output other = constant(int64_t{2147483647}, {.dtype = int64});
  s.seed2 = where_v2(both_zero, other, given, {.name = scope.name()});
  return s;
}

}  // namespace

namespace internal {
void check_arity(size_t wanted, size_t got) {
  if (wanted != got)
    raise(invalid_argument("the dataset's elements have ", got, " components, the function given takes ", wanted));
}
}  // namespace internal

Dataset Dataset::range(int64_t stop) { return range(0, stop); }

Dataset Dataset::range(int64_t start, int64_t stop, int64_t step) {
  const ElementSpec spec{{int64}, {PartialTensorShape::scalar()}};
  const Output from = int64_tensor(start, "start"), to = int64_tensor(stop, "stop"), by = int64_tensor(step, "step");
  return {create_output("RangeDataset", {from, to, by}, spec_attrs(spec)), spec};
}

Dataset Dataset::from_tensors(const std::vector<Input>& components) {
  ElementSpec spec;
  std::vector<Output> tensors;
  for (size_t i = 0; i < components.size(); ++i) {
    tensors.push_back(convert_to_tensor(components[i], DataType::kInvalid, "tensors/component_" + std::to_string(i)));
    spec.types.push_back(base_dtype(tensors.back().dtype()));
    spec.shapes.push_back(tensors.back().shape());
  }
  return {create_output("TensorDataset", {tensors}, {{"Toutput_types", spec.types}, {"output_shapes", spec.shapes}}),
          spec};
}

Dataset Dataset::from_tensor_slices(const std::vector<Input>& components) {
  ElementSpec spec;
  std::vector<Output> tensors;
  for (size_t i = 0; i < components.size(); ++i) {
    tensors.push_back(convert_to_tensor(components[i], DataType::kInvalid, "tensors/component_" + std::to_string(i)));
    spec.types.push_back(base_dtype(tensors.back().dtype()));
    spec.shapes.push_back(row_shape(tensors.back().shape()));
  }
  return {
      create_output("TensorSliceDataset", {tensors}, {{"Toutput_types", spec.types}, {"output_shapes", spec.shapes}}),
      spec};
}

Dataset Dataset::zip(const std::vector<Dataset>& datasets) {
  ElementSpec spec;
  std::vector<Output> variants;
  for (const Dataset& d : datasets) {
    variants.push_back(d.variant_);
    spec.types.insert(spec.types.end(), d.spec_.types.begin(), d.spec_.types.end());
    spec.shapes.insert(spec.shapes.end(), d.spec_.shapes.begin(), d.spec_.shapes.end());
  }
  return {create_output("ZipDataset", {variants}, spec_attrs(spec)), spec};
}

Dataset Dataset::map_elements(const ElementFunction& function, const MapOptions& o) const {
  const DatasetFunction f = make_dataset_function("map", spec_, function);
  const AttrMap attrs = with(spec_attrs(f.results), attr("f", f.ref), attr("Targuments", f.captured_types));
  if (!o.num_parallel_calls) {
    return {create_output("MapDataset", {variant_, f.captured}, with(attrs, attr("preserve_cardinality", false))),
            f.results};
  }
  const Output calls = int64_tensor(*o.num_parallel_calls, "num_parallel_calls");
  const char* deterministic = !o.deterministic ? "default" : *o.deterministic ? "true" : "false";
  return {create_output("ParallelMapDatasetV2", {variant_, f.captured, calls},
                        with(attrs, attr("deterministic", deterministic), attr("preserve_cardinality", false))),
          f.results};
}

Dataset Dataset::filter_elements(const ElementFunction& predicate) const {
  const DatasetFunction f = make_dataset_function("filter", spec_, predicate);
  if (f.results.types != std::vector<DataType>{bool_} ||
      !f.results.shapes[0].is_compatible_with(PartialTensorShape::scalar())) {
    raise(invalid_argument("filter: the predicate must return a scalar bool"));
  }
  return {create_output("FilterDataset", {variant_, f.captured},
                        with(spec_attrs(spec_), attr("predicate", f.ref), attr("Targuments", f.captured_types))),
          spec_};
}

Dataset Dataset::flat_map(const std::function<Dataset(const std::vector<Output>&)>& function) const {
  ElementSpec inner;
  const DatasetFunction f = make_dataset_function("flat_map", spec_, [&](const std::vector<Output>& args) {
    const Dataset dataset = function(args);
    inner = dataset.spec_;
    return std::vector<Output>{dataset.variant_};
  });
  return {create_output("FlatMapDataset", {variant_, f.captured},
                        with(spec_attrs(inner), attr("f", f.ref), attr("Targuments", f.captured_types))),
          inner};
}

Dataset Dataset::shuffle(const Input& buffer_size, const ShuffleOptions& o) const {
  const SourceScope source(buffer_size);
  const Output size = int64_tensor(buffer_size, "buffer_size");
  const Seeds seeds = dataset_seeds(o.seed);
  return {create_output("ShuffleDataset", {variant_, size, seeds.seed, seeds.seed2},
                        with(spec_attrs(spec_), attr("reshuffle_each_iteration", o.reshuffle_each_iteration))),
          spec_};
}

Dataset Dataset::repeat(const Input& count) const {
  const SourceScope source(count);
  return {create_output("RepeatDataset", {variant_, int64_tensor(count, "count")}, spec_attrs(spec_)), spec_};
}

Dataset Dataset::batch(const Input& batch_size, const BatchOptions& o) const {
  const SourceScope source(batch_size);
  const Output size = int64_tensor(batch_size, "batch_size");
  const Output drop = constant(o.drop_remainder, {.dtype = bool_, .name = "drop_remainder"});
  int64_t known = -1;
  if (o.drop_remainder) {
    if (const std::optional<Tensor> value = get_static_value(size)) known = value->scalar<int64_t>();
  }
  const ElementSpec spec = batched(spec_, known);
  return {create_output("BatchDatasetV2", {variant_, size, drop}, spec_attrs(spec)), spec};
}

Dataset Dataset::prefetch(const Input& buffer_size) const {
  const SourceScope source(buffer_size);
  const Output size = int64_tensor(buffer_size, "buffer_size");
  const colocate_with colocated(variant_);
  return {create_output("PrefetchDataset", {variant_, size},
                        with(spec_attrs(spec_), attr("slack_period", 0), attr("legacy_autotune", false),
                             attr("buffer_size_min", 0))),
          spec_};
}

Dataset Dataset::take(const Input& count) const {
  const SourceScope source(count);
  return {create_output("TakeDataset", {variant_, int64_tensor(count, "count")}, spec_attrs(spec_)), spec_};
}

Dataset Dataset::skip(const Input& count) const {
  const SourceScope source(count);
  return {create_output("SkipDataset", {variant_, int64_tensor(count, "count")}, spec_attrs(spec_)), spec_};
}

Dataset Dataset::concatenate(const Dataset& other) const {
  const ElementSpec spec = common(spec_, other.spec_);
  return {create_output("ConcatenateDataset", {variant_, other.variant_}, spec_attrs(spec)), spec};
}

namespace {

const ElementSpec& one_string() {
  static const ElementSpec spec{{string}, {PartialTensorShape::scalar()}};
  return spec;
}

// What `read_file` makes of each file, one after the other.
Dataset read_files(const Input& filenames, const std::function<Output(const Output& filename)>& read_file) {
  const Output names = convert_to_tensor(filenames, string);
  const Output flat = reshape(names, std::vector<int32_t>{-1}, {.name = "flat_filenames"});
  const ElementSpec& spec = one_string();
  const Dataset files(
      create_output("TensorSliceDataset", {std::vector<Output>{flat}},
                    {{"Toutput_types", spec.types}, {"output_shapes", spec.shapes}, {"is_files", true}}),
      spec);
  return files.flat_map([&](const std::vector<Output>& args) { return Dataset(read_file(args[0]), spec); });
}

}  // namespace

Dataset TFRecordDataset(const Input& filenames, const TFRecordOptions& o) {
  const SourceScope source(filenames);
  return read_files(filenames, [&](const Output& filename) {
    const Output compression = constant(o.compression_type, {.name = "compression_type"});
    const Output buffer = constant(o.buffer_size.value_or(-1), {.dtype = int64, .name = "buffer_size"});
    return create_output("TFRecordDataset", {filename, compression, buffer});
  });
}

Dataset FixedLengthRecordDataset(const Input& filenames, int64_t record_bytes, const FixedLengthRecordOptions& o) {
  const SourceScope source(filenames);
  return read_files(filenames, [&](const Output& filename) {
    const auto number = [](int64_t value, std::string_view name) {
      return constant(value, {.dtype = int64, .name = name});
    };
    const Output record = number(record_bytes, "record_bytes");
    const Output header = number(o.header_bytes, "header_bytes");
    const Output footer = number(o.footer_bytes, "footer_bytes");
    const Output buffer = number(o.buffer_size.value_or(256 << 10), "buffer_size");
    const Output compression = constant(o.compression_type, {.name = "compression_type"});
    return create_output("FixedLengthRecordDatasetV2", {filename, header, record, footer, buffer, compression});
  });
}

// --- iterators

namespace {

Iterator iterator_of(const Output& resource, const Operation& initializer, const ElementSpec& spec) {
  const colocate_with colocated(resource);
  add_to_collection("iterators", resource);
  return Iterator(resource, initializer, spec, create_output("IteratorToStringHandle", {resource}));
}

}  // namespace

Iterator Dataset::make_one_shot_iterator() const {
  get_seed(std::nullopt);  // TF1 draws a seed for the factory here; later random ops must count it
  const FunctionRef factory = make_dataset_factory(*this);
  const colocate_with colocated(variant_);
  const Output resource =
      create_output("OneShotIterator", {}, with(spec_attrs(spec_), attr("dataset_factory", factory)));
  return iterator_of(resource, {}, spec_);
}

Iterator Dataset::make_initializable_iterator() const { return make_initializable_iterator(InitializableOptions{}); }

Iterator Dataset::make_initializable_iterator(const InitializableOptions& o) const {
  const colocate_with colocated(variant_);
  const Output resource = create_output(
      "IteratorV2", {}, with(spec_attrs(spec_), attr("shared_name", o.shared_name), attr("container", "")));
  const Operation initializer = create_op("MakeIterator", {variant_, resource});
  return iterator_of(resource, initializer, spec_);
}

std::vector<Output> Iterator::get_next(const NameOptions& o) const {
  const colocate_with colocated(resource_);
  return outputs_of(create_op("IteratorGetNext", {resource_}, spec_attrs(spec_), o.name));
}

void Iterator::check_components(size_t wanted, size_t got) {
  if (wanted != got)
    raise(invalid_argument("get_next<", wanted, ">: the iterator's elements have ", got, " components"));
}

Iterator Iterator::from_structure(const ElementSpec& spec, const std::string& shared_name) {
  const Output resource =
      create_output("IteratorV2", {}, with(spec_attrs(spec), attr("shared_name", shared_name), attr("container", "")));
  return iterator_of(resource, {}, spec);
}

Operation Iterator::make_initializer(const Dataset& dataset, const NameOptions& o) const {
  if (dataset.element_spec().types != spec_.types)
    raise(invalid_argument("make_initializer: the dataset's types differ from the iterator's"));
  for (size_t i = 0; i < spec_.shapes.size(); ++i) {
    if (!dataset.element_spec().shapes[i].is_compatible_with(spec_.shapes[i])) {
      raise(invalid_argument("make_initializer: the dataset's component ", i, " has shape ",
                             dataset.element_spec().shapes[i], ", which does not fit the iterator's ",
                             spec_.shapes[i]));
    }
  }
  const colocate_with colocated(resource_);
  const name_scope scope(o.name.empty() ? "make_initializer" : o.name);
  return create_op("MakeIterator", {dataset.variant_tensor(), resource_}, {}, scope.name());
}

Iterator Iterator::from_string_handle(const Input& string_handle, const ElementSpec& spec) {
  const SourceScope source(string_handle);
  const Output handle = convert_to_tensor(string_handle, string);
  const Output resource = create_output("IteratorFromStringHandleV2", {handle}, spec_attrs(spec));
  return iterator_of(resource, {}, spec);
}

}  // namespace millrace::data
