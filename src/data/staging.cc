#include "data/staging.h"

#include <algorithm>
#include <memory>

namespace millrace {
namespace {

int64_t bytes_of(const Element& tuple) {
  size_t bytes = 0;
  for (const Tensor& part : tuple) {
    bytes += part.byte_size();
    if (part.dtype() != DataType::kString) continue;
    for (const std::string& s : part.unchecked<std::string>()) bytes += s.size();
  }
  return static_cast<int64_t>(bytes);
}

absl::Status mismatch(size_t have, size_t want) {
  return invalid_argument("Mismatch stage/unstage: ", have, " vs. ", want);
}

absl::Status wrong_type(size_t i, DataType have, DataType want) {
  return invalid_argument("Mismatch stage/unstage: component ", i, " is ", dtype_name(have), ", not ",
                          dtype_name(want));
}

absl::Status check_types(const Element& tuple, const std::vector<DataType>& types) {
  if (tuple.size() != types.size()) return mismatch(tuple.size(), types.size());
  for (size_t i = 0; i < tuple.size(); ++i) {
    if (tuple[i].dtype() != types[i]) return wrong_type(i, tuple[i].dtype(), types[i]);
  }
  return absl::OkStatus();
}

absl::Status check_indices(const std::vector<int64_t>& indices) {
  if (indices.empty()) return invalid_argument("Indices are empty");
  if (std::ranges::adjacent_find(indices, std::greater_equal<int64_t>()) != indices.end())
    return invalid_argument("Indices are not strictly ordered");
  return absl::OkStatus();
}

}  // namespace

absl::Status StagingRoom::check_fits_ever(int64_t bytes) const {
  if (limits_.memory_limit <= 0 || bytes <= limits_.memory_limit) return absl::OkStatus();
  return resource_exhausted("Attempted to insert tensors with combined size of '", bytes,
                            "' bytes into Staging Area with a memory limit of '", limits_.memory_limit, "'.");
}

// --- areas

void StagingArea::put(Element tuple, CancellationScope* scope, Done done) {
  const int64_t bytes = bytes_of(tuple);
  if (absl::Status status = room_.check_fits_ever(bytes); !status.ok()) return done(std::move(status), {});
  attempts_.start(
      [this, bytes, tuple = std::move(tuple)]() mutable {
        if (!room_.fits(bytes) || !room_.has_place(tuples_.size())) return Attempts::waits();
        room_.add(bytes);
        tuples_.push_back(std::move(tuple));
        return Attempts::ended();
      },
      scope, "Stage operation was cancelled",
      [done = std::move(done)](absl::Status status) { done(std::move(status), {}); });
}

void StagingArea::get(std::vector<DataType> types, CancellationScope* scope, Done done) {
  const auto tuple = std::make_shared<Element>();
  attempts_.start(
      [this, tuple, types = std::move(types)] {
        if (tuples_.empty()) return Attempts::waits();
        if (absl::Status status = check_types(tuples_.front(), types); !status.ok())
          return Attempts::ended(std::move(status));
        *tuple = std::move(tuples_.front());
        tuples_.pop_front();
        room_.add(-bytes_of(*tuple));
        return Attempts::ended();
      },
      scope, "Unstage operation was cancelled",
      [tuple, done = std::move(done)](absl::Status status) { done(std::move(status), std::move(*tuple)); });
}

void StagingArea::peek(int64_t index, std::vector<DataType> types, CancellationScope* scope, Done done) {
  if (index < 0) return done(invalid_argument("index must not be negative, got ", index), {});
  const auto tuple = std::make_shared<Element>();
  attempts_.start(
      [this, tuple, index, types = std::move(types)] {
        if (index >= static_cast<int64_t>(tuples_.size())) return Attempts::waits();
        const Element& found = tuples_[static_cast<size_t>(index)];
        absl::Status status = check_types(found, types);
        if (status.ok()) *tuple = found;
        return Attempts::ended(std::move(status));
      },
      scope, "StagePeek operation was cancelled",
      [tuple, done = std::move(done)](absl::Status status) { done(std::move(status), std::move(*tuple)); });
}

int64_t StagingArea::size() const {
  return attempts_.read([&] { return static_cast<int64_t>(tuples_.size()); });
}

void StagingArea::clear() {
  attempts_.change([&] {
    tuples_.clear();
    room_.clear();
  });
}

// --- maps

absl::Status StagingMap::check_put(const std::vector<int64_t>& indices, const Element& values) const {
  MR_RETURN_IF_ERROR(check_indices(indices));
  if (values.size() == types_.size()) return check_types(values, types_);
  if (values.size() == indices.size()) return absl::OkStatus();
  return invalid_argument("values and indices must be of equal number, got ", values.size(), " values and ",
                          indices.size(), " indices");
}

absl::Status StagingMap::check_index(int64_t key, int64_t index) const {
  if (index >= 0 && index < static_cast<int64_t>(types_.size())) return absl::OkStatus();
  return invalid_argument("Index '", index, "' for key '", key, "' was out of bounds '", types_.size(), "'.");
}

void StagingMap::put(int64_t key, std::vector<int64_t> indices, Element values, CancellationScope* scope, Done done) {
  const int64_t bytes = bytes_of(values);
  absl::Status status = check_put(indices, values);
  if (status.ok()) status = room_.check_fits_ever(bytes);
  if (!status.ok()) return done(std::move(status), key, {});
  attempts_.start(
      [this, key, bytes, indices = std::move(indices), values = std::move(values)]() mutable {
        if (!room_.fits(bytes)) return Attempts::waits();
        return values.size() == types_.size() ? put_whole(key, &values) : put_parts(key, indices, &values);
      },
      scope, "MapStage operation was cancelled",
      [key, done = std::move(done)](absl::Status s) { done(std::move(s), key, {}); });
}

Attempts::Outcome StagingMap::put_whole(int64_t key, Element* values) {
  if (!room_.has_place(complete_.size())) return Attempts::waits();
  const int64_t bytes = bytes_of(*values);
  if (complete_.try_emplace(key, std::move(*values)).second) room_.add(bytes);
  return Attempts::ended();
}

Attempts::Outcome StagingMap::put_parts(int64_t key, const std::vector<int64_t>& indices, Element* values) {
  const auto found = incomplete_.find(key);
  for (size_t i = 0; i < indices.size(); ++i) {
    if (absl::Status status = check_index(key, indices[i]); !status.ok()) return Attempts::ended(std::move(status));
    const auto at = static_cast<size_t>(indices[i]);
    if ((*values)[i].dtype() != types_[at]) return Attempts::ended(wrong_type(at, (*values)[i].dtype(), types_[at]));
    if (found != incomplete_.end() && found->second[at].has_value())
      return Attempts::ended(invalid_argument("The tensor for index '", at, "' for key '", key,
                                              "' was already initialized '", types_.size(), "'."));
  }
  room_.add(bytes_of(*values));
  Element& tuple = found != incomplete_.end() ? found->second : incomplete_[key];
  tuple.resize(types_.size());
  for (size_t i = 0; i < indices.size(); ++i) tuple[static_cast<size_t>(indices[i])] = std::move((*values)[i]);
  if (!std::ranges::all_of(tuple, &Tensor::has_value)) return Attempts::ended();
  const int64_t bytes = bytes_of(tuple);
  if (!complete_.try_emplace(key, std::move(tuple)).second) room_.add(-bytes);
  incomplete_.erase(key);
  return Attempts::ended();
}

absl::Status StagingMap::check_parts(int64_t key, const Element& tuple, const Wanted& wanted) const {
  for (size_t i = 0; i < wanted.indices.size(); ++i) {
    MR_RETURN_IF_ERROR(check_index(key, wanted.indices[i]));
    const auto at = static_cast<size_t>(wanted.indices[i]);
    if (!tuple[at].has_value())
      return invalid_argument("Tensor at index '", at, "' for key '", key, "' has already been removed.");
    if (types_[at] != wanted.types[i]) return wrong_type(at, types_[at], wanted.types[i]);
  }
  return absl::OkStatus();
}

void StagingMap::read(std::optional<int64_t> key, Wanted wanted, bool take, CancellationScope* scope, Done done) {
  absl::Status status = check_indices(wanted.indices);
  if (status.ok() && wanted.indices.size() != wanted.types.size())
    status = mismatch(wanted.indices.size(), wanted.types.size());
  if (!status.ok()) return done(std::move(status), 0, {});
  struct Result {
    int64_t key;
    Element parts;
  };
  const auto result = std::make_shared<Result>(Result{key.value_or(0), {}});
  attempts_.start(
      [this, any_key = !key, take, wanted = std::move(wanted), result] {
        return read_parts(&result->key, any_key, wanted, take, &result->parts);
      },
      scope, take ? "MapUnstage operation was cancelled" : "MapPeek operation was cancelled",
      [result, done = std::move(done)](absl::Status s) { done(std::move(s), result->key, std::move(result->parts)); });
}

Attempts::Outcome StagingMap::read_parts(int64_t* key, bool any_key, const Wanted& wanted, bool take, Element* parts) {
  const auto found = any_key ? complete_.begin() : complete_.find(*key);
  if (found == complete_.end()) return Attempts::waits();
  *key = found->first;
  Element& tuple = found->second;
  if (absl::Status status = check_parts(*key, tuple, wanted); !status.ok()) return Attempts::ended(std::move(status));
  for (const int64_t i : wanted.indices) {
    Tensor& part = tuple[static_cast<size_t>(i)];
    parts->push_back(part);
    if (take) part.reset();
  }
  if (!take) return Attempts::ended();
  room_.add(-bytes_of(*parts));
  if (std::ranges::none_of(tuple, &Tensor::has_value)) complete_.erase(found);
  return Attempts::ended();
}

void StagingMap::get(int64_t key, std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope,
                     Done done) {
  read(key, {std::move(indices), std::move(types)}, true, scope, std::move(done));
}

void StagingMap::get_first(std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope,
                           Done done) {
  read(std::nullopt, {std::move(indices), std::move(types)}, true, scope, std::move(done));
}

void StagingMap::peek(int64_t key, std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope,
                      Done done) {
  read(key, {std::move(indices), std::move(types)}, false, scope, std::move(done));
}

int64_t StagingMap::size() const {
  return attempts_.read([&] { return static_cast<int64_t>(complete_.size()); });
}

int64_t StagingMap::incomplete_size() const {
  return attempts_.read([&] { return static_cast<int64_t>(incomplete_.size()); });
}

void StagingMap::clear() {
  attempts_.change([&] {
    complete_.clear();
    incomplete_.clear();
    room_.clear();
  });
}

}  // namespace millrace
