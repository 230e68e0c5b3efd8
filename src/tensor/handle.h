#pragma once
// What resource and variant tensors hold.

#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include "millrace/shape.h"
#include "millrace/types.h"

namespace millrace {

// The name of a resource in a session's resource manager (runtime looks it up, and checks the type). A handle that is
// fed or read from a graph is data: it never holds an address.
class ResourceHandle {
 public:
  std::string device;
  std::string container;
  std::string name;
  std::string type_name;  // e.g. "Variable", "Iterator"
  uint64_t hash_code = 0;
  std::vector<DataType> dtypes;  // of the values behind the handle, where known
  std::vector<PartialTensorShape> shapes;

  friend bool operator==(const ResourceHandle& a, const ResourceHandle& b) {
    return a.container == b.container && a.name == b.name && a.type_name == b.type_name;
  }
};

// A shared immutable value of any C++ type, asked for by type.
//   Variant v = Variant::make<TensorList>(...);   if (const TensorList* l = v.get<TensorList>()) ...
class Variant {
 public:
  Variant() = default;
  template <class T, class... Args> static Variant make(Args&&... args) {
    Variant v;
    v.value_ = std::make_shared<T>(std::forward<Args>(args)...);
    v.type_ = &typeid(T);
    return v;
  }
  template <class T> static Variant share(std::shared_ptr<T> value) {
    Variant v;
    v.value_ = std::move(value);
    v.type_ = &typeid(T);
    return v;
  }
  bool has_value() const { return value_ != nullptr; }
  template <class T> const T* get() const {
    return has_value() && *type_ == typeid(T) ? static_cast<const T*>(value_.get()) : nullptr;
  }
  template <class T> std::shared_ptr<T> shared() const {
    return has_value() && *type_ == typeid(T) ? std::static_pointer_cast<T>(value_) : nullptr;
  }
  std::string_view type_name() const { return has_value() ? type_->name() : ""; }

 private:
  std::shared_ptr<void> value_;
  const std::type_info* type_ = nullptr;  // of *value_; null if empty
};

}  // namespace millrace
