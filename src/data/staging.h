#pragma once
// Staging areas: where tuples of tensors wait between the steps that make and those that use them. Puts wait for room
// and gets for tuples, holding no thread.
//
// Thread-safe. `done` is called once, without locks held, from any thread; a scope must live until then, and the area
// until `done` is gone. A call whose scope is cancelled ends with Cancelled.

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/attempts.h"
#include "data/dataset.h"
#include "op/resource.h"

namespace millrace {

// How much an area takes in; 0 means any number.
struct StagingLimits {
  int64_t capacity = 0;      // complete tuples
  int64_t memory_limit = 0;  // bytes of all tensors
};

// What is there, against the limits. Not thread-safe.
class StagingRoom {
 public:
  explicit StagingRoom(StagingLimits limits) : limits_(limits) {}
  // ResourceExhausted for what no waiting would make fit.
  absl::Status check_fits_ever(int64_t bytes) const;
  bool fits(int64_t bytes) const { return limits_.memory_limit <= 0 || bytes <= limits_.memory_limit - bytes_; }
  bool has_place(size_t tuples) const {
    return limits_.capacity <= 0 || static_cast<int64_t>(tuples) < limits_.capacity;
  }
  void add(int64_t bytes) { bytes_ += bytes; }
  void clear() { bytes_ = 0; }

 private:
  const StagingLimits limits_;
  int64_t bytes_ = 0;
};

// Tuples leave in the order they came.
class StagingArea final : public Resource {
 public:
  using Done = std::function<void(absl::Status, Element)>;

  explicit StagingArea(StagingLimits limits) : room_(limits) {}
  std::string description() const override { return "Staging area"; }

  void put(Element tuple, CancellationScope* scope, Done done);
  // The first tuple, whose tensors must have the types: else InvalidArgument, and it stays.
  void get(std::vector<DataType> types, CancellationScope* scope, Done done);
  // A copy of the tuple with `index` others before it, once there are so many.
  void peek(int64_t index, std::vector<DataType> types, CancellationScope* scope, Done done);
  int64_t size() const;
  void clear();

 private:
  Attempts attempts_;  // its lock guards what follows
  StagingRoom room_;
  std::deque<Element> tuples_;
};

// Tuples are found by key, and may come and go in parts.
class StagingMap : public Resource {
 public:
  using Done = std::function<void(absl::Status, int64_t key, Element)>;

  StagingMap(StagingLimits limits, std::vector<DataType> types) : types_(std::move(types)), room_(limits) {}
  std::string description() const override { return "Staging map"; }

  // `values` are the parts of the tuple at `indices`, which increase; as many as the tuple has are all of it. Parts
  // wait for memory only, as in TensorFlow: the capacity counts whole tuples. A key that is there keeps its whole
  // tuple.
  void put(int64_t key, std::vector<int64_t> indices, Element values, CancellationScope* scope, Done done);
  // The parts at `indices`, which must have the types. A tuple all of whose parts were taken is gone.
  void get(int64_t key, std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope, Done done);
  void get_first(std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope, Done done);
  // The same without taking them.
  void peek(int64_t key, std::vector<int64_t> indices, std::vector<DataType> types, CancellationScope* scope,
            Done done);
  int64_t size() const;
  int64_t incomplete_size() const;
  void clear();

 private:
  using Tuples = std::map<int64_t, Element>;  // parts without a value: not come yet, or taken
  struct Wanted {
    std::vector<int64_t> indices;
    std::vector<DataType> types;
  };
  Attempts::Outcome put_whole(int64_t key, Element* values);
  Attempts::Outcome put_parts(int64_t key, const std::vector<int64_t>& indices, Element* values);
  void read(std::optional<int64_t> key, Wanted wanted, bool take, CancellationScope* scope, Done done);
  Attempts::Outcome read_parts(int64_t* key, bool any_key, const Wanted& wanted, bool take, Element* parts);
  absl::Status check_put(const std::vector<int64_t>& indices, const Element& values) const;
  absl::Status check_index(int64_t key, int64_t index) const;
  absl::Status check_parts(int64_t key, const Element& tuple, const Wanted& wanted) const;

  const std::vector<DataType> types_;
  Attempts attempts_;  // its lock guards what follows
  StagingRoom room_;
  Tuples complete_, incomplete_;
};

// Which is which only tells by type: a map that promises an order, and one that does not but keeps it as well.
class OrderedStagingMap final : public StagingMap {
 public:
  using StagingMap::StagingMap;
};

}  // namespace millrace
