#pragma once
// Random tensors, from TensorFlow's streams: the same seeds give the same values.

#include <optional>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

struct RandomUniformOptions {
  Input minval = 0;
  Input maxval = {};  // 1 for floating types; integers need one
  DataType dtype = float32;
  std::optional<int64_t> seed = {};
  std::string_view name = {};
};
// [minval, maxval).
Output random_uniform(const IntList& shape, const RandomUniformOptions& options = {});

struct RandomNormalOptions {
  Input mean = 0.0;
  Input stddev = 1.0;
  DataType dtype = float32;
  std::optional<int64_t> seed = {};
  std::string_view name = {};
};
Output random_normal(const IntList& shape, const RandomNormalOptions& options = {});
// Values further than two standard deviations from the mean are drawn again.
Output truncated_normal(const IntList& shape, const RandomNormalOptions& options = {});

struct SeedOptions {
  std::optional<int64_t> seed = {};
  std::string_view name = {};
};
// The rows in a random order.
Output random_shuffle(const Input& value, const SeedOptions& options = {});
// Draws class numbers from unnormalized log-probabilities [batch, classes]: [batch, num_samples] int64.
Output multinomial(const Input& logits, const Input& num_samples, const SeedOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace
