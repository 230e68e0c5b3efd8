#pragma once
// The saved position of an iterator: values under names, nested by stage.
//
//   writer.put("next", next_);   input_->save(writer.nested("input"));
//   MR_ASSIGN_OR_RETURN(next_, reader.get("next"));

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "millrace/tensor.h"

namespace millrace {

// Integers and tensors by path ("input/input/next"). Element lists are written as one entry per tensor.
struct IteratorState {
  std::map<std::string, int64_t> numbers;
  std::map<std::string, Tensor> tensors;
  // Whether the pipeline depends on what no state holds, such as a random op in a mapped function.
  bool has_external_state = false;
};

class StateWriter {
 public:
  explicit StateWriter(IteratorState* state, std::string prefix = {}) : state_(state), prefix_(std::move(prefix)) {}
  StateWriter nested(std::string_view name) const;
  StateWriter nested(std::string_view name, size_t index) const;
  void put(std::string_view name, int64_t value);
  void put(std::string_view name, const Tensor& value);
  void put(std::string_view name, const std::vector<Tensor>& element);
  void put(std::string_view name, const absl::Status& status);
  void note_external_state() { state_->has_external_state = true; }

 private:
  IteratorState* state_;
  std::string prefix_;
};

// Missing names are InvalidArgument: the state of another pipeline.
class StateReader {
 public:
  explicit StateReader(const IteratorState* state, std::string prefix = {})
      : state_(state), prefix_(std::move(prefix)) {}
  StateReader nested(std::string_view name) const;
  StateReader nested(std::string_view name, size_t index) const;
  bool has(std::string_view name) const;
  absl::StatusOr<int64_t> get(std::string_view name) const;
  // A count or a position: in [0, limit].
  absl::StatusOr<int64_t> get_bounded(std::string_view name, int64_t limit) const;
  absl::StatusOr<Tensor> get_tensor(std::string_view name) const;
  absl::StatusOr<std::vector<Tensor>> get_element(std::string_view name) const;
  absl::Status get_status(std::string_view name,
                          absl::Status* status) const;  // the result says whether it could be read

 private:
  const IteratorState* state_;
  std::string prefix_;
};

}  // namespace millrace
