#include "runtime/placer.h"

#include <algorithm>
#include <numeric>

#include "base/log.h"

namespace millrace {
namespace {

// Nodes that must stay together share one entry.
class Groups {
 public:
  explicit Groups(size_t n) : parent_(n), wanted_(n) { std::iota(parent_.begin(), parent_.end(), 0); }
  int root(int i) {
    while (parent_[static_cast<size_t>(i)] != i) {
      parent_[static_cast<size_t>(i)] = parent_[static_cast<size_t>(parent_[static_cast<size_t>(i)])];
      i = parent_[static_cast<size_t>(i)];
    }
    return i;
  }
  DeviceName& wanted(int i) { return wanted_[static_cast<size_t>(root(i))]; }
  absl::Status join(int a, int b, bool soft) {
    a = root(a), b = root(b);
    if (a == b) return absl::OkStatus();
    MR_RETURN_IF_ERROR(merge_wishes(&wanted_[static_cast<size_t>(a)], wanted_[static_cast<size_t>(b)], soft));
    parent_[static_cast<size_t>(b)] = a;
    return absl::OkStatus();
  }

 private:
  std::vector<int> parent_;
  std::vector<DeviceName> wanted_;
};

std::string device_list(const std::vector<Device>& devices) {
  std::string text;
  for (const Device& d : devices) str_append(&text, text.empty() ? "" : ", ", d.name);
  return text;
}

absl::Status cannot_assign(const PlanNode& node, std::string_view why) {
  return invalid_argument("Cannot assign a device for operation ", node.name, ": ", why, "\n\t [[{{node ", node.name,
                          "}}]]");
}

absl::Status not_available(const PlanNode& node, const DeviceName& wanted, const std::vector<Device>& devices) {
  return cannot_assign(
      node, str_cat("{{node ", node.name, "}} was explicitly assigned to ", wanted.to_string(),
                    " but available devices are [ ", device_list(devices),
                    " ]. Make sure the device specification refers to a valid device.",
                    wanted.type == "GPU" ? " The requested device appears to be a GPU, but this build has none." : ""));
}

class Placer {
 public:
  Placer(Plan& plan, const Runtime& runtime)
      : plan_(plan), runtime_(runtime), soft_(runtime.options().allow_soft_placement), groups_(plan.nodes.size()) {}

  absl::Status run() {
    MR_RETURN_IF_ERROR(read_wishes());
    MR_RETURN_IF_ERROR(join_groups());
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      if (PlanNode& node = plan_.nodes[i]; node.state) MR_RETURN_IF_ERROR(assign(node, static_cast<int>(i)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status read_wishes() {
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      by_name_[node.name] = static_cast<int>(i);
      if (!node.state) continue;
      absl::StatusOr<DeviceName> name = parse_device(node.info().device);
      if (!name.ok()) return annotate(name.status(), str_cat("node '", node.name, "'"));
      groups_.wanted(static_cast<int>(i)) = *std::move(name);
    }
    return absl::OkStatus();
  }

  absl::Status join_groups() {
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      if (!node.state) continue;
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        const ValueRef& input = node.inputs[k];
        // A reference and what takes it as one share memory.
        if (is_ref(node.input_type(static_cast<int>(k))) && is_ref(plan_.at(input.node).output_type(input.index))) {
          MR_RETURN_IF_ERROR(join(node, static_cast<int>(i), input.node));
        }
      }
      const auto it = node.info().attrs.find("_class");
      if (it == node.info().attrs.end()) continue;
      const auto* classes = it->second.get<std::vector<std::string>>();
      if (classes == nullptr) continue;
      for (const std::string& c : *classes) {
        if (!c.starts_with("loc:@")) continue;
        if (const auto other = by_name_.find(c.substr(5)); other != by_name_.end() && plan_.at(other->second).state) {
          MR_RETURN_IF_ERROR(join(node, static_cast<int>(i), other->second));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status join(const PlanNode& node, int a, int b) {
    absl::Status status = groups_.join(a, b, soft_);
    if (status.ok()) return status;
    return cannot_assign(node, str_cat("Could not colocate node with its resource and reference inputs or colocation "
                                       "group; ",
                                       to_std(status.message())));
  }

  absl::Status assign(PlanNode& node, int index) {
    const DeviceName& wanted = groups_.wanted(index);
    const Device* fits = nullptr;
    for (const Device& device : runtime_.devices()) {
      if (!device_matches(wanted, device.parsed)) continue;
      fits = &device;
      break;
    }
    if (fits == nullptr && soft_) {
      // Soft placement gives up the device's type and number, not its task.
      DeviceName loose = wanted;
      loose.type.reset();
      loose.id.reset();
      for (const Device& device : runtime_.devices()) {
        if (device_matches(loose, device.parsed)) {
          fits = &device;
          break;
        }
      }
    }
    if (fits == nullptr) return not_available(node, wanted, runtime_.devices());
    if (node.info().device != fits->name) {
      if (runtime_.options().log_device_placement) log_info(node.name, ": (", node.op, "): ", fits->name);
      node.state->info.device = fits->name;
    }
    return absl::OkStatus();
  }

  Plan& plan_;
  const Runtime& runtime_;
  const bool soft_;
  Groups groups_;
  absl::flat_hash_map<std::string, int> by_name_;
};

}  // namespace

absl::Status place(Plan& plan, const Runtime& runtime) { return Placer(plan, runtime).run(); }

}  // namespace millrace
