#pragma once
// Random numbers of input pipelines, in TensorFlow's order: Philox 4x32-10 seeded by two 64-bit numbers, one 32-bit
// sample at a time.

#include <array>
#include <memory>
#include <mutex>

#include "data/state.h"
#include "op/resource.h"

namespace millrace {

class RandomStream {
 public:
  RandomStream(int64_t seed, int64_t seed2);
  uint32_t next();
  // Counts samples, so that a stream can be brought back to a position.
  int64_t position() const { return position_; }
  void save(StateWriter writer) const;
  absl::Status restore(const StateReader& reader);

 private:
  void refill();  // block_ for position_ / 4
  int64_t seed_, seed2_;
  int64_t position_ = 0;
  std::array<uint32_t, 4> block_{};
};

// 0, 0 means: seeds by chance.
void choose_seeds_if_unset(int64_t* seed, int64_t* seed2);

// Gives each new iterator of a shuffled dataset its seeds: always the same, or new ones where it reshuffles.
// Thread-safe.
class SeedGenerator final : public Resource {
 public:
  SeedGenerator(int64_t seed, int64_t seed2, bool reshuffle_each_iteration)
      : seed_(seed), seed2_(seed2), reshuffle_(reshuffle_each_iteration), stream_(seed, seed2) {}
  std::string description() const override { return "SeedGenerator"; }
  std::pair<int64_t, int64_t> next();
  void save(StateWriter writer) const;
  absl::Status restore(const StateReader& reader);

 private:
  const int64_t seed_, seed2_;
  const bool reshuffle_;
  mutable std::mutex mutex_;
  RandomStream stream_;
};

}  // namespace millrace
