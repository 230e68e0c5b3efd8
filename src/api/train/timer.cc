#include "base/errors.h"
#include "millrace/train/hooks.h"

namespace millrace::train {

SecondOrStepTimer::SecondOrStepTimer(std::optional<double> every_secs, std::optional<int64_t> every_steps)
    : every_secs_(every_secs), every_steps_(every_steps) {
  if (every_secs_ && every_steps_) raise(invalid_argument("Can not provide both every_secs and every_steps."));
  if (!every_secs_ && !every_steps_) raise(invalid_argument("Either every_secs or every_steps should be provided."));
}

void SecondOrStepTimer::reset() { last_step_.reset(); }

bool SecondOrStepTimer::should_trigger_for_step(int64_t step) const {
  if (!last_step_) return true;
  if (step == *last_step_) return false;
  if (every_secs_)
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - last_time_).count() >= *every_secs_;
  return step >= *last_step_ + *every_steps_;
}

std::optional<SecondOrStepTimer::Elapsed> SecondOrStepTimer::update_last_triggered_step(int64_t step) {
  const auto now = std::chrono::steady_clock::now();
  std::optional<Elapsed> elapsed;
  if (last_step_) elapsed = Elapsed{std::chrono::duration<double>(now - last_time_).count(), step - *last_step_};
  last_step_ = step;
  last_time_ = now;
  return elapsed;
}

}  // namespace millrace::train
