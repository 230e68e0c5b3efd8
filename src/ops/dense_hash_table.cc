// MutableDenseHashTable: open addressing with quadratic probing. Keys hash as in TensorFlow, so that exported buckets
// stand in the same order.

#include <mutex>

#include "base/fingerprint.h"
#include "data/rows.h"
#include "ops/lookup_table.h"

namespace millrace {
namespace {

// Rows of `width` keys each.
struct Keys {
  const Tensor& tensor;
  int64_t width;
};

template <class K> bool equal_rows(const Keys& a, int64_t i, const Keys& b, int64_t j) {
  const auto x = a.tensor.unchecked<K>(), y = b.tensor.unchecked<K>();
  return std::equal(x.begin() + i * a.width, x.begin() + (i + 1) * a.width, y.begin() + j * b.width);
}

uint64_t hash_scalar(const std::string& key) { return hash64(key); }
uint64_t hash_scalar(int32_t key) { return static_cast<uint64_t>(int64_t{key}); }
uint64_t hash_scalar(int64_t key) { return static_cast<uint64_t>(key); }

template <class K> uint64_t hash_row(const Keys& keys, int64_t i) {
  const auto row =
      keys.tensor.unchecked<K>().subspan(static_cast<size_t>(i * keys.width), static_cast<size_t>(keys.width));
  if (row.size() == 1) return hash_scalar(row[0]);
  uint64_t hash = 0;
  for (const K& key : row) hash ^= hash_scalar(key) + 0x9e3779b97f4a7800u + (hash << 10) + (hash >> 4);
  return hash;
}

absl::StatusOr<TensorShape> at_least_vector(const TensorShape& shape) {
  if (shape.rank() > 0) return shape;
  return make_shape({1});
}

template <class K> class DenseHashTable final : public LookupTable {
 public:
  explicit DenseHashTable(const DenseTableOptions& options)
      : LookupTable({options.empty_key.dtype(), options.value, options.empty_key.shape(), options.value_shape}),
        empty_key_(options.empty_key),
        deleted_key_(options.deleted_key),
        max_load_factor_(options.max_load_factor),
        key_size_(options.empty_key.num_elements()),
        value_size_(options.value_shape.num_elements()) {}

  std::string description() const override {
    return str_cat("MutableDenseHashTable of ", dtype_name(type().key), " to ", dtype_name(type().value));
  }

  absl::Status allocate(int64_t num_buckets) {
    if (num_buckets < 4 || (num_buckets & (num_buckets - 1)) != 0)
      return invalid_argument("Number of buckets must be at least 4 and a power of 2, got: ", num_buckets);
    MR_ASSIGN_OR_RETURN(const TensorShape keys_shape, make_shape({num_buckets, key_size_}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({num_buckets, value_size_}));
    MR_ASSIGN_OR_RETURN(Tensor keys, make_tensor(type().key, keys_shape));
    MR_ASSIGN_OR_RETURN(Tensor values, make_zeroed_tensor(type().value, values_shape));
    for (int64_t i = 0; i < num_buckets; ++i) copy_values(empty_key_, 0, keys, i * key_size_, key_size_);
    keys_ = std::move(keys);
    values_ = std::move(values);
    num_buckets_ = num_buckets;
    num_entries_ = num_used_ = 0;
    return absl::OkStatus();
  }

  int64_t size() const override {
    const std::lock_guard lock(mutex_);
    return num_entries_;
  }

  absl::StatusOr<Tensor> find(const Tensor& keys, const Tensor& default_value) const override {
    MR_RETURN_IF_ERROR(check_default(keys.shape(), default_value.shape()));
    MR_RETURN_IF_ERROR(check_rows(keys.shape()));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, values_shape(keys.shape()));
    MR_ASSIGN_OR_RETURN(Tensor out, make_tensor(type().value, shape));
    const bool per_key = default_value.shape() != type().value_shape;
    const std::lock_guard lock(mutex_);
    for (int64_t i = 0; i < num_rows(keys.shape()); ++i) {
      MR_ASSIGN_OR_RETURN(const Place place, locate({keys, key_size_}, i));
      if (place.found) copy_values(values_, place.bucket * value_size_, out, i * value_size_, value_size_);
      else copy_values(default_value, per_key ? i * value_size_ : 0, out, i * value_size_, value_size_);
    }
    return out;
  }

  absl::Status insert(const Tensor& keys, const Tensor& values) override {
    MR_RETURN_IF_ERROR(check_values(keys.shape(), values.shape()));
    MR_RETURN_IF_ERROR(check_rows(keys.shape()));
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(make_room(num_rows(keys.shape())));
    return put_rows({keys, key_size_}, values, num_rows(keys.shape()));
  }

  absl::Status remove(const Tensor& keys) override {
    MR_RETURN_IF_ERROR(check_keys(keys.shape()));
    MR_RETURN_IF_ERROR(check_rows(keys.shape()));
    if (!deleted_key_.has_value()) return unimplemented("Remove needs a table with a deleted_key");
    const std::lock_guard lock(mutex_);
    for (int64_t i = 0; i < num_rows(keys.shape()); ++i) {
      MR_ASSIGN_OR_RETURN(const Place place, locate({keys, key_size_}, i));
      if (!place.found) continue;
      MR_RETURN_IF_ERROR(own_buckets());
      copy_values(deleted_key_, 0, keys_, place.bucket * key_size_, key_size_);
      --num_entries_;
    }
    return absl::OkStatus();
  }

  // Takes buckets as export_values gave them; other numbers of them are put in again one by one.
  absl::Status import_values(const Tensor& keys, const Tensor& values) override {
    MR_RETURN_IF_ERROR(check_import(keys.shape(), values.shape()));
    const int64_t n = keys.dim(0);
    const Keys rows{keys, key_size_};
    const std::lock_guard lock(mutex_);
    if (n < 4 || (n & (n - 1)) != 0) {
      MR_RETURN_IF_ERROR(allocate(4));
      MR_RETURN_IF_ERROR(make_room(n));
      return put_rows(rows, values, n, true);
    }
    MR_RETURN_IF_ERROR(allocate(n));
    MR_ASSIGN_OR_RETURN(keys_, reshaped(keys, keys_.shape()));
    MR_ASSIGN_OR_RETURN(values_, reshaped(values, values_.shape()));
    for (int64_t i = 0; i < n; ++i) {
      num_used_ += is_empty(rows, i) ? 0 : 1;
      num_entries_ += is_empty(rows, i) || is_deleted(rows, i) ? 0 : 1;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::pair<Tensor, Tensor>> export_values() const override {
    const std::lock_guard lock(mutex_);
    return std::pair(keys_, values_);  // shared: own_buckets copies before the next change
  }

 private:
  struct Place {
    int64_t bucket = -1;  // of the key, or where it would be put; -1: no room
    bool found = false;
  };

  static int64_t num_rows(const TensorShape& keys) { return keys.rank() == 0 ? 1 : keys.dim(0); }
  absl::Status check_rows(const TensorShape& keys) const {
    const int64_t n = num_rows(keys);
    if (keys.num_elements() == n * key_size_ && keys.rank() == type().key_shape.rank() + (keys.rank() == 0 ? 0 : 1))
      return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const TensorShape expected, insert_dim(type().key_shape, 0, n));
    return invalid_argument("Expected key shape ", expected, " got ", keys);
  }
  absl::Status check_import(const TensorShape& keys, const TensorShape& values) const {
    MR_RETURN_IF_ERROR(check_keys(keys));
    MR_ASSIGN_OR_RETURN(const TensorShape key_shape, at_least_vector(type().key_shape));
    MR_ASSIGN_OR_RETURN(const TensorShape value_shape, at_least_vector(type().value_shape));
    const int outer = std::max(0, keys.rank() - key_shape.rank());
    MR_ASSIGN_OR_RETURN(const TensorShape expected, concatenate(subshape(keys, 0, outer), value_shape));
    if (values != expected) return invalid_argument("Expected shape ", expected, " for value, got ", values);
    MR_ASSIGN_OR_RETURN(const TensorShape rows, insert_dim(key_shape, 0, keys.rank() > 0 ? keys.dim(0) : 0));
    if (keys != rows) return invalid_argument("Expected key shape ", rows, " got ", keys);
    return absl::OkStatus();
  }

  bool is_empty(const Keys& keys, int64_t i) const { return equal_rows<K>(keys, i, {empty_key_, key_size_}, 0); }
  bool is_deleted(const Keys& keys, int64_t i) const {
    return deleted_key_.has_value() && equal_rows<K>(keys, i, {deleted_key_, key_size_}, 0);
  }

  absl::StatusOr<Place> locate(const Keys& keys, int64_t i) const {
    if (is_empty(keys, i)) return invalid_argument("Using the empty_key as a table key is not allowed");
    if (is_deleted(keys, i)) return invalid_argument("Using the deleted_key as a table key is not allowed");
    const Keys buckets{keys_, key_size_};
    const auto mask = static_cast<uint64_t>(num_buckets_ - 1);
    uint64_t bucket = hash_row<K>(keys, i) & mask;
    for (int64_t probes = 1; probes <= num_buckets_; ++probes) {
      const auto at = static_cast<int64_t>(bucket);
      if (equal_rows<K>(buckets, at, keys, i)) return Place{at, true};
      if (is_empty(buckets, at)) return Place{at, false};
      bucket = (bucket + static_cast<uint64_t>(probes)) & mask;
    }
    return Place{};  // no bucket is empty: only deleted and other keys
  }

  absl::Status put_rows(const Keys& keys, const Tensor& values, int64_t n, bool skip_unused = false) {
    MR_RETURN_IF_ERROR(own_buckets());
    for (int64_t i = 0; i < n; ++i) {
      if (skip_unused && (is_empty(keys, i) || is_deleted(keys, i))) continue;
      MR_ASSIGN_OR_RETURN(const Place place, locate(keys, i));
      if (place.bucket < 0) return resource_exhausted("MutableDenseHashTable has no empty bucket");
      if (!place.found) {
        ++num_entries_;
        ++num_used_;
        copy_values(keys.tensor, i * key_size_, keys_, place.bucket * key_size_, key_size_);
      }
      copy_values(values, i * value_size_, values_, place.bucket * value_size_, value_size_);
    }
    return absl::OkStatus();
  }

  // Room for so many more entries: as if none of them were there, as TensorFlow counts, and with empty buckets left
  // after deleted ones.
  absl::Status make_room(int64_t more) {
    const auto entries = static_cast<double>(num_entries_) + static_cast<double>(more);
    int64_t buckets = num_buckets_;
    while (entries > static_cast<double>(buckets) * static_cast<double>(max_load_factor_)) {
      if (buckets > (int64_t{1} << 40)) return resource_exhausted("MutableDenseHashTable: too many entries");
      buckets *= 2;
    }
    if (buckets == num_buckets_ && num_buckets_ - num_used_ > more) return absl::OkStatus();
    const Tensor keys = keys_, values = values_;
    const int64_t before = num_buckets_;
    MR_RETURN_IF_ERROR(allocate(buckets));
    return put_rows({keys, key_size_}, values, before, true);
  }

  absl::Status own_buckets() {
    if (keys_.num_elements() > 0 && !keys_.owns_buffer_alone()) {
      MR_ASSIGN_OR_RETURN(keys_, deep_copy(keys_));
    }
    if (values_.num_elements() > 0 && !values_.owns_buffer_alone()) {
      MR_ASSIGN_OR_RETURN(values_, deep_copy(values_));
    }
    return absl::OkStatus();
  }

  const Tensor empty_key_, deleted_key_;
  const float max_load_factor_;
  const int64_t key_size_, value_size_;
  mutable std::mutex mutex_;  // guards what follows
  int64_t num_buckets_ = 0, num_entries_ = 0;
  int64_t num_used_ = 0;  // buckets of entries and of deleted keys
  Tensor keys_, values_;  // [num_buckets, size]
};

template <class K> absl::StatusOr<std::shared_ptr<LookupTable>> make_dense(const DenseTableOptions& options) {
  if (options.deleted_key.has_value() && equal_rows<K>({options.empty_key, options.empty_key.num_elements()}, 0,
                                                       {options.deleted_key, options.deleted_key.num_elements()}, 0))
    return invalid_argument("Empty and deleted keys cannot be equal");
  auto table = std::make_shared<DenseHashTable<K>>(options);
  MR_RETURN_IF_ERROR(table->allocate(options.initial_num_buckets));
  return std::shared_ptr<LookupTable>(std::move(table));
}

}  // namespace

absl::StatusOr<std::shared_ptr<LookupTable>> make_dense_hash_table(const DenseTableOptions& options) {
  const float load = options.max_load_factor;
  if (!(load > 0 && load < 1)) return invalid_argument("max_load_factor must be between 0 and 1, got: ", load);
  if (options.value_shape.rank() > 1)
    return invalid_argument("Empty value must be a scalar or a vector, got shape ", options.value_shape);
  if (options.empty_key.rank() > 1 || options.empty_key.num_elements() == 0)
    return invalid_argument("Empty key must be a scalar or a vector, got shape ", options.empty_key.shape());
  if (options.deleted_key.has_value() && (options.deleted_key.shape() != options.empty_key.shape() ||
                                          options.deleted_key.dtype() != options.empty_key.dtype()))
    return invalid_argument("Empty and deleted keys must have same shape, got shapes: ", options.empty_key.shape(),
                            " and ", options.deleted_key.shape());
  switch (options.empty_key.dtype()) {
    case DataType::kInt32: return make_dense<int32_t>(options);
    case DataType::kInt64: return make_dense<int64_t>(options);
    case DataType::kString: return make_dense<std::string>(options);
    default: return unimplemented("MutableDenseHashTable has no keys of type ", dtype_name(options.empty_key.dtype()));
  }
}

}  // namespace millrace
