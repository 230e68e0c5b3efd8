#pragma once
// What lives beyond a step: variables, iterators, queues, tables. A session's resources are found by container, name
// and C++ type; a handle in a tensor is only that name.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <typeindex>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "tensor/tensor.h"

namespace millrace {

class Resource {
 public:
  virtual ~Resource() = default;
  virtual std::string description() const = 0;
};

// Thread-safe.
class ResourceManager {
 public:
  static constexpr std::string_view kDefaultContainer = "localhost";

  // The resource, made by `make` (under the lock, so keep it short) if there is none of this name and type.
  template <class T>
  absl::StatusOr<std::shared_ptr<T>> lookup_or_create(std::string_view container, std::string_view name,
                                                      const std::function<absl::StatusOr<std::shared_ptr<T>>()>& make) {
    MR_ASSIGN_OR_RETURN(std::shared_ptr<Resource> r,
                        lookup_or_create_impl(container, name, typeid(T),
                                              [&]() -> absl::StatusOr<std::shared_ptr<Resource>> { return make(); }));
    return std::static_pointer_cast<T>(std::move(r));
  }
  // NotFound: "Resource CONTAINER/NAME/TYPE does not exist."
  template <class T>
  absl::StatusOr<std::shared_ptr<T>> lookup(std::string_view container, std::string_view name) const {
    MR_ASSIGN_OR_RETURN(std::shared_ptr<Resource> r, lookup_impl(container, name, typeid(T)));
    return std::static_pointer_cast<T>(std::move(r));
  }
  // AlreadyExists if there is one.
  template <class T>
  absl::Status create(std::string_view container, std::string_view name, std::shared_ptr<T> resource) {
    return create_impl(container, name, typeid(T), std::move(resource));
  }
  // Removes whatever types live under the name; NotFound if none.
  absl::Status remove(std::string_view container, std::string_view name);
  // Forgets a container (tf.Session.reset). Steps that hold its resources keep them until they end.
  void clear_container(std::string_view container);
  void clear();
  std::vector<std::string> describe() const;  // "container/name: description", sorted

 private:
  struct Key {
    std::string container, name;
    std::type_index type;
    friend bool operator==(const Key&, const Key&) = default;
    template <class H> friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.container, k.name, k.type.hash_code());
    }
  };
  absl::StatusOr<std::shared_ptr<Resource>> lookup_or_create_impl(
      std::string_view container, std::string_view name, std::type_index type,
      const std::function<absl::StatusOr<std::shared_ptr<Resource>>()>& make);
  absl::StatusOr<std::shared_ptr<Resource>> lookup_impl(std::string_view container, std::string_view name,
                                                        std::type_index type) const;
  absl::Status create_impl(std::string_view container, std::string_view name, std::type_index type,
                           std::shared_ptr<Resource> resource);

  mutable std::mutex mutex_;
  absl::flat_hash_map<Key, std::shared_ptr<Resource>> resources_;
};

// A variable of either kind: VariableV2's reference output and VarHandleOp's resource both lead to one of these.
//
// A reader takes value(): a tensor that shares the buffer. A writer changes the buffer in place only while nobody else
// holds it, otherwise a copy of it; so a read sees a whole value, before or after an update, never a half-written one.
class VariableResource final : public Resource {
 public:
  VariableResource(DataType dtype, PartialTensorShape shape) : dtype_(dtype), shape_(std::move(shape)) {}
  std::string description() const override;
  DataType dtype() const { return dtype_; }
  const PartialTensorShape& shape() const { return shape_; }

  bool is_initialized() const;
  // FailedPrecondition if uninitialized: "Attempting to use uninitialized value NAME".
  absl::StatusOr<Tensor> value(std::string_view name) const;
  // The value if initialized, else no value.
  Tensor value_or_empty() const;
  void set(Tensor value);
  void clear();  // uninitialized again

  // Runs `update` under the lock on a value whose buffer nobody else holds (copied first if shared). Updates that touch
  // several variables lock them in address order: see VariableLock.
  absl::Status update(std::string_view name, const std::function<absl::Status(Tensor&)>& update);

 private:
  friend class VariableLock;
  DataType dtype_;
  PartialTensorShape shape_;
  mutable std::mutex mutex_;
  Tensor value_;  // no value until initialized
};

// Locks several variables at once without deadlock and hands out their values for writing in place.
class VariableLock {
 public:
  explicit VariableLock(std::initializer_list<VariableResource*> variables);
  explicit VariableLock(std::vector<VariableResource*> variables);
  ~VariableLock();
  VariableLock(const VariableLock&) = delete;
  VariableLock& operator=(const VariableLock&) = delete;
  // The value of one of the locked variables, its buffer held by nobody else. FailedPrecondition if uninitialized.
  absl::StatusOr<Tensor*> writable(VariableResource* variable, std::string_view name);
  // The same without making it exclusive: for reading, or for replacing it as a whole.
  Tensor& value(VariableResource* variable) { return variable->value_; }

 private:
  std::vector<VariableResource*> locked_;  // in address order, each once
};

}  // namespace millrace
