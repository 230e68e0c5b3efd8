#pragma once
// What scenarios share: a hook and a model.

#include <optional>
#include <string>

#include "millrace/millrace.h"
#include "supervision/record.h"

namespace millrace::records {

// Adds a fetch and a feed to each run.
class Fetcher : public train::SessionRunHook {
 public:
  Fetcher(const Output& fetch, const Output& feed) : fetch_(fetch), feed_(feed) {}
  std::optional<train::SessionRunArgs> before_run(train::SessionRunContext&) override {
    return train::SessionRunArgs{.fetches = {fetch_}, .feed_dict = {{feed_, Tensor(0.5f)}}};
  }
  void after_run(train::SessionRunContext&, const train::SessionRunValues& values) override {
    note("hook Fetcher.after_run " + number(values.results[0].scalar<float>()));
  }

 private:
  Output fetch_, feed_;
};

struct Model {
  Output loss;
  Operation train;
};

// (1.5 w - 1)^2 from w = 2, by gradient descent.
inline Model model() {
  const Variable step = train::get_or_create_global_step();
  const Variable w = get_variable("w", GetVariableOptions{.initializer = Tensor(2.0f)});
  const Output loss = square(w * 1.5 - 1.0, {.name = "loss"});
  summary::scalar("loss", loss);
  return {loss, train::GradientDescentOptimizer(0.1).minimize(loss, {.global_step = step})};
}

inline Variable float_variable(const std::string& name, float value) {
  return get_variable(name, GetVariableOptions{.initializer = Tensor(value)});
}

}  // namespace millrace::records
