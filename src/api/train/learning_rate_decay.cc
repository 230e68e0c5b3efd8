#include "millrace/train/learning_rate_decay.h"

#include <cmath>
#include <numbers>

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/random_ops.h"

namespace millrace::train {
namespace {

std::string_view name_or(const std::string& name, std::string_view other) {
  return name.empty() ? other : std::string_view(name);
}

Output initial_rate(const Input& learning_rate) {
  return convert_to_tensor(learning_rate, DataType::kInvalid, "initial_learning_rate");
}

Output pi() { return constant(std::numbers::pi_v<float>); }

}  // namespace

Output exponential_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "ExponentialDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output steps = cast(decay_steps, initial.dtype());
  const Output rate = cast(decay_rate, initial.dtype());
  Output p = cast(global_step, initial.dtype()) / steps;
  if (o.staircase) p = floor(p);
  return multiply(initial, pow(rate, p), {.name = scope.name()});
}

Output natural_exp_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& o) {
  const SourceScope source(learning_rate);
  return exponential_decay(learning_rate, global_step, decay_steps, exp(negative(decay_rate)), o);
}

Output inverse_time_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                          const Input& decay_rate, const DecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "InverseTimeDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output steps = cast(decay_steps, initial.dtype());
  const Output rate = cast(decay_rate, initial.dtype());
  Output p = cast(global_step, initial.dtype()) / steps;
  if (o.staircase) p = floor(p);
  const Output one = cast(constant(1), initial.dtype());
  return divide(initial, add(one, multiply(rate, p)), {.name = scope.name()});
}

Output polynomial_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                        const PolynomialDecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "PolynomialDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output end = cast(o.end_learning_rate, initial.dtype());
  const Output power = cast(o.power, initial.dtype());
  Output step = cast(global_step, initial.dtype());
  Output steps = cast(decay_steps, initial.dtype());
  if (o.cycle) {
    // As many whole periods as it takes to reach beyond the step; one at step 0.
    const Output at_start = equal(step, 0);
    const Output periods = ceil(operator_ops::truediv(step, decay_steps));
    steps = multiply(steps, where_v2(at_start, 1.0, periods));
  } else {
    step = minimum(step, steps);
  }
  const Output p = divide(step, steps);
  const Output range = initial - end;
  const Output rest = 1 - p;
  return add(multiply(range, pow(rest, power)), end, {.name = scope.name()});
}

// TF1 builds a tf.case of its conditions; here selects give the same value.
Output piecewise_constant(const Input& x, const std::vector<Input>& boundaries, const std::vector<Input>& values,
                          const PiecewiseConstantOptions& o) {
  const SourceScope source(x);
  if (boundaries.empty() || boundaries.size() + 1 != values.size())
    raise(invalid_argument("The length of boundaries should be 1 less than the length of values: ", boundaries.size(),
                           " and ", values.size()));
  const name_scope scope(name_or(o.name, "PiecewiseConstant"));
  const Output at = convert_to_tensor(x);
  std::vector<Output> limits, rates;
  for (const Input& b : boundaries) {
    Output limit = convert_to_tensor(b);
    if (limit.dtype() != at.dtype()) {
      // Other casts could change what is compared.
      if (limit.dtype() != int32 || at.dtype() != int64)
        raise(invalid_argument("Boundaries (", dtype_name(limit.dtype()), ") must have the same dtype as x (",
                               dtype_name(at.dtype()), ")."));
      limit = cast(limit, int64);
    }
    limits.push_back(limit);
  }
  for (const Input& v : values) {
    rates.push_back(convert_to_tensor(v));
    if (rates.back().dtype() != rates.front().dtype())
      raise(invalid_argument("Values must have elements all with the same dtype (", dtype_name(rates.front().dtype()),
                             " vs ", dtype_name(rates.back().dtype()), ")."));
  }
  Output rate = rates.back();
  for (size_t i = limits.size(); i-- > 0;) rate = where_v2(less_equal(at, limits[i]), rates[i], rate);
  return rate;
}

Output cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                    const CosineDecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "CosineDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output steps = cast(decay_steps, initial.dtype());
  const Output step = minimum(cast(global_step, initial.dtype()), steps);
  const Output completed = step / steps;
  const Output angle = pi() * completed;
  const Output cosine = 0.5 * (1.0 + cos(angle));
  const Output decayed = (1 - o.alpha) * cosine + o.alpha;
  return multiply(initial, decayed);
}

// TF1 chooses by t_mul with a tf.cond in the graph; here t_mul is a number, and the choice is made once.
Output cosine_decay_restarts(const Input& learning_rate, const Input& global_step, const Input& first_decay_steps,
                             const CosineDecayRestartsOptions& o) {
  const SourceScope source(learning_rate);
  if (!(o.t_mul > 0)) raise(invalid_argument("cosine_decay_restarts: t_mul must be positive, got ", o.t_mul));
  const name_scope scope(name_or(o.name, "SGDRDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output first_steps = cast(first_decay_steps, initial.dtype());
  const Output alpha = cast(o.alpha, initial.dtype());
  const Output t_mul = cast(o.t_mul, initial.dtype());
  const Output m_mul = cast(o.m_mul, initial.dtype());
  Output completed = cast(global_step, initial.dtype()) / first_steps;
  Output restarts;
  if (o.t_mul == 1) {
    restarts = floor(completed);
    completed = completed - restarts;
  } else {
    // Periods are a geometric series: i of them have ended where 1 + t + ... + t^(i-1) <= completed.
    restarts = floor(log(1.0 - completed * (1.0 - t_mul)) / log(t_mul));
    const Output growth = pow(t_mul, restarts);
    completed = (completed - (1.0 - growth) / (1.0 - t_mul)) / growth;
  }
  const Output factor = pow(m_mul, restarts);
  const Output cosine = 0.5 * factor * (1.0 + cos(pi() * completed));
  const Output decayed = (1 - alpha) * cosine + alpha;
  return multiply(initial, decayed, {.name = scope.name()});
}

Output linear_cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                           const LinearCosineDecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "LinearCosineDecay"));
  const Output initial = initial_rate(learning_rate);
  const Output steps = cast(decay_steps, initial.dtype());
  const Output num_periods = cast(o.num_periods, initial.dtype());
  const Output alpha = cast(o.alpha, initial.dtype());
  const Output beta = cast(o.beta, initial.dtype());
  const Output step = minimum(cast(global_step, initial.dtype()), steps);
  const Output linear = (steps - step) / steps;
  const Output completed = step / steps;
  const Output fraction = 2.0 * num_periods * completed;
  const Output angle = pi() * fraction;
  const Output cosine = 0.5 * (1.0 + cos(angle));
  const Output decayed = (alpha + linear) * cosine + beta;
  return multiply(initial, decayed, {.name = scope.name()});
}

Output noisy_linear_cosine_decay(const Input& learning_rate, const Input& global_step, const Input& decay_steps,
                                 const NoisyLinearCosineDecayOptions& o) {
  const SourceScope source(learning_rate);
  const name_scope scope(name_or(o.name, "NoisyLinearCosineDecay"));
  const Output initial = initial_rate(learning_rate);
  const DataType dtype = initial.dtype();
  const Output steps = cast(decay_steps, dtype);
  const Output initial_variance = cast(o.initial_variance, dtype);
  const Output variance_decay = cast(o.variance_decay, dtype);
  const Output num_periods = cast(o.num_periods, dtype);
  const Output alpha = cast(o.alpha, dtype);
  const Output beta = cast(o.beta, dtype);
  const Output step = minimum(cast(global_step, dtype), steps);
  const Output linear = (steps - step) / steps;
  const Output age = 1.0 + step;
  const Output variance = initial_variance / pow(age, variance_decay);
  const Output deviation = sqrt(variance);
  const Output noisy = linear + random_normal(Tensor(std::vector<int32_t>{}), {.stddev = deviation, .dtype = dtype});
  const Output completed = step / steps;
  const Output fraction = 2.0 * num_periods * completed;
  const Output angle = pi() * fraction;
  const Output cosine = 0.5 * (1.0 + cos(angle));
  const Output decayed = (alpha + noisy) * cosine + beta;
  return multiply(initial, decayed, {.name = scope.name()});
}

}  // namespace millrace::train
