#pragma once
// Input pipelines: tf.data. A Dataset is a recipe; an Iterator gives its elements, one per run.
//
//   auto data = tf::data::TFRecordDataset("train.tfrecord").map(parse, {.num_parallel_calls = 2})
//                   .shuffle(2000, {.seed = 1}).batch(64).repeat().prefetch(2);
//   auto [image, label] = data.make_one_shot_iterator().get_next<2>();
//
// An element is a list of tensors ("components"). Functions given to map and its like are called once, to build a
// function of the graph; their nodes are not nodes of the graph itself. They may use tensors from outside: those are
// evaluated when the iterator is made.

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "millrace/framework.h"

namespace millrace::data {

#pragma GCC visibility push(default)

// The dtypes and shapes of an element's components.
struct ElementSpec {
  std::vector<DataType> types;
  std::vector<PartialTensorShape> shapes;
};

// A function from the components of an element to others. Any callable of as many outputs as there are components, or
// of one vector of them, that returns an Output or a vector of them.
using ElementFunction = std::function<std::vector<Output>(const std::vector<Output>&)>;

namespace internal {
inline std::vector<Output> as_list(Output output) { return {output}; }
inline std::vector<Output> as_list(std::vector<Output> outputs) { return outputs; }
template <class F, class... Args>
concept Calls = std::is_invocable_v<F, Args...>;
void check_arity(size_t wanted, size_t got);
template <class F> ElementFunction adapt(F f) {
  using O = const Output&;
  if constexpr (Calls<F, const std::vector<Output>&> && !Calls<F, O>) {
    return [f](const std::vector<Output>& x) { return as_list(f(x)); };
  } else if constexpr (Calls<F, O>) {
    return [f](const std::vector<Output>& x) {
      check_arity(1, x.size());
      return as_list(f(x[0]));
    };
  } else if constexpr (Calls<F, O, O>) {
    return [f](const std::vector<Output>& x) {
      check_arity(2, x.size());
      return as_list(f(x[0], x[1]));
    };
  } else if constexpr (Calls<F, O, O, O>) {
    return [f](const std::vector<Output>& x) {
      check_arity(3, x.size());
      return as_list(f(x[0], x[1], x[2]));
    };
  } else {
    static_assert(Calls<F, O, O, O, O>, "a function of a dataset takes one to four outputs, or a vector of them");
    return [f](const std::vector<Output>& x) {
      check_arity(4, x.size());
      return as_list(f(x[0], x[1], x[2], x[3]));
    };
  }
}
}  // namespace internal

struct MapOptions {
  std::optional<int64_t> num_parallel_calls = {};  // one after the other; AUTOTUNE
  std::optional<bool> deterministic = {};          // the order of the input, by default
};
inline constexpr int64_t AUTOTUNE = -1;
struct ShuffleOptions {
  std::optional<int64_t> seed = {};
  bool reshuffle_each_iteration = true;
};
struct BatchOptions {
  bool drop_remainder = false;
};

class Iterator;

// A handle to a node of the graph. Each transformation makes a further dataset.
class Dataset {
 public:
  Dataset(const Output& variant, ElementSpec spec) : variant_(variant), spec_(std::move(spec)) {}
  const Output& variant_tensor() const { return variant_; }
  const ElementSpec& element_spec() const { return spec_; }

  static Dataset range(int64_t stop);
  static Dataset range(int64_t start, int64_t stop, int64_t step = 1);
  static Dataset from_tensors(const std::vector<Input>& components);        // one element
  static Dataset from_tensor_slices(const std::vector<Input>& components);  // one per row of each
  static Dataset zip(const std::vector<Dataset>& datasets);

  template <class F> Dataset map(F function, const MapOptions& options = {}) const {
    return map_elements(internal::adapt(std::move(function)), options);
  }
  template <class F> Dataset filter(F predicate) const {
    return filter_elements(internal::adapt(std::move(predicate)));
  }
  Dataset flat_map(const std::function<Dataset(const std::vector<Output>&)>& function) const;
  Dataset shuffle(const Input& buffer_size, const ShuffleOptions& options = {}) const;
  Dataset repeat(const Input& count = -1) const;
  Dataset batch(const Input& batch_size, const BatchOptions& options = {}) const;
  Dataset prefetch(const Input& buffer_size) const;
  Dataset take(const Input& count) const;
  Dataset skip(const Input& count) const;
  Dataset concatenate(const Dataset& other) const;

  // Starts by itself at the first get_next. The pipeline may not depend on variables or placeholders.
  Iterator make_one_shot_iterator() const;
  struct InitializableOptions {
    std::string shared_name = {};
  };
  Iterator make_initializable_iterator(const InitializableOptions& options) const;
  Iterator make_initializable_iterator() const;

 private:
  Dataset map_elements(const ElementFunction& function, const MapOptions& options) const;
  Dataset filter_elements(const ElementFunction& predicate) const;
  Output variant_;
  ElementSpec spec_;
};

class Iterator {
 public:
  Iterator(const Output& resource, Operation initializer, ElementSpec spec, const Output& string_handle)
      : resource_(resource), initializer_(initializer), spec_(std::move(spec)), string_handle_(string_handle) {}
  // The components of the next element; OutOfRangeError while running once there are no more. Call it once, outside of
  // loops.
  std::vector<Output> get_next(const NameOptions& options = {}) const;
  template <size_t N> std::array<Output, N> get_next(const NameOptions& options = {}) const {
    const std::vector<Output> all = get_next(options);
    check_components(N, all.size());
    std::array<Output, N> result;
    std::copy(all.begin(), all.end(), result.begin());
    return result;
  }
  // Run it before get_next, and again to start anew. Absent for one-shot iterators.
  const Operation& initializer() const { return initializer_; }
  const Output& string_handle() const { return string_handle_; }  // to feed to a feedable iterator
  const Output& resource() const { return resource_; }
  const ElementSpec& element_spec() const { return spec_; }

  // An iterator that several datasets of one structure can initialize.
  static Iterator from_structure(const ElementSpec& spec, const std::string& shared_name = {});
  Operation make_initializer(const Dataset& dataset, const NameOptions& options = {}) const;
  // An iterator that a string handle chooses at each run.
  static Iterator from_string_handle(const Input& string_handle, const ElementSpec& spec);

 private:
  static void check_components(size_t wanted, size_t got);
  Output resource_;
  Operation initializer_;
  ElementSpec spec_;
  Output string_handle_;
};

struct TFRecordOptions {
  std::string compression_type = {};  // "", "ZLIB" or "GZIP"
  std::optional<int64_t> buffer_size = {};
};
// The records of files, one string each; files one after the other.
Dataset TFRecordDataset(const Input& filenames, const TFRecordOptions& options = {});

struct FixedLengthRecordOptions {
  int64_t header_bytes = 0;  // skipped at the start of each file
  int64_t footer_bytes = 0;  // and at its end
  std::optional<int64_t> buffer_size = {};
  std::string compression_type = {};  // "", "ZLIB" or "GZIP"
};
// The records of files that are nothing but records of `record_bytes` bytes, one string each.
Dataset FixedLengthRecordDataset(const Input& filenames, int64_t record_bytes,
                                 const FixedLengthRecordOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::data
