#include "data/seeds.h"

#include <random>

#include "kernels/philox.h"

namespace millrace {

RandomStream::RandomStream(int64_t seed, int64_t seed2) : seed_(seed), seed2_(seed2) {}

void RandomStream::refill() {
  Philox generator(static_cast<uint64_t>(seed_), static_cast<uint64_t>(seed2_));
  generator.skip(static_cast<uint64_t>(position_) / 4);
  block_ = generator();
}

uint32_t RandomStream::next() {
  if (position_ % 4 == 0) refill();
  return block_[static_cast<size_t>(position_++ % 4)];
}

void RandomStream::save(StateWriter writer) const {
  writer.put("seed", seed_);
  writer.put("seed2", seed2_);
  writer.put("position", position_);
}

absl::Status RandomStream::restore(const StateReader& reader) {
  MR_ASSIGN_OR_RETURN(seed_, reader.get("seed"));
  MR_ASSIGN_OR_RETURN(seed2_, reader.get("seed2"));
  MR_ASSIGN_OR_RETURN(position_, reader.get_bounded("position", INT64_MAX));
  refill();
  return absl::OkStatus();
}

void choose_seeds_if_unset(int64_t* seed, int64_t* seed2) {
  if (*seed != 0 || *seed2 != 0) return;
  std::random_device device;
  *seed = (static_cast<int64_t>(device()) << 31) ^ device();
  *seed2 = (static_cast<int64_t>(device()) << 31) ^ device();
}

std::pair<int64_t, int64_t> SeedGenerator::next() {
  if (!reshuffle_) return {seed_, seed2_};
  std::lock_guard lock(mutex_);
  const int64_t first = stream_.next();
  return {first, stream_.next()};
}

void SeedGenerator::save(StateWriter writer) const {
  std::lock_guard lock(mutex_);
  stream_.save(writer.nested("seeds"));
}

absl::Status SeedGenerator::restore(const StateReader& reader) {
  std::lock_guard lock(mutex_);
  return stream_.restore(reader.nested("seeds"));
}

}  // namespace millrace
