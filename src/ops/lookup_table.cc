#include "ops/lookup_table.h"

#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "data/rows.h"

namespace millrace {

absl::Status LookupTable::check_keys(const TensorShape& keys) const {
  const int rank = type_.key_shape.rank();
  if (keys.rank() >= rank && subshape(keys, keys.rank() - rank, keys.rank()) == type_.key_shape)
    return absl::OkStatus();
  return invalid_argument("Input key shape ", keys, " must end with the table's key shape ", type_.key_shape);
}

absl::StatusOr<TensorShape> LookupTable::values_shape(const TensorShape& keys) const {
  return concatenate(subshape(keys, 0, keys.rank() - type_.key_shape.rank()), type_.value_shape);
}

absl::Status LookupTable::check_values(const TensorShape& keys, const TensorShape& values) const {
  MR_RETURN_IF_ERROR(check_keys(keys));
  MR_ASSIGN_OR_RETURN(const TensorShape expected, values_shape(keys));
  if (values == expected) return absl::OkStatus();
  return invalid_argument("Expected shape ", expected, " for value, got ", values);
}

absl::Status LookupTable::check_default(const TensorShape& keys, const TensorShape& default_value) const {
  MR_RETURN_IF_ERROR(check_keys(keys));
  MR_ASSIGN_OR_RETURN(const TensorShape full, values_shape(keys));
  if (default_value == type_.value_shape || default_value == full) return absl::OkStatus();
  return invalid_argument("Expected shape ", type_.value_shape, " or ", full, " for default value, got ",
                          default_value);
}

namespace {

// The bytes of key `i` of scalars.
absl::string_view key_bytes(const Tensor& keys, int64_t i) {
  if (keys.dtype() == DataType::kString) return keys.unchecked<std::string>()[static_cast<size_t>(i)];
  const size_t size = dtype_size(keys.dtype());
  return {static_cast<const char*>(keys.raw_data()) + static_cast<size_t>(i) * size, size};
}

// Element i as text, for messages.
std::string element_text(const Tensor& t, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (t.dtype()) {
    case DataType::kString: return t.unchecked<std::string>()[at];
    case DataType::kInt32: return str_cat(t.unchecked<int32_t>()[at]);
    case DataType::kInt64: return str_cat(t.unchecked<int64_t>()[at]);
    case DataType::kFloat: return str_cat(t.unchecked<float>()[at]);
    case DataType::kDouble: return str_cat(t.unchecked<double>()[at]);
    case DataType::kBool: return t.unchecked<bool>()[at] ? "1" : "0";
    default: return str_cat("of type ", dtype_name(t.dtype()));
  }
}

// Rows of keys and values with an index over the keys. Rows grow by doubling; a removed row is filled with the last.
class Rows {
 public:
  explicit Rows(const LookupTable::Type& type) : type_(type), width_(type.value_shape.num_elements()) {}
  int64_t size() const { return static_cast<int64_t>(index_.size()); }
  int64_t width() const { return width_; }
  const Tensor& values() const { return values_; }

  // The row of a key, -1 if there is none.
  int64_t row_of(const Tensor& keys, int64_t i) const {
    const auto found = index_.find(key_bytes(keys, i));
    return found == index_.end() ? -1 : found->second;
  }

  absl::Status put(const Tensor& keys, int64_t i, const Tensor& values) {
    int64_t row = row_of(keys, i);
    if (row < 0) {
      row = size();
      MR_RETURN_IF_ERROR(reserve(row + 1));
      copy_values(keys, i, keys_, row, 1);
      index_.emplace(std::string(key_bytes(keys, i)), row);
    }
    copy_values(values, i * width_, values_, row * width_, width_);
    return absl::OkStatus();
  }

  absl::Status erase(const Tensor& keys, int64_t i) {
    const auto found = index_.find(key_bytes(keys, i));
    if (found == index_.end()) return absl::OkStatus();
    const int64_t row = found->second, last = size() - 1;
    index_.erase(found);
    if (row == last) return absl::OkStatus();
    index_[std::string(key_bytes(keys_, last))] = row;
    copy_values(keys_, last, keys_, row, 1);
    copy_values(values_, last * width_, values_, row * width_, width_);
    return absl::OkStatus();
  }

  absl::StatusOr<std::pair<Tensor, Tensor>> copy() const {
    MR_ASSIGN_OR_RETURN(const TensorShape rows, make_shape({size()}));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, concatenate(rows, type_.value_shape));
    MR_ASSIGN_OR_RETURN(Tensor keys, make_tensor(type_.key, rows));
    MR_ASSIGN_OR_RETURN(Tensor values, make_tensor(type_.value, shape));
    if (size() > 0) {
      copy_values(keys_, 0, keys, 0, size());
      copy_values(values_, 0, values, 0, size() * width_);
    }
    return std::pair(std::move(keys), std::move(values));
  }

  void clear() {
    index_.clear();
    keys_.reset();
    values_.reset();
  }

 private:
  absl::Status reserve(int64_t rows) {
    const int64_t capacity = keys_.has_value() ? keys_.num_elements() : 0;
    if (rows <= capacity) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({std::max<int64_t>(16, 2 * capacity)}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, concatenate(shape, type_.value_shape));
    MR_ASSIGN_OR_RETURN(Tensor keys, make_tensor(type_.key, shape));
    MR_ASSIGN_OR_RETURN(Tensor values, make_tensor(type_.value, values_shape));
    if (capacity > 0) {
      copy_values(keys_, 0, keys, 0, size());
      copy_values(values_, 0, values, 0, size() * width_);
    }
    keys_ = std::move(keys);
    values_ = std::move(values);
    return absl::OkStatus();
  }

  const LookupTable::Type type_;
  const int64_t width_;
  absl::flat_hash_map<std::string, int64_t> index_;
  Tensor keys_, values_;  // of which the first size() rows are in use
};

// What both tables over Rows share.
absl::Status find_rows(const Rows& rows, const Tensor& keys, const Tensor& default_value, bool default_per_key,
                       Tensor* out) {
  const int64_t width = rows.width();
  for (int64_t i = 0; i < keys.num_elements(); ++i) {
    const int64_t row = rows.row_of(keys, i);
    if (row >= 0) copy_values(rows.values(), row * width, *out, i * width, width);
    else copy_values(default_value, default_per_key ? i * width : 0, *out, i * width, width);
  }
  return absl::OkStatus();
}

class HashTable final : public LookupTable {
 public:
  HashTable(DataType key, DataType value) : LookupTable({key, value, {}, {}}), rows_(type()) {}
  std::string description() const override {
    return str_cat("HashTable of ", dtype_name(type().key), " to ", dtype_name(type().value));
  }
  bool is_initializable() const override { return true; }

  int64_t size() const override {
    const std::lock_guard lock(mutex_);
    return rows_.size();
  }

  absl::StatusOr<Tensor> find(const Tensor& keys, const Tensor& default_value) const override {
    MR_RETURN_IF_ERROR(check_default(keys.shape(), default_value.shape()));
    if (default_value.num_elements() == 0) return make_tensor(type().value, keys.shape());  // no keys either
    MR_ASSIGN_OR_RETURN(Tensor out, make_tensor(type().value, keys.shape()));
    const std::lock_guard lock(mutex_);
    if (!initialized_) return failed_precondition("Table not initialized.");
    // Of defaults for each key, TensorFlow takes the first here.
    MR_RETURN_IF_ERROR(find_rows(rows_, keys, default_value, false, &out));
    return out;
  }

  absl::Status insert(const Tensor&, const Tensor&) override {
    return unimplemented("Insert not supported by InitializableLookupTable implementations");
  }
  absl::Status remove(const Tensor&) override {
    return unimplemented("Remove not supported by InitializableLookupTable implementations");
  }

  absl::Status import_values(const Tensor& keys, const Tensor& values) override {
    MR_RETURN_IF_ERROR(check_values(keys.shape(), values.shape()));
    if (keys.num_elements() == 0) return invalid_argument("keys and values cannot be empty tensors.");
    const std::lock_guard lock(mutex_);
    if (initialized_) {
      if (rows_.size() == keys.num_elements()) return absl::OkStatus();
      return failed_precondition("Table was already initialized with different data.");
    }
    for (int64_t i = 0; i < keys.num_elements(); ++i) {
      const int64_t row = rows_.row_of(keys, i);
      if (row < 0) {
        MR_RETURN_IF_ERROR(rows_.put(keys, i, values));
        continue;
      }
      const std::string before = element_text(rows_.values(), row), now = element_text(values, i);
      if (before == now) continue;
      rows_.clear();
      return failed_precondition("HashTable has different value for same key. Key ", element_text(keys, i), " has ",
                                 before, " and trying to add value ", now);
    }
    initialized_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<std::pair<Tensor, Tensor>> export_values() const override {
    const std::lock_guard lock(mutex_);
    if (!initialized_) return aborted("HashTable is not initialized.");
    return rows_.copy();
  }

 private:
  mutable std::mutex mutex_;
  bool initialized_ = false;
  Rows rows_;
};

class MutableHashTable final : public LookupTable {
 public:
  explicit MutableHashTable(Type type) : LookupTable(std::move(type)), rows_(this->type()) {}
  std::string description() const override {
    return str_cat("MutableHashTable of ", dtype_name(type().key), " to ", dtype_name(type().value));
  }

  int64_t size() const override {
    const std::lock_guard lock(mutex_);
    return rows_.size();
  }

  absl::StatusOr<Tensor> find(const Tensor& keys, const Tensor& default_value) const override {
    MR_RETURN_IF_ERROR(check_default(keys.shape(), default_value.shape()));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, values_shape(keys.shape()));
    MR_ASSIGN_OR_RETURN(Tensor out, make_tensor(type().value, shape));
    const bool per_key = default_value.shape() != type().value_shape;
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(find_rows(rows_, keys, default_value, per_key, &out));
    return out;
  }

  absl::Status insert(const Tensor& keys, const Tensor& values) override { return add(false, keys, values); }
  absl::Status import_values(const Tensor& keys, const Tensor& values) override { return add(true, keys, values); }

  absl::Status remove(const Tensor& keys) override {
    const std::lock_guard lock(mutex_);
    for (int64_t i = 0; i < keys.num_elements(); ++i) MR_RETURN_IF_ERROR(rows_.erase(keys, i));
    return absl::OkStatus();
  }

  absl::StatusOr<std::pair<Tensor, Tensor>> export_values() const override {
    const std::lock_guard lock(mutex_);
    return rows_.copy();
  }

 private:
  absl::Status add(bool clear, const Tensor& keys, const Tensor& values) {
    MR_RETURN_IF_ERROR(check_values(keys.shape(), values.shape()));
    const std::lock_guard lock(mutex_);
    if (clear) rows_.clear();
    for (int64_t i = 0; i < keys.num_elements(); ++i) MR_RETURN_IF_ERROR(rows_.put(keys, i, values));
    return absl::OkStatus();
  }

  mutable std::mutex mutex_;
  Rows rows_;
};

}  // namespace

std::shared_ptr<LookupTable> make_hash_table(DataType key, DataType value) {
  return std::make_shared<HashTable>(key, value);
}

std::shared_ptr<LookupTable> make_mutable_hash_table(DataType key, DataType value, const TensorShape& value_shape) {
  return std::make_shared<MutableHashTable>(LookupTable::Type{key, value, {}, value_shape});
}

}  // namespace millrace
