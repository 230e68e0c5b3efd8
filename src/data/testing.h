#pragma once
// For tests of input pipelines: functions written as lambdas, and whole sequences.

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "data/captured_function.h"

namespace millrace {

// A FunctionRunner whose functions are lambdas by name.
class LambdaFunctions final : public FunctionRunner {
 public:
  using Body = std::function<absl::StatusOr<std::vector<Tensor>>(std::vector<Tensor>, CancellationScope*)>;

  void add(std::string name, std::vector<DataType> inputs, std::vector<DataType> outputs, Body body) {
    functions_[std::move(name)] = std::make_shared<Lambda>(std::move(inputs), std::move(outputs), std::move(body));
  }
  // int64 -> int64
  void add(std::string name, std::function<int64_t(int64_t)> body) {
    add(std::move(name), {DataType::kInt64}, {DataType::kInt64},
        [body](std::vector<Tensor> args, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
          return std::vector<Tensor>{Tensor(body(args[0].scalar<int64_t>()))};
        });
  }
  absl::StatusOr<std::shared_ptr<CallableFunction>> instantiate(const FunctionRef& f) override {
    const auto it = functions_.find(f.name);
    if (it == functions_.end()) return not_found("no function ", f.name);
    return std::shared_ptr<CallableFunction>(it->second);
  }
  void schedule(std::function<void()> work) override { std::thread(std::move(work)).detach(); }
  FunctionPtr captured(const std::string& name, std::vector<Tensor> values = {}) {
    return CapturedFunction::make(this, FunctionRef(name), std::move(values)).value();
  }

 private:
  class Lambda final : public CallableFunction {
   public:
    Lambda(std::vector<DataType> inputs, std::vector<DataType> outputs, Body body)
        : inputs_(std::move(inputs)), outputs_(std::move(outputs)), body_(std::move(body)) {}
    const std::vector<DataType>& input_types() const override { return inputs_; }
    const std::vector<DataType>& output_types() const override { return outputs_; }
    bool is_stateless() const override { return true; }
    void run(std::vector<Tensor> args, CancellationScope* scope, Done done) override {
      auto result = body_(std::move(args), scope);
      done(result.status(), result.ok() ? *result : std::vector<Tensor>{});
    }
    absl::StatusOr<std::vector<Tensor>> run_sync(std::vector<Tensor> args, CancellationScope* scope) override {
      return body_(std::move(args), scope);
    }

   private:
    std::vector<DataType> inputs_, outputs_;
    Body body_;
  };
  std::map<std::string, std::shared_ptr<Lambda>> functions_;
};

}  // namespace millrace
