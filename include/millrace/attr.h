#pragma once
// Attribute values of nodes and functions: what TensorFlow's AttrValue holds, as a C++ value.

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "millrace/tensor.h"

namespace millrace {

#pragma GCC visibility push(default)

class AttrValue;
using AttrMap = std::map<std::string, AttrValue, std::less<>>;

// The name of a function with the attributes it is called with (NameAttrList). Attributes are shared: copies are cheap.
struct FunctionRef {
  std::string name;
  std::shared_ptr<const AttrMap> attrs;  // null means none
  FunctionRef() = default;
  explicit FunctionRef(std::string n) : name(std::move(n)) {}
  FunctionRef(std::string n, AttrMap a);
};
bool operator==(const FunctionRef& a, const FunctionRef& b);

// In a function's body: the value of the function's own attribute of this name.
struct AttrPlaceholder {
  std::string name;
  friend bool operator==(const AttrPlaceholder&, const AttrPlaceholder&) = default;
};

// An empty list knows no element type on the wire; it reads as an empty list of any type.
struct EmptyList {
  friend bool operator==(const EmptyList&, const EmptyList&) = default;
};

namespace internal {
using AttrVariant = std::variant<std::monostate, std::string, int64_t, float, bool, DataType, PartialTensorShape,
                                 Tensor, FunctionRef, AttrPlaceholder, EmptyList, std::vector<std::string>,
                                 std::vector<int64_t>, std::vector<float>, std::vector<bool>, std::vector<DataType>,
                                 std::vector<PartialTensorShape>, std::vector<Tensor>, std::vector<FunctionRef>>;
template <class T>
concept BecomesAttr = std::is_constructible_v<AttrVariant, T> && !std::is_same_v<std::remove_cvref_t<T>, AttrValue> &&
                      !std::is_convertible_v<T, const char*>;
}  // namespace internal

bool operator==(const AttrValue& a, const AttrValue& b);  // a friend declaration alone would not export it

class AttrValue {
 public:
  using Value = internal::AttrVariant;
  AttrValue() = default;
  AttrValue(const char* v) : value_(std::string(v)) {}    // NOLINT: attributes convert from their values
  AttrValue(int v) : value_(int64_t{v}) {}                // NOLINT
  AttrValue(double v) : value_(static_cast<float>(v)) {}  // NOLINT
  template <internal::BecomesAttr T> AttrValue(T&& v) : value_(std::forward<T>(v)) {}  // NOLINT
  AttrValue(const TensorShape& v) : value_(PartialTensorShape(v)) {}                   // NOLINT

  // The value if it is a T, else null. An EmptyList gives an empty vector of any type.
  template <class T> const T* get() const {
    if (const T* v = std::get_if<T>(&value_)) return v;
    if constexpr (is_vector<T>::value) {
      static const T empty;
      if (std::holds_alternative<EmptyList>(value_)) return &empty;
    }
    return nullptr;
  }
  const Value& value() const { return value_; }
  std::string to_string() const;  // as text proto would show it, shortened

  // Tensors compare by dtype, shape and bits.
  friend bool operator==(const AttrValue& a, const AttrValue& b);

 private:
  template <class T> struct is_vector : std::false_type {};
  template <class T> struct is_vector<std::vector<T>> : std::true_type {};
  Value value_;
};

#pragma GCC visibility pop

}  // namespace millrace
