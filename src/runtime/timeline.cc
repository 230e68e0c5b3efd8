#include "runtime/timeline.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace millrace {
namespace {

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += absl::StrFormat("\\u%04x", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

double micros(int64_t nanos) { return static_cast<double>(nanos) / 1e3; }

// The parts of "y = Identity(mul, add:1)".
struct Label {
  std::string op;
  std::vector<std::string> inputs;
};

Label parse_label(const NodeStats& n) {
  const size_t equals = n.label.find(" = "), open = n.label.find('('), close = n.label.rfind(')');
  if (equals == std::string::npos || open == std::string::npos || open < equals || close == std::string::npos ||
      close < open)
    return {n.node_name, {}};
  const std::string inputs = n.label.substr(open + 1, close - open - 1);
  return {n.label.substr(equals + 3, open - equals - 3), absl::StrSplit(inputs, ", ", absl::SkipEmpty())};
}

class Timeline {
 public:
  Timeline(const std::vector<NodeStats>& nodes, const TimelineOptions& options) : nodes_(nodes), options_(options) {
    for (const NodeStats& n : nodes) {
      devices_.try_emplace(n.device, static_cast<int>(devices_.size()) + 1);
      threads_.try_emplace(n.thread, static_cast<int>(threads_.size()));
      producers_.try_emplace(n.node_name, &n);
    }
  }

  std::string json() {
    for (const auto& [name, pid] : devices_) {
      add(str_cat("\"name\": \"process_name\", \"ph\": \"M\", \"pid\": ", pid,
                  ", \"args\": {\"name\": ", json_text(str_cat(name, " Compute")), "}"));
    }
    for (const NodeStats& n : nodes_) {
      const Label label = parse_label(n);
      add(str_cat("\"name\": ", json_text(label.op), ", \"cat\": \"Op\", \"ph\": \"X\"", place(n, n.start_nanos),
                  ", \"dur\": ", absl::StrFormat("%.3f", micros(n.end_nanos - n.start_nanos)),
                  ", \"args\": {\"name\": ", json_text(n.node_name), ", \"op\": ", json_text(label.op), "}"));
      if (!options_.show_dataflow) continue;
      for (const std::string& input : label.inputs) add_flow(input, n);
    }
    if (options_.show_memory) add_memory();
    return str_cat("{\n    \"traceEvents\": [", events_, "\n    ]\n}\n");
  }

 private:
  void add(const std::string& fields) {
    str_append(&events_, events_.empty() ? "\n" : ",\n", "        {", fields, "}");
  }

  std::string place(const NodeStats& n, int64_t nanos) {
    return str_cat(", \"pid\": ", devices_[n.device], ", \"tid\": ", threads_[n.thread],
                   ", \"ts\": ", absl::StrFormat("%.3f", micros(nanos)));
  }

  // An arrow from the producer of an input to a consumer on another line.
  void add_flow(const std::string& input, const NodeStats& consumer) {
    const auto found = producers_.find(input.substr(0, input.find(':')));
    if (found == producers_.end()) return;  // fed, or optimized away
    const NodeStats& producer = *found->second;
    if (producer.device == consumer.device && producer.thread == consumer.thread) return;
    const std::string common = str_cat("\"name\": ", json_text(input), ", \"cat\": \"DataFlow\", \"id\": ", flows_++);
    add(str_cat(common, ", \"ph\": \"s\"", place(producer, producer.end_nanos)));
    add(str_cat(common, ", \"ph\": \"t\"", place(consumer, consumer.start_nanos)));
  }

  // One that an op gave: there from the op's start to the end of its last reader.
  struct Lifetime {
    std::string name;
    const NodeStats* producer = nullptr;
    const OutputStats* output = nullptr;
    int64_t end_nanos = 0;
  };

  std::vector<Lifetime> lifetimes() const {
    std::vector<Lifetime> tensors;
    std::map<std::string, size_t> by_name;
    for (const NodeStats& n : nodes_) {
      for (const OutputStats& o : n.outputs) {
        std::string name = o.slot == 0 ? n.node_name : str_cat(n.node_name, ":", o.slot);
        by_name[name] = tensors.size();
        tensors.push_back({std::move(name), &n, &o, n.end_nanos});
      }
    }
    for (const NodeStats& n : nodes_) {
      for (const std::string& input : parse_label(n).inputs) {
        const auto found = by_name.find(input);
        if (found == by_name.end()) continue;  // fed, or a control input
        tensors[found->second].end_nanos = std::max(tensors[found->second].end_nanos, n.end_nanos);
      }
    }
    return tensors;
  }

  std::string at(int pid, int64_t nanos) const {
    return str_cat(", \"pid\": ", pid, ", \"tid\": 0, \"ts\": ", absl::StrFormat("%.3f", micros(nanos)));
  }

  // Tensors as objects of their device, with what they are; and the bytes of all that are there, as a curve.
  void add_memory() {
    const int allocators = static_cast<int>(devices_.size()) + 1;
    const auto tensors_of = [&](const NodeStats& n) { return allocators + devices_[n.device]; };
    const auto name_process = [&](int pid, const std::string& name) {
      add(str_cat("\"name\": \"process_name\", \"ph\": \"M\", \"pid\": ", pid,
                  ", \"args\": {\"name\": ", json_text(name), "}"));
    };
    name_process(allocators, "Allocators");
    for (const auto& [name, pid] : devices_) name_process(allocators + pid, str_cat(name, " Tensors"));
    std::map<int64_t, int64_t> changes;  // of bytes, by time
    int object = 0;
    for (const Lifetime& t : lifetimes()) {
      const int pid = tensors_of(*t.producer);
      const std::string common = str_cat("\"name\": ", json_text(t.name), ", \"cat\": \"Tensor\", \"id\": ", object++);
      add(str_cat(common, ", \"ph\": \"N\"", at(pid, t.producer->start_nanos)));
      const std::string description =
          str_cat(dtype_name(t.output->dtype), " ", PartialTensorShape(t.output->shape).to_string(), ", ",
                  t.output->bytes, " bytes");
      add(str_cat(common, ", \"ph\": \"O\"", at(pid, t.producer->end_nanos),
                  ", \"args\": {\"snapshot\": {\"tensor_description\": ", json_text(description), "}}"));
      add(str_cat(common, ", \"ph\": \"D\"", at(pid, t.end_nanos)));
      changes[t.producer->start_nanos] += t.output->bytes;
      changes[t.end_nanos] -= t.output->bytes;
    }
    int64_t bytes = 0;
    for (const auto& [nanos, change] : changes) {
      bytes += change;
      add(str_cat("\"name\": \"cpu\", \"cat\": \"Memory\", \"ph\": \"C\"", at(allocators, nanos),
                  ", \"args\": {\"cpu\": ", bytes, "}"));
    }
  }

  const std::vector<NodeStats>& nodes_;
  const TimelineOptions options_;
  std::map<std::string, int> devices_;
  std::map<uint32_t, int> threads_;
  std::map<std::string, const NodeStats*> producers_;
  int flows_ = 0;
  std::string events_;
};

}  // namespace

std::string timeline_json(const std::vector<NodeStats>& nodes, const TimelineOptions& options) {
  return Timeline(nodes, options).json();
}

}  // namespace millrace
