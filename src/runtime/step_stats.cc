#include "runtime/step_stats.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "absl/strings/str_format.h"

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

std::string timeline_json(const std::vector<NodeStats>& nodes) {
  std::map<std::string, int> devices;
  std::map<uint32_t, int> threads;
  for (const NodeStats& n : nodes) {
    devices.try_emplace(n.device, static_cast<int>(devices.size()) + 1);
    threads.try_emplace(n.thread, static_cast<int>(threads.size()));
  }
  std::string out = "{\n    \"traceEvents\": [";
  const char* separator = "\n";
  for (const auto& [name, pid] : devices) {
    str_append(&out, separator, "        {\"name\": \"process_name\", \"ph\": \"M\", \"pid\": ", pid,
               ", \"args\": {\"name\": ", json_text(str_cat(name, " Compute")), "}}");
    separator = ",\n";
  }
  for (const NodeStats& n : nodes) {
    const size_t begin = n.label.find("= "), end = n.label.find('(');
    const std::string op = begin != std::string::npos && end != std::string::npos && end > begin
                               ? n.label.substr(begin + 2, end - begin - 2)
                               : n.node_name;
    str_append(&out, separator, "        {\"name\": ", json_text(op),
               ", \"cat\": \"Op\", \"ph\": \"X\", \"pid\": ", devices[n.device], ", \"tid\": ", threads[n.thread],
               ", \"ts\": ", absl::StrFormat("%.3f", static_cast<double>(n.start_nanos) / 1e3),
               ", \"dur\": ", absl::StrFormat("%.3f", static_cast<double>(n.end_nanos - n.start_nanos) / 1e3),
               ", \"args\": {\"name\": ", json_text(n.node_name), ", \"op\": ", json_text(op), "}}");
    separator = ",\n";
  }
  return out + "\n    ]\n}\n";
}

}  // namespace millrace
