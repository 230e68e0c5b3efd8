#include "ops/conditional_accumulator.h"

#include <algorithm>

#include "base/log.h"
#include "kernels/number.h"

namespace millrace {

absl::Status ConditionalAccumulator::apply(int64_t local_step, const std::vector<Tensor>& gradient) {
  {
    const std::lock_guard lock(mutex_);
    if (local_step < global_step_) return absl::OkStatus();
    MR_RETURN_IF_ERROR(add(gradient, count_));
    ++count_;
  }
  flush();
  return absl::OkStatus();
}

void ConditionalAccumulator::set_global_step(int64_t step) {
  const std::lock_guard lock(mutex_);
  global_step_ = step;
}

int32_t ConditionalAccumulator::num_accumulated() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int32_t>(std::min<int64_t>(count_, INT32_MAX));
}

void ConditionalAccumulator::take(int64_t required, CancellationScope* scope, Done done) {
  if (required <= 0) return done(invalid_argument("Argument num_required must be positive, but was ", required), {});
  Attempt attempt{.required = required, .scope = scope, .done = std::move(done)};
  {
    const std::lock_guard lock(mutex_);
    attempt.id = next_id_++;
  }
  const int64_t id = attempt.id;
  if (scope != nullptr) {
    const auto token = scope->on_cancel([this, id] { cancel(id); });
    if (!token) return attempt.done(cancelled("TakeGrad operation was cancelled"), {});
    attempt.token = *token;
  }
  {
    const std::lock_guard lock(mutex_);
    attempts_.push_back(std::move(attempt));
  }
  if (scope != nullptr && scope->is_cancelled()) return cancel(id);  // before it stood in the list
  flush();
}

void ConditionalAccumulator::cancel(int64_t id) {
  Attempt attempt;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(attempts_, id, &Attempt::id);
    if (found == attempts_.end()) return;
    attempt = std::move(*found);
    attempts_.erase(found);
  }
  attempt.done(cancelled("TakeGrad operation was cancelled"), {});
}

void ConditionalAccumulator::flush() {
  std::vector<Attempt> finished;
  {
    const std::lock_guard lock(mutex_);
    while (!attempts_.empty() && count_ >= attempts_.front().required) {
      Attempt attempt = std::move(attempts_.front());
      attempts_.pop_front();
      absl::StatusOr<std::vector<Tensor>> result = average(count_);
      if (result.ok()) attempt.result = *std::move(result);
      else attempt.status = result.status();
      count_ = 0;
      ++global_step_;
      finished.push_back(std::move(attempt));
    }
  }
  for (Attempt& attempt : finished) finish(std::move(attempt));
}

void ConditionalAccumulator::finish(Attempt attempt) {
  if (attempt.scope != nullptr) attempt.scope->remove(attempt.token);
  attempt.done(std::move(attempt.status), std::move(attempt.result));
}

namespace {

// value /= count, elementwise; half by way of float.
template <class T> void divide(std::span<T> values, int64_t count) {
  for (T& v : values) {
    if constexpr (is_half<T>) v = T(static_cast<float>(v) / static_cast<float>(count));
    else v = v / static_cast<T>(count);
  }
}

template <class T> class DenseAccumulator final : public ConditionalAccumulator {
 public:
  using ConditionalAccumulator::ConditionalAccumulator;

 private:
  absl::Status add(const std::vector<Tensor>& gradient, int64_t count) override {
    const Tensor& g = gradient[0];
    if (g.dtype() != dtype_of<T>)
      return invalid_argument("Gradient must be ", dtype_name(dtype_of<T>), ", got ", dtype_name(g.dtype()));
    if (!options().shape.is_compatible_with(g.shape()))
      return invalid_argument("Shape mismatch: expected ", options().shape, ", got ", g.shape());
    if (count == 0) {
      MR_ASSIGN_OR_RETURN(sum_, deep_copy(g));
      return absl::OkStatus();
    }
    if (g.shape() != sum_.shape())
      return invalid_argument("Shape mismatch: expected ", sum_.shape(), ", got ", g.shape());
    const auto from = g.unchecked<T>();
    const auto to = sum_.unchecked_mutable<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = Add::apply(to[i], from[i]);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Tensor>> average(int64_t count) override {
    if (options().mean) divide(sum_.template unchecked_mutable<T>(), count);
    return std::vector<Tensor>{std::exchange(sum_, Tensor())};
  }

  Tensor sum_;
};

template <class Make> std::shared_ptr<ConditionalAccumulator> by_dtype(DataType dtype, Make make) {
  switch (dtype) {
    case DataType::kHalf: return make(std::type_identity<Half>());
    case DataType::kFloat: return make(std::type_identity<float>());
    default: return make(std::type_identity<double>());
  }
}

template <class T> class SparseAccumulator final : public ConditionalAccumulator {
 public:
  using ConditionalAccumulator::ConditionalAccumulator;

 private:
  struct Slice {
    int64_t index = 0, count = 0;
    std::vector<T> values;
  };

  absl::Status add(const std::vector<Tensor>& gradient, int64_t count) override {
    if (count == 0) {
      slices_.clear();
      row_dims_.clear();
      known_row_ = false;
    }
    MR_RETURN_IF_ERROR(check(gradient));
    const auto indices = gradient[0].unchecked<int64_t>();
    const auto values = gradient[1].unchecked<T>();
    const TensorShape row = remove_dim(gradient[1].shape(), 0);
    row_dims_.assign(row.dims().begin(), row.dims().end());
    known_row_ = true;
    const auto width = static_cast<size_t>(row.num_elements());
    std::vector<Slice> merged;
    size_t have = 0;
    for (size_t i = 0; i < indices.size(); ++i) {  // both in the order of their indices, as TensorFlow merges them
      while (have < slices_.size() && slices_[have].index < indices[i]) merged.push_back(std::move(slices_[have++]));
      const auto from = values.subspan(i * width, width);
      if (have == slices_.size() || slices_[have].index != indices[i]) {
        merged.push_back({indices[i], 1, {from.begin(), from.end()}});
        continue;
      }
      Slice slice = std::move(slices_[have++]);
      for (size_t k = 0; k < width; ++k) slice.values[k] = Add::apply(slice.values[k], from[k]);
      ++slice.count;
      merged.push_back(std::move(slice));
    }
    while (have < slices_.size()) merged.push_back(std::move(slices_[have++]));
    slices_ = std::move(merged);
    return absl::OkStatus();
  }

  absl::Status check(const std::vector<Tensor>& gradient) const {
    const Tensor &indices = gradient[0], &values = gradient[1];
    if (values.dtype() != dtype_of<T> || indices.dtype() != DataType::kInt64)
      return invalid_argument("Gradient values must be ", dtype_name(dtype_of<T>), ", got ",
                              dtype_name(values.dtype()));
    if (indices.rank() != 1)
      return invalid_argument("Input indices should be vector but received shape: ", indices.shape());
    if (values.rank() == 0) return invalid_argument("Values cannot be 0-dimensional.");
    if (values.dim(0) != indices.dim(0))
      return invalid_argument("Expected ", indices.dim(0), " non-empty input values, got ", values.dim(0));
    if (gradient.size() > 2) MR_RETURN_IF_ERROR(check_shape(gradient[2]));
    MR_RETURN_IF_ERROR(check_values(values));
    const PartialTensorShape& shape = options().shape;
    if (!shape.has_rank() || shape.rank() == 0 || shape.dim(0) < 0) return absl::OkStatus();
    const auto at = indices.unchecked<int64_t>();
    for (size_t i = 0; i < at.size(); ++i) {
      if (at[i] >= shape.dim(0))
        return invalid_argument("Shape mismatch: index of slice ", i, " exceeded limits of shape; index is ", at[i],
                                " exceeded ", shape.dim(0));
    }
    return absl::OkStatus();
  }

  absl::Status check_shape(const Tensor& given) const {
    if (given.rank() != 1)
      return invalid_argument("Input shape should be a vector but received shape: ", given.shape());
    const auto dims = given.unchecked<int64_t>();
    const PartialTensorShape& shape = options().shape;
    if (!shape.has_rank()) return absl::OkStatus();
    if (static_cast<int>(dims.size()) < shape.rank())
      return invalid_argument("Shape mismatch: expected shape rank at least ", shape.rank(), ", got ", dims.size());
    for (int d = 0; d < shape.rank(); ++d) {
      const int64_t got = dims[static_cast<size_t>(d)];
      if (shape.dim(d) >= 0 && got != shape.dim(d))
        return invalid_argument("Shape mismatch: expected shape dim ", d, " to be ", shape.dim(d), ", got ", got);
    }
    return absl::OkStatus();
  }

  absl::Status check_values(const Tensor& values) const {
    const PartialTensorShape& shape = options().shape;
    const auto mismatch = [&](int d, int64_t expected) {
      return invalid_argument("Shape mismatch: expected values dim ", d, " to be ", expected, ", got ", values.dim(d));
    };
    // The accumulator's shape may name the leading dimensions only.
    if (shape.has_rank() && values.rank() < shape.rank())
      return invalid_argument("Shape mismatch: expected values rank at least ", shape.rank(), ", got ", values.rank());
    for (int d = 1; d < shape.rank(); ++d) {
      if (shape.dim(d) >= 0 && shape.dim(d) != values.dim(d)) return mismatch(d, shape.dim(d));
    }
    if (!known_row_) return absl::OkStatus();
    if (static_cast<int>(row_dims_.size()) + 1 != values.rank())
      return invalid_argument("Shape mismatch: expected values rank ", row_dims_.size() + 1, ", got ", values.rank());
    for (int d = 1; d < values.rank(); ++d) {
      if (row_dims_[static_cast<size_t>(d - 1)] != values.dim(d))
        return mismatch(d, row_dims_[static_cast<size_t>(d - 1)]);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Tensor>> average(int64_t) override {
    std::vector<int64_t> dims = {static_cast<int64_t>(slices_.size())};
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape(dims));
    dims.insert(dims.end(), row_dims_.begin(), row_dims_.end());
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(Tensor indices, make_tensor(DataType::kInt64, indices_shape));
    MR_ASSIGN_OR_RETURN(Tensor values, make_tensor(dtype_of<T>, values_shape));
    auto index = indices.unchecked_mutable<int64_t>().begin();
    auto value = values.template unchecked_mutable<T>().begin();
    for (Slice& slice : slices_) {
      *index++ = slice.index;
      if (options().mean) divide(std::span<T>(slice.values), slice.count);
      value = std::ranges::copy(slice.values, value).out;
    }
    slices_.clear();
    // The first dimension is that of the accumulator: gradients need not have told theirs.
    const PartialTensorShape& shape = options().shape;
    dims[0] = shape.has_rank() && shape.rank() > 0 ? shape.dim(0) : -1;
    MR_ASSIGN_OR_RETURN(Tensor dense, make_vector<int64_t>(dims));
    return std::vector<Tensor>{std::move(indices), std::move(values), std::move(dense)};
  }

  std::vector<Slice> slices_;
  std::vector<int64_t> row_dims_;
  bool known_row_ = false;
};

}  // namespace

std::shared_ptr<ConditionalAccumulator> make_dense_accumulator(ConditionalAccumulator::Options options) {
  return by_dtype(options.dtype, [&]<class T>(std::type_identity<T>) -> std::shared_ptr<ConditionalAccumulator> {
    return std::make_shared<DenseAccumulator<T>>(std::move(options));
  });
}

std::shared_ptr<ConditionalAccumulator> make_sparse_accumulator(ConditionalAccumulator::Options options) {
  return by_dtype(options.dtype, [&]<class T>(std::type_identity<T>) -> std::shared_ptr<ConditionalAccumulator> {
    return std::make_shared<SparseAccumulator<T>>(std::move(options));
  });
}

}  // namespace millrace
