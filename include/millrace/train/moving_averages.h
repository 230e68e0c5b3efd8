#pragma once
// Averages of variables that forget the past exponentially: average -= (1 - decay) (average - value). Trained values
// are noisy; a model evaluated with the averages is often better.
//
//   tf::train::ExponentialMovingAverage ema({.decay = 0.999, .num_updates = step});
//   tf::Operation train;
//   { tf::control_dependencies after({update}); train = ema.apply(); }
//   tf::train::Saver saver({.var_map = ema.variables_to_restore()});   // in the program that evaluates

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/variables.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// What is averaged: a variable, whose average starts at its initial value, or a tensor, whose average starts at zero.
struct Averaged {
  Averaged(const Variable& v) : variable(v) {}        // NOLINT
  Averaged(const Output& output) : tensor(output) {}  // NOLINT
  Variable variable;
  Output tensor;
};

struct ExponentialMovingAverageOptions {
  double decay;
  Input num_updates = {};    // then decay is at most (1 + num_updates) / (10 + num_updates)
  bool zero_debias = false;  // corrects the averages of tensors for their start at zero
  std::string name = "ExponentialMovingAverage";
};

class ExponentialMovingAverage {
 public:
  explicit ExponentialMovingAverage(const ExponentialMovingAverageOptions& options) : options_(options) {}
  explicit ExponentialMovingAverage(double decay) : ExponentialMovingAverage({.decay = decay}) {}

  const std::string& name() const { return options_.name; }
  // Makes the averages, "w/ExponentialMovingAverage", and an operation that updates them. Without a list: all trainable
  // variables. InvalidArgumentError (TF1's TypeError) for what is not floating.
  Operation apply();
  Operation apply(const std::vector<Averaged>& var_list);
  // Absent where nothing is averaged.
  Variable average(const Averaged& value) const;
  // The name under which the average is saved, whether it exists here or not.
  std::string average_name(const Averaged& value) const;
  // From the names of averages, and of all variables without one, to the variables that shall be restored from them.
  std::map<std::string, Variable> variables_to_restore(
      const std::optional<std::vector<Variable>>& moving_avg_variables = {}) const;

 private:
  struct Average {
    Operation of;
    Variable variable;
    bool zero_debias = false;
  };
  const Average* find(const Operation& of) const;
  Average make(const Averaged& value) const;
  Output update(const Average& average, const Averaged& value, const Output& decay) const;

  ExponentialMovingAverageOptions options_;
  std::vector<Average> averages_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
