#pragma once
// A value: dtype, shape and a shared buffer of elements in row-major order. Copies share the buffer; a kernel writes
// only buffers that it owns alone.
//
//   tf::Tensor t({2, 2}, std::vector<float>{1, 2, 3, 4});
//   t.flat<float>()[3];  t.scalar<int64_t>();  tf::Tensor s = "text";

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/shape.h"
#include "millrace/types.h"

namespace millrace {

class TensorFactory;  // not of the interface

#pragma GCC visibility push(default)

// Memory with a count of its owners. Allocators make these (tensor/allocator.h).
class Buffer {
 public:
  void* data() const { return data_; }
  size_t size() const { return size_; }
  void ref() { count_.fetch_add(1, std::memory_order_relaxed); }
  void unref() {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  bool is_unique() const { return count_.load(std::memory_order_acquire) == 1; }

 protected:
  Buffer(void* data, size_t size) : data_(data), size_(size) {}
  virtual ~Buffer() = default;
  virtual void destroy() = 0;  // called once, when the last owner leaves

  void* data_;
  size_t size_;

 private:
  std::atomic<int32_t> count_{1};
};

class Tensor {
 public:
  Tensor() = default;  // no value: dtype kInvalid
  // A zeroed tensor (numbers 0, strings empty). These constructors throw tf::errors where shape and values disagree or
  // memory limits are exceeded; inside the library use tensor/tensor.h, whose functions return a status.
  Tensor(DataType dtype, const TensorShape& shape);
  template <class T> Tensor(const TensorShape& shape, const std::vector<T>& values);  // any element type
  Tensor(float value);                                      // NOLINT: values convert, so that feeds read well
  Tensor(double value);                                     // NOLINT
  Tensor(int32_t value);                                    // NOLINT
  Tensor(int64_t value);                                    // NOLINT
  Tensor(bool value);                                       // NOLINT
  Tensor(const char* value);                                // NOLINT
  Tensor(std::string value);                                // NOLINT
  template <class T> Tensor(const std::vector<T>& values);  // NOLINT: a vector

  Tensor(const Tensor& other) : dtype_(other.dtype_), shape_(other.shape_), data_(other.data_), buffer_(other.buffer_) {
    if (buffer_) buffer_->ref();
  }
  Tensor(Tensor&& other) noexcept
      : dtype_(std::exchange(other.dtype_, DataType::kInvalid)),
        shape_(std::move(other.shape_)),
        data_(std::exchange(other.data_, nullptr)),
        buffer_(std::exchange(other.buffer_, nullptr)) {}
  Tensor& operator=(const Tensor& other) { return *this = Tensor(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    if (this == &other) return *this;
    Buffer* const old = buffer_;
    dtype_ = std::exchange(other.dtype_, DataType::kInvalid);
    shape_ = std::move(other.shape_);
    data_ = std::exchange(other.data_, nullptr);
    buffer_ = std::exchange(other.buffer_, nullptr);
    if (old) old->unref();
    return *this;
  }
  ~Tensor() {
    if (buffer_) buffer_->unref();
  }

  bool has_value() const { return dtype_ != DataType::kInvalid; }
  DataType dtype() const { return dtype_; }
  const TensorShape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_.dim(i); }
  int64_t num_elements() const { return shape_.num_elements(); }

  // All elements in row-major order; throws InvalidArgumentError if T is not the tensor's type.
  template <class T> std::span<const T> flat() const {
    check_dtype(dtype_of<T>);
    return unchecked<T>();
  }
  template <class T> std::vector<T> to_vector() const {
    auto all = flat<T>();
    return {all.begin(), all.end()};
  }
  // The only element; throws InvalidArgumentError unless there is exactly one of type T.
  template <class T> const T& scalar() const {
    check_scalar(dtype_of<T>);
    return unchecked<T>()[0];
  }
  // Values nested as numpy prints them, the first max_entries of them: for messages and tools.
  std::string to_string(int64_t max_entries = 1000) const;

  // For code that has checked the dtype already; kernels go through the checked accessors of op/kernel.h.
  template <class T> std::span<const T> unchecked() const {
    return {static_cast<const T*>(data_), static_cast<size_t>(shape_.num_elements())};
  }
  template <class T> std::span<T> unchecked_mutable() {
    return {static_cast<T*>(data_), static_cast<size_t>(shape_.num_elements())};
  }
  const void* raw_data() const { return data_; }
  void* raw_mutable_data() { return data_; }
  size_t byte_size() const { return static_cast<size_t>(shape_.num_elements()) * dtype_size(dtype_); }
  // True if no other tensor shares the buffer, so that it may be written or handed on.
  bool owns_buffer_alone() const { return buffer_ != nullptr && buffer_->is_unique(); }
  Buffer* buffer() const { return buffer_; }

  // No value again. Cheaper than assigning an empty tensor.
  void reset() {
    if (buffer_) std::exchange(buffer_, nullptr)->unref();
    dtype_ = DataType::kInvalid;
    data_ = nullptr;
    shape_ = TensorShape();
  }

 private:
  friend class TensorFactory;  // tensor/tensor.h
  Tensor(DataType dtype, const TensorShape& shape, Buffer* buffer, void* data)
      : dtype_(dtype), shape_(shape), data_(data), buffer_(buffer) {}
  void check_dtype(DataType wanted) const;
  void check_scalar(DataType wanted) const;

  DataType dtype_ = DataType::kInvalid;
  TensorShape shape_;
  void* data_ = nullptr;      // inside buffer_; null if there are no elements
  Buffer* buffer_ = nullptr;  // counted
};

#pragma GCC visibility pop

}  // namespace millrace
