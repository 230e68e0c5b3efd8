#include <set>

#include "api/op_builder.h"
#include "base/errors.h"
#include "millrace/data_experimental.h"

namespace millrace::data::experimental {
namespace {

int64_t policy_number(const std::string& policy) {
  if (policy == "warn") return 0;
  if (policy == "ignore") return 1;
  if (policy == "fail") return 2;
  raise(invalid_argument("Unexpected value of external_state_policy: '", policy,
                         "', expected one of 'warn', 'ignore' and 'fail'."));
}

train::SaveableObject saveable(const Output& resource, const std::string& external_state_policy) {
  const Output state =
      create_output("SerializeIterator", {resource}, {{"external_state_policy", policy_number(external_state_policy)}});
  const auto restore = [resource](const std::vector<Output>& restored) {
    const colocate_with beside(resource.op());
    return create_op("DeserializeIterator", {resource, restored.at(0)});
  };
  return {resource, {{.tensor = state, .name = resource.name() + "_STATE"}}, resource.name(), restore};
}

}  // namespace

train::SaveableObject make_saveable_from_iterator(const Iterator& iterator, const std::string& external_state_policy) {
  return saveable(iterator.resource(), external_state_policy);
}

CheckpointInputPipelineHook::CheckpointInputPipelineHook(const Options& options) : options_(options) {
  policy_number(options_.external_state_policy);
}

void CheckpointInputPipelineHook::begin() {
  if (!get_collection(GraphKeys::SAVERS).empty())
    raise(
        failed_precondition("CheckpointInputPipelineHook: the graph has a saver already, which was made without the "
                            "positions of iterators; add make_saveable_from_iterator(...) to the collection "
                            "SAVEABLE_OBJECTS before you make it."));
  const std::vector<Output> iterators = get_collection<Output>("iterators");
  if (iterators.empty())
    raise(
        failed_precondition("CheckpointInputPipelineHook: the graph has no iterators whose position could be saved."));
  std::set<std::string> known;
  for (const train::SaveableObject& object : train::saveable_objects()) known.insert(object.name());
  for (const Output& resource : iterators) {
    // Iterators that string handles choose are others' positions.
    if (resource.op().type() == "IteratorFromStringHandleV2" || !known.insert(resource.name()).second) continue;
    add_to_collection(GraphKeys::SAVEABLE_OBJECTS, saveable(resource, options_.external_state_policy));
  }
}

}  // namespace millrace::data::experimental
