#include "runtime/step_stats.h"

#include <algorithm>
#include <chrono>
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

}  // namespace

int64_t wall_nanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

namespace {

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
  explicit Timeline(const std::vector<NodeStats>& nodes) : nodes_(nodes) {
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
      for (const std::string& input : label.inputs) add_flow(input, n);
    }
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

  const std::vector<NodeStats>& nodes_;
  std::map<std::string, int> devices_;
  std::map<uint32_t, int> threads_;
  std::map<std::string, const NodeStats*> producers_;
  int flows_ = 0;
  std::string events_;
};

}  // namespace

std::string timeline_json(const std::vector<NodeStats>& nodes) { return Timeline(nodes).json(); }

}  // namespace millrace
