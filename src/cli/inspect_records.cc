#include <algorithm>
#include <map>

#include "cli/inspection.h"
#include "io/record_reader.h"
#include "tensorflow/core/example/example.pb.h"

namespace millrace {
namespace {

constexpr int64_t kParsedRecords = 1000;  // enough to see what the records are

struct FeatureSeen {
  std::string kind;
  int64_t records = 0;
  int fewest = 0, most = 0;
};

class Contents {
 public:
  void add(const std::string& record) {
    shortest_ = records_ == 0 ? record.size() : std::min<uint64_t>(shortest_, record.size());
    longest_ = std::max<uint64_t>(longest_, record.size());
    bytes_ += record.size();
    if (records_++ < kParsedRecords) add_example(record);
  }

  void describe(Inspection* result) const {
    Json& json = result->json;
    json["records"] = records_;
    json["bytes"] = bytes_;
    json["shortest"] = shortest_;
    json["longest"] = longest_;
    str_append(&result->text, json["file"].get<std::string>(), ": record file, ",
               json["compression"].get<std::string>(), ", ", count_of(records_, "record"), " of ", shortest_, " to ",
               longest_, " bytes, ", human_bytes(bytes_), " in all\n");
    if (examples_ == 0 || examples_ < std::min(records_, kParsedRecords)) return;  // something else
    json["features"] = Json::object();
    str_append(&result->text, "  tensorflow.Example with features\n");
    for (const auto& [name, seen] : features_) {
      json["features"][name] = {
          {"kind", seen.kind}, {"fewest_values", seen.fewest}, {"most_values", seen.most}, {"records", seen.records}};
      str_append(&result->text, "    ", name, ": ", seen.kind, ", ", seen.fewest,
                 seen.most != seen.fewest ? str_cat(" to ", seen.most) : "", " values",
                 seen.records < examples_ ? str_cat(", in ", seen.records, " of ", examples_) : "", "\n");
    }
  }

 private:
  static std::pair<std::string, int> kind_and_size(const tensorflow::Feature& feature) {
    switch (feature.kind_case()) {
      case tensorflow::Feature::kBytesList: return {"bytes", feature.bytes_list().value_size()};
      case tensorflow::Feature::kFloatList: return {"float", feature.float_list().value_size()};
      case tensorflow::Feature::kInt64List: return {"int64", feature.int64_list().value_size()};
      default: return {"nothing", 0};
    }
  }

  void add_example(const std::string& record) {
    tensorflow::Example example;
    if (!example.ParseFromString(record) || example.features().feature().empty()) return;
    ++examples_;
    for (const auto& [name, feature] : example.features().feature()) {
      FeatureSeen& seen = features_[name];
      const auto [kind, size] = kind_and_size(feature);
      if (seen.records++ == 0) seen = {kind, 1, size, size};
      if (seen.kind != kind) seen.kind = "mixed";
      seen.fewest = std::min(seen.fewest, size);
      seen.most = std::max(seen.most, size);
    }
  }

  std::map<std::string, FeatureSeen> features_;
  int64_t records_ = 0, examples_ = 0;
  uint64_t bytes_ = 0, shortest_ = 0, longest_ = 0;
};

absl::Status read_records(const std::string& path, Compression compression, Contents* contents) {
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                      RecordReader::open(path, {.compression = compression}));
  std::string record;
  while (true) {
    MR_ASSIGN_OR_RETURN(const bool more, reader->read(record));
    if (!more) return absl::OkStatus();
    contents->add(record);
  }
}

}  // namespace

Inspection inspect_records(const std::string& path, Compression compression) {
  Inspection result;
  result.json = {{"file", path},
                 {"kind", "records"},
                 {"compression", compression == Compression::kGzip   ? "gzip"
                                 : compression == Compression::kZlib ? "zlib"
                                                                     : "not compressed"}};
  Contents contents;
  result.status = read_records(path, compression, &contents);
  contents.describe(&result);
  return result;
}

}  // namespace millrace
