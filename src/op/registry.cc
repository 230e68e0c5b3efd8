#include "op/registry.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "op/kernel.h"

namespace millrace {
namespace {

// Arguments name their type attributes before or after these are declared; a list-typed one makes a type_list argument.
void resolve_type_lists(OpDef* def) {
  for (auto* args : {&def->inputs, &def->outputs}) {
    for (ArgDef& arg : *args) {
      const AttrDef* attr = def->find_attr(arg.type_attr);
      if (attr != nullptr && attr->type == "list(type)") arg.type_list_attr = std::exchange(arg.type_attr, "");
    }
  }
}

std::string describe(const KernelDef& kernel) {
  std::string text = str_cat("device='", kernel.device, "'");
  for (const auto& c : kernel.constraints) str_append(&text, "; ", c.attr, " in [", dtype_name(c.type), "]");
  return text;
}

bool matches(const KernelDef& kernel, std::string_view device, const AttrMap& attrs) {
  if (kernel.device != device) return false;
  return std::ranges::all_of(kernel.constraints, [&](const KernelDef::Constraint& c) {
    const auto it = attrs.find(c.attr);
    if (it == attrs.end()) return false;
    if (const auto* type = it->second.get<DataType>()) return *type == c.type;
    const auto* types = it->second.get<std::vector<DataType>>();
    return types != nullptr && std::ranges::all_of(*types, [&](DataType t) { return t == c.type; });
  });
}

}  // namespace

OpBuilder& OpBuilder::input(std::string_view spec) {
  if (auto arg = parse_arg(spec); arg.ok()) {
    entry_->def.inputs.push_back(*std::move(arg));
    resolve_type_lists(&entry_->def);
  } else {
    errors_->push_back(str_cat(entry_->def.name, ": ", arg.status().message()));
  }
  return *this;
}

OpBuilder& OpBuilder::output(std::string_view spec) {
  if (auto arg = parse_arg(spec); arg.ok()) {
    entry_->def.outputs.push_back(*std::move(arg));
    resolve_type_lists(&entry_->def);
  } else {
    errors_->push_back(str_cat(entry_->def.name, ": ", arg.status().message()));
  }
  return *this;
}

OpBuilder& OpBuilder::attr(std::string_view spec) {
  if (auto attr = parse_attr(spec); attr.ok()) {
    entry_->def.attrs.push_back(*std::move(attr));
    resolve_type_lists(&entry_->def);
  } else {
    errors_->push_back(str_cat(entry_->def.name, ": ", attr.status().message()));
  }
  return *this;
}

struct Registry::Entries {
  absl::flat_hash_map<std::string, std::unique_ptr<OpEntry>> by_name;
};

Registry::Registry() : entries_(std::make_unique<Entries>()) {}
Registry::~Registry() = default;

OpBuilder Registry::op(std::string_view name) {
  auto entry = std::make_unique<OpEntry>();
  entry->def.name = name;
  const auto [it, inserted] = entries_->by_name.try_emplace(std::string(name), std::move(entry));
  if (!inserted) errors_.push_back(str_cat(name, ": registered twice"));
  return OpBuilder(it->second.get(), &errors_);
}

const OpEntry* Registry::find(std::string_view name) const {
  const auto it = entries_->by_name.find(to_absl(name));
  return it == entries_->by_name.end() ? nullptr : it->second.get();
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_->by_name) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

absl::StatusOr<const KernelDef*> Registry::find_kernel(std::string_view op, std::string_view device,
                                                       const AttrMap& attrs) const {
  const OpEntry* entry = find(op);
  if (entry == nullptr) return not_found("Op type not registered '", op, "'");
  for (const KernelDef& kernel : entry->kernels) {
    if (matches(kernel, device, attrs)) return &kernel;
  }
  std::string wanted, known;
  for (const AttrDef& attr : entry->def.attrs) {
    if (const auto it = attrs.find(attr.name); it != attrs.end())
      str_append(&wanted, wanted.empty() ? "" : ", ", attr.name, "=", it->second.to_string());
  }
  for (const KernelDef& kernel : entry->kernels) str_append(&known, "\n  ", describe(kernel));
  return not_found("No OpKernel was registered to support Op '", op, "' on ", device, " with attrs [", wanted,
                   "]. Registered kernels:", known.empty() ? "\n  <no registered kernels>" : known);
}

}  // namespace millrace
