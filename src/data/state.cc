#include "data/state.h"

namespace millrace {

StateWriter StateWriter::nested(std::string_view name) const {
  return StateWriter(state_, str_cat(prefix_, name, "/"));
}

StateWriter StateWriter::nested(std::string_view name, size_t index) const {
  return StateWriter(state_, str_cat(prefix_, name, "[", index, "]/"));
}

void StateWriter::put(std::string_view name, int64_t value) { state_->numbers[str_cat(prefix_, name)] = value; }

void StateWriter::put(std::string_view name, const Tensor& value) { state_->tensors[str_cat(prefix_, name)] = value; }

void StateWriter::put(std::string_view name, const std::vector<Tensor>& element) {
  put(str_cat(name, ".size"), static_cast<int64_t>(element.size()));
  for (size_t i = 0; i < element.size(); ++i) put(str_cat(name, "[", i, "]"), element[i]);
}

void StateWriter::put(std::string_view name, const absl::Status& status) {
  put(str_cat(name, ".code"), static_cast<int64_t>(status.code()));
  if (!status.ok()) put(str_cat(name, ".message"), Tensor(std::string(status.message())));
}

StateReader StateReader::nested(std::string_view name) const {
  return StateReader(state_, str_cat(prefix_, name, "/"));
}

StateReader StateReader::nested(std::string_view name, size_t index) const {
  return StateReader(state_, str_cat(prefix_, name, "[", index, "]/"));
}

bool StateReader::has(std::string_view name) const { return state_->numbers.count(str_cat(prefix_, name)) != 0; }

absl::StatusOr<int64_t> StateReader::get(std::string_view name) const {
  const auto it = state_->numbers.find(str_cat(prefix_, name));
  if (it == state_->numbers.end())
    return invalid_argument("The iterator's saved state has no value '", prefix_, name,
                            "'; it was saved from another pipeline.");
  return it->second;
}

absl::StatusOr<int64_t> StateReader::get_bounded(std::string_view name, int64_t limit) const {
  MR_ASSIGN_OR_RETURN(const int64_t value, get(name));
  if (value < 0 || value > limit)
    return invalid_argument("The iterator's saved value '", prefix_, name, "' is ", value, ", not in [0, ", limit,
                            "].");
  return value;
}

absl::StatusOr<Tensor> StateReader::get_tensor(std::string_view name) const {
  const auto it = state_->tensors.find(str_cat(prefix_, name));
  if (it == state_->tensors.end())
    return invalid_argument("The iterator's saved state has no tensor '", prefix_, name,
                            "'; it was saved from another pipeline.");
  return it->second;
}

absl::StatusOr<std::vector<Tensor>> StateReader::get_element(std::string_view name) const {
  MR_ASSIGN_OR_RETURN(const int64_t size,
                      get_bounded(str_cat(name, ".size"), static_cast<int64_t>(state_->tensors.size())));
  std::vector<Tensor> element;
  for (int64_t i = 0; i < size; ++i) {
    MR_ASSIGN_OR_RETURN(Tensor t, get_tensor(str_cat(name, "[", i, "]")));
    element.push_back(std::move(t));
  }
  return element;
}

absl::Status StateReader::get_status(std::string_view name, absl::Status* status) const {
  MR_ASSIGN_OR_RETURN(const int64_t code, get_bounded(str_cat(name, ".code"), 16));
  *status = absl::OkStatus();
  if (code == 0) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const Tensor message, get_tensor(str_cat(name, ".message")));
  if (message.dtype() != DataType::kString || message.num_elements() != 1)
    return invalid_argument("The iterator's saved status '", prefix_, name, "' is no text.");
  *status = absl::Status(static_cast<absl::StatusCode>(code), to_absl(message.unchecked<std::string>()[0]));
  return absl::OkStatus();
}

}  // namespace millrace
