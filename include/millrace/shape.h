#pragma once
// Shapes: TensorShape of a value (every dimension known) and PartialTensorShape of a symbolic tensor (rank or
// dimensions may be unknown). Both are values, cheap to copy for the usual ranks.
//
//   tf::TensorShape s = {2, 3};          s.rank() == 2, s.num_elements() == 6
//   tf::PartialTensorShape p = {-1, 3};  "[?,3]" on display; PartialTensorShape::scalar() is "[]"
//   tf::PartialTensorShape unknown;      nothing known, "<unknown>"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

namespace millrace {

class ShapeFactory;  // not of the interface

#pragma GCC visibility push(default)

// Declared here because a friend declaration alone does not export what it names.
class TensorShape;
class PartialTensorShape;
bool operator==(const TensorShape& a, const TensorShape& b);
bool operator==(const PartialTensorShape& a, const PartialTensorShape& b);

// A list of dimensions with room for four inside; TensorFlow's limit of 254 dimensions holds. Shapes are made and
// handed on with every op, so all of this is inline and touches only the dimensions that there are.
class Dims {
 public:
  static constexpr int kMaxRank = 254;
  Dims() {}  // user-provided, so that constants of it need no initializer; inline_ stays unwritten
  explicit Dims(std::span<const int64_t> dims) {
    copy_from(dims.data(), static_cast<int>(dims.size()));
  }  // <= kMaxRank
  Dims(const Dims& other) { copy_from(other.data(), other.size_); }
  Dims(Dims&& other) noexcept { take(other); }
  Dims& operator=(const Dims& other) {
    if (this != &other) {
      release();
      copy_from(other.data(), other.size_);
    }
    return *this;
  }
  Dims& operator=(Dims&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }
  ~Dims() { release(); }

  int size() const { return size_; }
  int64_t operator[](int i) const { return data()[i]; }
  int64_t& operator[](int i) { return data()[i]; }
  const int64_t* data() const { return is_inline() ? inline_ : heap_; }
  int64_t* data() { return is_inline() ? inline_ : heap_; }
  std::span<const int64_t> span() const { return {data(), static_cast<size_t>(size_)}; }

 private:
  static constexpr int kInline = 4;
  bool is_inline() const { return size_ <= kInline; }
  // Number by number: a wide load of what was just stored in narrow pieces waits for all of them.
  void copy_inline(const int64_t* from) {
    if (size_ > 0) inline_[0] = from[0];
    if (size_ > 1) inline_[1] = from[1];
    if (size_ > 2) inline_[2] = from[2];
    if (size_ > 3) inline_[3] = from[3];
  }
  void copy_from(const int64_t* from, int size) {  // *this is empty
    if (size > kInline) [[unlikely]]
      return copy_to_heap(from, size);
    size_ = size;
    copy_inline(from);
  }
  void take(Dims& other) {  // *this is empty, other will be
    size_ = other.size_;
    if (is_inline()) [[likely]]
      copy_inline(other.inline_);
    else heap_ = other.heap_;
    other.size_ = 0;
  }
  void release() {
    if (!is_inline()) [[unlikely]]
      delete[] heap_;
    size_ = 0;
  }
  void copy_to_heap(const int64_t* from, int size);

  int size_ = 0;
  union {
    int64_t inline_[kInline];  // where size_ <= kInline
    int64_t* heap_;
  };
};

// The shape of a value. Always valid: 0 <= rank <= 254, dimensions >= 0, and the number of elements fits int64.
class TensorShape {
 public:
  TensorShape() = default;  // scalar
  // Throw errors::InvalidArgumentError for an impossible shape; inside the library use make_shape (tensor/shape.h).
  TensorShape(std::initializer_list<int64_t> dims);
  explicit TensorShape(std::span<const int64_t> dims);
  TensorShape(const TensorShape& other) = default;
  TensorShape& operator=(const TensorShape& other) = default;
  // What was moved from is a scalar.
  TensorShape(TensorShape&& other) noexcept
      : dims_(std::move(other.dims_)), num_elements_(std::exchange(other.num_elements_, 1)) {}
  TensorShape& operator=(TensorShape&& other) noexcept {
    dims_ = std::move(other.dims_);
    num_elements_ = std::exchange(other.num_elements_, 1);
    return *this;
  }

  int rank() const { return dims_.size(); }
  int64_t dim(int i) const { return dims_[i]; }  // 0 <= i < rank()
  std::span<const int64_t> dims() const { return dims_.span(); }
  int64_t num_elements() const { return num_elements_; }
  std::string to_string() const;  // "[2,3]"

  friend bool operator==(const TensorShape& a, const TensorShape& b);

 private:
  friend class ShapeFactory;  // tensor/shape.h
  TensorShape(Dims&& dims, int64_t num_elements) : dims_(std::move(dims)), num_elements_(num_elements) {}
  Dims dims_;
  int64_t num_elements_ = 1;
};

// What is known of a symbolic tensor's shape: nothing, the rank, or some dimensions (-1 where unknown).
class PartialTensorShape {
 public:
  PartialTensorShape() = default;  // unknown rank
  // Throw errors::InvalidArgumentError for dimensions < -1 or more than 254 of them; inside: make_partial_shape.
  PartialTensorShape(std::initializer_list<int64_t> dims);
  explicit PartialTensorShape(std::span<const int64_t> dims);
  PartialTensorShape(const TensorShape& shape);  // NOLINT: every shape is a partial shape
  static PartialTensorShape scalar() { return PartialTensorShape(TensorShape()); }

  bool has_rank() const { return known_; }
  int rank() const { return known_ ? dims_.size() : -1; }
  int64_t dim(int i) const { return dims_[i]; }  // -1 if unknown; 0 <= i < rank()
  std::span<const int64_t> dims() const { return dims_.span(); }
  bool is_fully_defined() const;
  // Product of the dimensions, -1 unless fully defined.
  int64_t num_elements() const;
  bool is_compatible_with(const PartialTensorShape& other) const;
  std::string to_string() const;  // "<unknown>", "[]", "[?,3]"

  friend bool operator==(const PartialTensorShape& a, const PartialTensorShape& b);

 private:
  friend class ShapeFactory;
  bool known_ = false;
  Dims dims_;
};

#pragma GCC visibility pop

}  // namespace millrace
