#include "op/resource.h"

#include <algorithm>

namespace millrace {

absl::StatusOr<std::shared_ptr<Resource>> ResourceManager::lookup_or_create_impl(
    std::string_view container, std::string_view name, std::type_index type,
    const std::function<absl::StatusOr<std::shared_ptr<Resource>>()>& make) {
  std::lock_guard lock(mutex_);
  Key key{std::string(container), std::string(name), type};
  if (const auto it = resources_.find(key); it != resources_.end()) return it->second;
  MR_ASSIGN_OR_RETURN(std::shared_ptr<Resource> made, make());
  resources_.emplace(std::move(key), made);
  return made;
}

absl::StatusOr<std::shared_ptr<Resource>> ResourceManager::lookup_impl(std::string_view container,
                                                                       std::string_view name,
                                                                       std::type_index type) const {
  std::lock_guard lock(mutex_);
  const auto it = resources_.find(Key{std::string(container), std::string(name), type});
  if (it == resources_.end()) return not_found("Resource ", container, "/", name, "/", type.name(), " does not exist.");
  return it->second;
}

absl::Status ResourceManager::create_impl(std::string_view container, std::string_view name, std::type_index type,
                                          std::shared_ptr<Resource> resource) {
  std::lock_guard lock(mutex_);
  if (!resources_.try_emplace(Key{std::string(container), std::string(name), type}, std::move(resource)).second) {
    return already_exists("Resource ", container, "/", name, " exists already.");
  }
  return absl::OkStatus();
}

absl::Status ResourceManager::remove(std::string_view container, std::string_view name) {
  std::vector<std::shared_ptr<Resource>> removed;  // destroyed after the lock is free
  std::lock_guard lock(mutex_);
  for (auto it = resources_.begin(); it != resources_.end();) {
    if (it->first.container == container && it->first.name == name) {
      removed.push_back(std::move(it->second));
      resources_.erase(it++);
    } else {
      ++it;
    }
  }
  return removed.empty() ? not_found("Resource ", container, "/", name, " does not exist.") : absl::OkStatus();
}

void ResourceManager::clear_container(std::string_view container) {
  std::vector<std::shared_ptr<Resource>> removed;
  std::lock_guard lock(mutex_);
  for (auto it = resources_.begin(); it != resources_.end();) {
    if (it->first.container == container) {
      removed.push_back(std::move(it->second));
      resources_.erase(it++);
    } else {
      ++it;
    }
  }
}

void ResourceManager::clear() {
  absl::flat_hash_map<Key, std::shared_ptr<Resource>> removed;
  std::lock_guard lock(mutex_);
  removed.swap(resources_);
}

std::vector<std::string> ResourceManager::describe() const {
  std::vector<std::string> lines;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, resource] : resources_)
      lines.push_back(str_cat(key.container, "/", key.name, ": ", resource->description()));
  }
  std::ranges::sort(lines);
  return lines;
}

namespace {

absl::Status uninitialized(std::string_view name) {
  return failed_precondition("Attempting to use uninitialized value ", name);
}

absl::Status make_exclusive(Tensor& value) {
  if (value.num_elements() == 0 || value.owns_buffer_alone()) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(value, deep_copy(value));
  return absl::OkStatus();
}

}  // namespace

std::string VariableResource::description() const { return str_cat("variable of ", dtype_name(dtype_), shape_); }

bool VariableResource::is_initialized() const {
  std::lock_guard lock(mutex_);
  return value_.has_value();
}

absl::StatusOr<Tensor> VariableResource::value(std::string_view name) const {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) return uninitialized(name);
  return value_;
}

Tensor VariableResource::value_or_empty() const {
  std::lock_guard lock(mutex_);
  return value_;
}

void VariableResource::set(Tensor value) {
  std::lock_guard lock(mutex_);
  std::swap(value_, value);  // the old one goes after the lock
}

void VariableResource::clear() { set(Tensor()); }

absl::Status VariableResource::update(std::string_view name, const std::function<absl::Status(Tensor&)>& update) {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) return uninitialized(name);
  MR_RETURN_IF_ERROR(make_exclusive(value_));
  return update(value_);
}

VariableLock::VariableLock(std::initializer_list<VariableResource*> variables)
    : VariableLock(std::vector<VariableResource*>(variables)) {}

VariableLock::VariableLock(std::vector<VariableResource*> variables) : locked_(std::move(variables)) {
  std::ranges::sort(locked_);
  locked_.erase(std::unique(locked_.begin(), locked_.end()), locked_.end());
  for (VariableResource* v : locked_) v->mutex_.lock();
}

VariableLock::~VariableLock() {
  for (VariableResource* v : locked_) v->mutex_.unlock();
}

absl::StatusOr<Tensor*> VariableLock::writable(VariableResource* variable, std::string_view name) {
  if (!variable->value_.has_value()) return uninitialized(name);
  MR_RETURN_IF_ERROR(make_exclusive(variable->value_));
  return &variable->value_;
}

}  // namespace millrace
