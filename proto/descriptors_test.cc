// Holds our descriptors against a listing of TensorFlow's (descriptors.txt): every message, field, number and type.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/device_attributes.pb.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/protobuf/control_flow.pb.h"
#include "tensorflow/core/protobuf/error_codes.pb.h"
#include "tensorflow/core/protobuf/named_tensor.pb.h"
#include "tensorflow/core/protobuf/queue_runner.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow/core/protobuf/tensor_bundle.pb.h"
#include "tensorflow/core/util/event.pb.h"
#include "tensorflow/core/util/saved_tensor_slice.pb.h"
#include "tensorflow/python/training/checkpoint_state.pb.h"

namespace {

namespace pb = google::protobuf;

std::string type_of(const pb::FieldDescriptor& field) {
  if (field.message_type()) return field.message_type()->full_name();
  if (field.enum_type()) return field.enum_type()->full_name();
  return field.type_name();
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Keeps generated files linked in that nothing else here refers to.
std::vector<const pb::Descriptor*> link_files() {
  using namespace tensorflow;
  return {Example::descriptor(),         CondContextDef::descriptor(),    NamedTensorProto::descriptor(),
          QueueRunnerDef::descriptor(),  SavedModel::descriptor(),        BundleHeaderProto::descriptor(),
          Event::descriptor(),           SavedTensorSlices::descriptor(), RunMetadata::descriptor(),
          CheckpointState::descriptor(), DeviceLocality::descriptor()};
}

TEST(Descriptors, AgreeWithTensorFlow) {
  ASSERT_FALSE(link_files().empty());
  const auto lines = lines_of(MILLRACE_SOURCE_DIR "/proto/descriptors.txt");
  ASSERT_GT(lines.size(), 1000u);
  const auto* pool = pb::DescriptorPool::generated_pool();
  const pb::Descriptor* message = nullptr;
  const pb::EnumDescriptor* enumeration = nullptr;
  int listed_fields = 0;
  auto all_fields_listed = [&] {
    if (message) {
      EXPECT_EQ(message->field_count(), listed_fields) << message->full_name() << " has fields not listed";
    }
    listed_fields = 0;
  };
  for (const std::string& line : lines) {
    std::istringstream words(line);
    std::string kind, name;
    words >> kind >> name;
    if (line[0] != ' ') {
      all_fields_listed();
      message = nullptr;
      enumeration = nullptr;
    }
    if (kind == "file") {
      EXPECT_NE(pool->FindFileByName(name), nullptr) << name;
    } else if (kind == "message") {
      message = pool->FindMessageTypeByName(name);
      ASSERT_NE(message, nullptr) << name;
    } else if (kind == "enum") {
      enumeration = pool->FindEnumTypeByName(name);
      ASSERT_NE(enumeration, nullptr) << name;
    } else if (enumeration) {
      const auto* value = enumeration->FindValueByName(name);
      ASSERT_NE(value, nullptr) << enumeration->full_name() << " lacks " << name;
      EXPECT_EQ(value->number(), std::stoi(kind)) << value->full_name();
    } else {
      ++listed_fields;
      const auto* field = message->FindFieldByNumber(std::stoi(kind));
      ASSERT_NE(field, nullptr) << message->full_name() << " lacks " << line;
      std::string type;
      words >> type;
      const bool repeated = type == "repeated";
      if (repeated) words >> type;
      EXPECT_EQ(field->name(), name) << field->full_name();
      EXPECT_EQ(field->is_repeated(), repeated) << field->full_name();
      EXPECT_EQ(type_of(*field), type) << field->full_name();
    }
  }
  all_fields_listed();
}

TEST(Descriptors, FilesKeepTensorFlowsPaths) {
  ASSERT_FALSE(link_files().empty());
  EXPECT_EQ(tensorflow::GraphDef::descriptor()->file()->name(), "tensorflow/core/framework/graph.proto");
  EXPECT_EQ(tensorflow::HistogramProto::descriptor()->file()->name(), "xla/tsl/protobuf/histogram.proto");
}

}  // namespace
