#pragma once
// What HashTable, MutableHashTable, MutableHashTableOfTensors and MutableDenseHashTable lead to: values by key. Keys
// are int32, int64 or strings.

#include <memory>
#include <string>
#include <utility>

#include "op/resource.h"
#include "tensor/tensor.h"

namespace millrace {

// Thread-safe. Dtypes are the caller's to check (see check_table_types), shapes are checked here.
class LookupTable : public Resource {
 public:
  struct Type {
    DataType key = DataType::kInvalid, value = DataType::kInvalid;
    TensorShape key_shape, value_shape;  // of one key and of one value: scalars or vectors
  };
  explicit LookupTable(Type type) : type_(std::move(type)) {}
  const Type& type() const { return type_; }

  virtual int64_t size() const = 0;
  // The values of the keys; `default_value` (one value, or one per key) for those that are not there.
  virtual absl::StatusOr<Tensor> find(const Tensor& keys, const Tensor& default_value) const = 0;
  virtual absl::Status insert(const Tensor& keys, const Tensor& values) = 0;
  virtual absl::Status remove(const Tensor& keys) = 0;
  // In place of all that is there.
  virtual absl::Status import_values(const Tensor& keys, const Tensor& values) = 0;
  virtual absl::StatusOr<std::pair<Tensor, Tensor>> export_values() const = 0;
  virtual bool is_initializable() const { return false; }

 protected:
  // What find returns has this shape.
  absl::StatusOr<TensorShape> values_shape(const TensorShape& keys) const;
  absl::Status check_keys(const TensorShape& keys) const;
  absl::Status check_values(const TensorShape& keys, const TensorShape& values) const;
  absl::Status check_default(const TensorShape& keys, const TensorShape& default_value) const;

 private:
  const Type type_;
};

// Immutable once initialized (import_values does it); initializing it again with as many entries changes nothing.
std::shared_ptr<LookupTable> make_hash_table(DataType key, DataType value);
std::shared_ptr<LookupTable> make_mutable_hash_table(DataType key, DataType value, const TensorShape& value_shape);

// Open addressing over buckets that export_values shows as they are, as checkpoints of TensorFlow hold them.
struct DenseTableOptions {
  Tensor empty_key;
  Tensor deleted_key;  // no value: nothing can be removed
  DataType value = DataType::kInvalid;
  TensorShape value_shape;
  int64_t initial_num_buckets = 0;
  float max_load_factor = 0;
};
absl::StatusOr<std::shared_ptr<LookupTable>> make_dense_hash_table(const DenseTableOptions& options);

}  // namespace millrace
