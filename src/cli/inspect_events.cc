#include <algorithm>
#include <map>
#include <set>

#include "cli/inspection.h"
#include "cli/tensor_json.h"
#include "graph/proto_convert.h"
#include "io/record_reader.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace {
namespace {

struct Tag {
  std::string kind;
  int64_t count = 0, first_step = 0, last_step = 0;
  std::string last_value;  // JSON; empty where there is nothing short to show
};

std::string kind_of(const tensorflow::Summary::Value& value) {
  switch (value.value_case()) {
    case tensorflow::Summary::Value::kSimpleValue: return "scalar";
    case tensorflow::Summary::Value::kImage: return "image";
    case tensorflow::Summary::Value::kHisto: return "histogram";
    case tensorflow::Summary::Value::kAudio: return "audio";
    case tensorflow::Summary::Value::kTensor: return "tensor";
    default: return "other";
  }
}

std::string short_value(const tensorflow::Summary::Value& value) {
  switch (value.value_case()) {
    case tensorflow::Summary::Value::kSimpleValue: return number_json(static_cast<double>(value.simple_value()));
    case tensorflow::Summary::Value::kHisto:
      return str_cat("{\"min\": ", number_json(value.histo().min()), ", \"max\": ", number_json(value.histo().max()),
                     ", \"num\": ", number_json(value.histo().num()), ", \"sum\": ", number_json(value.histo().sum()),
                     "}");
    case tensorflow::Summary::Value::kImage:
      return str_cat("{\"width\": ", value.image().width(), ", \"height\": ", value.image().height(), "}");
    case tensorflow::Summary::Value::kTensor: {
      const absl::StatusOr<Tensor> tensor = from_proto(value.tensor());
      return tensor.ok() && tensor->num_elements() <= 16 ? tensor_json(*tensor) : "";
    }
    default: return "";
  }
}

// What the events of a file say, gathered one by one.
class Contents {
 public:
  void add(const tensorflow::Event& event) {
    ++events_;
    if (events_ == 1 || event.wall_time() < first_time_) first_time_ = event.wall_time();
    last_time_ = std::max(last_time_, event.wall_time());
    last_step_ = std::max(last_step_, event.step());
    switch (event.what_case()) {
      case tensorflow::Event::kFileVersion: version_ = event.file_version(); break;
      case tensorflow::Event::kGraphDef: has_graph_ = true; break;
      case tensorflow::Event::kMetaGraphDef: has_meta_graph_ = true; break;
      case tensorflow::Event::kSessionLog: ++session_logs_; break;
      case tensorflow::Event::kTaggedRunMetadata: run_metadata_.insert(event.tagged_run_metadata().tag()); break;
      case tensorflow::Event::kSummary:
        for (const auto& value : event.summary().value()) add(value, event.step());
        break;
      default: break;
    }
  }

  void describe(Inspection* result) const {
    Json& json = result->json;
    json["version"] = version_;
    json["events"] = events_;
    json["first_wall_time"] = first_time_;
    json["last_wall_time"] = last_time_;
    json["last_step"] = last_step_;
    json["graph"] = has_graph_;
    json["meta_graph"] = has_meta_graph_;
    json["session_logs"] = session_logs_;
    json["run_metadata"] = run_metadata_;
    json["tags"] = Json::array();
    str_append(&result->text, json["file"].get<std::string>(), ": event file ", version_, ", ",
               count_of(events_, "event"), ", last step ", last_step_, has_graph_ ? ", with the graph" : ", no graph",
               has_meta_graph_ ? ", with the meta graph" : "", "\n");
    size_t width = 0;
    for (const auto& [tag, seen] : tags_) width = std::max(width, std::min<size_t>(tag.size(), 60));
    for (const auto& [tag, seen] : tags_) {
      Json value = seen.last_value.empty() ? Json() : Json::parse(seen.last_value, nullptr, false);
      if (value.is_discarded()) value = seen.last_value;  // NaN and infinities, which JSON lacks, as text
      json["tags"].push_back({{"tag", tag},
                              {"kind", seen.kind},
                              {"count", seen.count},
                              {"first_step", seen.first_step},
                              {"last_step", seen.last_step},
                              {"last_value", std::move(value)}});
      str_append(&result->text, "  ", tag, std::string(width + 2 - std::min(width, tag.size()), ' '), seen.kind, "  ",
                 seen.count, "x, steps ", seen.first_step, " to ", seen.last_step,
                 seen.last_value.empty() ? "" : ", last ", seen.last_value, "\n");
    }
    for (const std::string& tag : run_metadata_) str_append(&result->text, "  run metadata ", tag, "\n");
  }

 private:
  void add(const tensorflow::Summary::Value& value, int64_t step) {
    Tag& tag = tags_[value.tag()];
    if (tag.count++ == 0) {
      tag.kind = kind_of(value);
      tag.first_step = step;
    }
    tag.last_step = step;
    tag.last_value = short_value(value);
  }

  std::map<std::string, Tag> tags_;
  std::set<std::string> run_metadata_;
  std::string version_;
  int64_t events_ = 0, last_step_ = 0, session_logs_ = 0;
  double first_time_ = 0, last_time_ = 0;
  bool has_graph_ = false, has_meta_graph_ = false;
};

absl::Status read_events(const std::string& path, Contents* contents) {
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader, RecordReader::open(path));
  std::string record;
  while (true) {
    const uint64_t offset = reader->offset();
    MR_ASSIGN_OR_RETURN(const bool more, reader->read(record));
    if (!more) return absl::OkStatus();
    tensorflow::Event event;
    if (!event.ParseFromString(record)) return data_loss(path, ": the record at offset ", offset, " is no Event");
    contents->add(event);
  }
}

}  // namespace

Inspection inspect_events(const std::string& path) {
  Inspection result;
  result.json = {{"file", path}, {"kind", "events"}};
  Contents contents;
  result.status = read_events(path, &contents);
  contents.describe(&result);
  return result;
}

}  // namespace millrace
