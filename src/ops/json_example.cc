// DecodeJSONExample: tf.train.Examples written as JSON.

#include <memory>
#include <string>

#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/type_resolver.h"
#include "google/protobuf/util/type_resolver_util.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "tensorflow/core/example/example.pb.h"

namespace millrace {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com";

class DecodeJSONExample final : public Kernel {
 public:
  absl::Status init(KernelInit&) override {
    resolver_.reset(google::protobuf::util::NewTypeResolverForDescriptorPool(
        kTypePrefix, google::protobuf::DescriptorPool::generated_pool()));
    type_ = str_cat(kTypePrefix, "/", tensorflow::Example::descriptor()->full_name());
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto texts, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto parsed = google::protobuf::util::JsonToBinaryString(resolver_.get(), type_, texts[i], &out[i]);
      if (!parsed.ok()) return invalid_argument("Error while parsing JSON: ", parsed.ToString());
    }
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<google::protobuf::util::TypeResolver> resolver_;  // thread-safe
  std::string type_;
};

}  // namespace

void register_json_example(Registry& registry) {
  registry.op("DecodeJSONExample")
      .input("json_examples: string")
      .output("binary_examples: string")
      .shape(unchanged_shape)
      .cpu<DecodeJSONExample>()
      .not_differentiable()
      .doc("JSON texts of tf.train.Examples as serialized ones.");
}

}  // namespace millrace
