#include "millrace/critical_section.h"

#include <algorithm>
#include <map>

#include "api/op_builder.h"

namespace millrace {
namespace {

constexpr const char* kExecutions = "critical_section_executions";

// What was built for one call of execute(), for those of other sections to look at.
class Execution final : public CollectionObject {
 public:
  Execution(Output handle, std::vector<Output> resources, bool exclusive)
      : handle(handle), resources(std::move(resources)), is_exclusive(exclusive) {}
  const Output handle;
  const std::vector<Output> resources;
  const bool is_exclusive;
};

std::string shared_name(const Node& mutex) {
  const AttrValue* attr = mutex.find_attr("shared_name");
  const auto* name = attr != nullptr ? attr->get<std::string>() : nullptr;
  return name != nullptr ? *name : std::string();
}

bool is_same_mutex(const Output& a, const Output& b) {
  if (a == b) return true;
  return a.node()->op() == "MutexV2" && !shared_name(*a.node()).empty() &&
         shared_name(*a.node()) == shared_name(*b.node()) && a.node()->device() == b.node()->device();
}

// Sections whose functions are being called on this thread, the innermost last.
std::vector<Output>& running_sections() {
  thread_local std::vector<Output> sections;
  return sections;
}

class RunningSection {
 public:
  explicit RunningSection(const Output& handle) {
    for (const Output& outer : running_sections()) {
      if (is_same_mutex(outer, handle))
        raise(invalid_argument("Attempting to lock a CriticalSection ('", handle.node()->name(),
                               "') in which we are already running. This is illegal and may cause deadlocks."));
    }
    running_sections().push_back(handle);
  }
  ~RunningSection() { running_sections().pop_back(); }
  RunningSection(const RunningSection&) = delete;
  RunningSection& operator=(const RunningSection&) = delete;
};

// All that the created nodes read comes before the lock: else one step could hold it and wait for another that wants
// it.
void read_before_locking(const std::vector<Node*>& created, Node* lock) {
  std::map<int, Node*> read;
  for (const Node* node : created) {
    for (const Output& input : node->inputs()) read.emplace(input.node()->id(), input.node());
    for (Node* input : node->control_inputs()) read.emplace(input->id(), input);
  }
  for (const Node* node : created) read.erase(node->id());
  for (const Node* input : lock->control_inputs()) read.erase(input->id());
  for (const Output& input : lock->inputs()) read.erase(input.node()->id());
  read.erase(lock->id());
  if (read.empty()) return;
  std::vector<Operation> operations;
  for (const auto& [id, node] : read) operations.push_back(Operation(node));
  const Operation all = group(operations);
  raise_if_error(lock->graph().add_control_input(lock, all.node()));
}

std::vector<Output> resources_of(const std::vector<Node*>& created) {
  std::vector<Output> resources;
  for (const Node* node : created) {
    for (const Output& input : node->inputs()) {
      if (input.dtype() == DataType::kResource && std::ranges::find(resources, input) == resources.end())
        resources.push_back(input);
    }
  }
  return resources;
}

void check_access(const Output& handle, const std::vector<Output>& resources, bool exclusive) {
  for (const Output& resource : resources) {
    if (is_same_mutex(resource, handle))
      raise(invalid_argument("Attempting to lock a CriticalSection in which we are already running ('",
                             handle.node()->name(), "'). This is illegal and may cause deadlocks."));
  }
  for (const CollectionItem& item : get_default_graph().get_collection(kExecutions)) {
    const auto* object = std::get_if<std::shared_ptr<CollectionObject>>(&item);
    const auto* other = object != nullptr ? dynamic_cast<const Execution*>(object->get()) : nullptr;
    if (other == nullptr || is_same_mutex(other->handle, handle) || !(exclusive || other->is_exclusive)) continue;
    for (const Output& resource : resources) {
      if (std::ranges::find(other->resources, resource) == other->resources.end()) continue;
      raise(invalid_argument("This execution would access the resource '", resource.name(), "'. Either this lock ('",
                             handle.node()->name(), "') or the lock '", other->handle.node()->name(),
                             "' requested exclusive resource access of it. Did you mean to execute with "
                             "exclusive_resource_access = false?"));
    }
  }
}

std::optional<std::string_view> given(std::string_view name) {
  return name.empty() ? std::nullopt : std::optional(name);
}

std::vector<Operation> operations_of(const std::vector<Output>& outputs) {
  std::vector<Operation> operations;
  for (const Output& output : outputs) operations.push_back(output.op());
  return operations;
}

std::vector<Output> identities(const std::vector<Output>& values) {
  std::vector<Output> results;
  for (const Output& value : values) results.push_back(identity(value));
  return results;
}

}  // namespace

CriticalSection::CriticalSection(const CriticalSectionOptions& options) {
  const SourceScope source(options.where);
  const name_scope scope(given(options.name), "CriticalSection");
  const control_dependencies none(nullptr);
  const std::string shared(options.shared_name.empty() ? scope.name() : options.shared_name);
  handle_ = create_output("MutexV2", {}, {{"shared_name", shared}}, scope.name());
}

std::vector<Output> CriticalSection::run(const std::function<BranchResult()>& fn, const ExecuteOptions& options) const {
  const SourceScope source(options.where);
  const name_scope scope(given(options.name), "critical_section_execute");
  GraphImpl& graph = default_graph();
  std::vector<Output> returned;
  Operation lock;
  std::vector<Node*> created;
  {
    const RunningSection running(handle_);
    lock = create_op("MutexLock", {handle_});
    const size_t before = graph.nodes().size();
    {
      const control_dependencies under_lock({lock});
      const BranchResult result = fn();
      if (result.values().empty() || !result.operations().empty())
        raise(invalid_argument("fn of a CriticalSection must return at least one tensor, and no operations"));
      for (const Input& value : result.values()) returned.push_back(convert_to_tensor(value));
    }
    created.assign(graph.nodes().begin() + static_cast<std::ptrdiff_t>(before), graph.nodes().end());
  }
  read_before_locking(created, lock.node());
  std::vector<Output> resources = resources_of(created);
  check_access(handle_, resources, options.exclusive_resource_access);

  std::vector<Output> values;
  Operation freed;
  {
    const control_dependencies computed(operations_of(identities(returned)));
    {
      const colocate_with mutex(handle_.op());
      freed = create_op("ConsumeMutexLock", {lock.output(0)});
    }
    values = tuple(returned);
  }
  const control_dependencies after(std::vector<Operation>{freed});
  get_default_graph().add_to_collection(
      kExecutions, std::make_shared<Execution>(handle_, std::move(resources), options.exclusive_resource_access));
  return identities(values);
}

}  // namespace millrace
