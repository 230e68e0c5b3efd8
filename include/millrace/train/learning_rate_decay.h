#pragma once
// Learning rates that depend on the step: each function gives a scalar tensor to hand to an optimizer.
//
//   auto step = tf::train::get_or_create_global_step();
//   tf::Output rate = tf::train::exponential_decay(0.1, step, 1000, 0.96, {.staircase = true});
//   tf::train::MomentumOptimizer(rate, 0.9).minimize(loss, {.global_step = step});

#include <string>
#include <vector>

#include "millrace/framework.h"

namespace millrace::train {

#pragma GCC visibility push(default)

struct DecayOptions {
  bool staircase = false;  // whole periods only
  std::string name = {};
};
// learning_rate * decay_rate ^ (global_step / decay_steps)
Output exponential_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& options = {});
// learning_rate * exp(-decay_rate * global_step / decay_steps)
Output natural_exp_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& options = {});
// learning_rate / (1 + decay_rate * global_step / decay_steps)
Output inverse_time_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                          const Input& decay_rate, const DecayOptions& options = {});

struct PolynomialDecayOptions {
  Input end_learning_rate = 0.0001;
  Input power = 1.0;
  bool cycle = false;  // start again with a longer period, rather than stay at the end
  std::string name = {};
};
// From learning_rate to end_learning_rate within decay_steps.
Output polynomial_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                        const PolynomialDecayOptions& options = {});

struct PiecewiseConstantOptions {
  std::string name = {};
};
// values[0] while x <= boundaries[0], values[1] while x <= boundaries[1], ..., the last value beyond: one value more
// than boundaries, else InvalidArgumentError (TF1's ValueError). Boundaries of int32 serve an x of int64.
Output piecewise_constant(const Input& x, const std::vector<Input>& boundaries, const std::vector<Input>& values,
                          const PiecewiseConstantOptions& options = {});
inline Output piecewise_constant_decay(const Input& x, const std::vector<Input>& boundaries,
                                       const std::vector<Input>& values, const PiecewiseConstantOptions& options = {}) {
  return piecewise_constant(x, boundaries, values, options);
}

// Loshchilov and Hutter 2017: half a cosine from learning_rate to alpha * learning_rate within decay_steps.
struct CosineDecayOptions {
  double alpha = 0.0;
  std::string name = {};
};
Output cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                    const CosineDecayOptions& options = {});

// The same again and again, each period t_mul times as long and beginning at m_mul times the rate of the one before.
struct CosineDecayRestartsOptions {
  double t_mul = 2.0;
  double m_mul = 1.0;
  double alpha = 0.0;
  std::string name = {};
};
Output cosine_decay_restarts(const Input& learning_rate, const Input& global_step, const Input& first_decay_steps,
                             const CosineDecayRestartsOptions& options = {});

// Bello et al. 2017.
struct LinearCosineDecayOptions {
  Input num_periods = 0.5;
  Input alpha = 0.0;
  Input beta = 0.001;
  std::string name = {};
};
Output linear_cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                           const LinearCosineDecayOptions& options = {});
// With noise of variance initial_variance / (1 + global_step) ^ variance_decay.
struct NoisyLinearCosineDecayOptions {
  Input initial_variance = 1.0;
  Input variance_decay = 0.55;
  Input num_periods = 0.5;
  Input alpha = 0.0;
  Input beta = 0.001;
  std::string name = {};
};
Output noisy_linear_cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                                 const NoisyLinearCosineDecayOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
