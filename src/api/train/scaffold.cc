#include "api/op_builder.h"
#include "api/train/hook_support.h"
#include "base/log.h"
#include "millrace/array_ops.h"
#include "millrace/summary.h"
#include "millrace/train/monitored_session.h"

namespace millrace::train {
namespace {

// There are no resources that register an initializer yet: TF1 makes empty groups for them all the same.
Operation initialize_resources() { return no_op({.name = "init"}); }

Output report_uninitialized_resources() {
  const name_scope scope("report_uninitialized_resources");
  const device cpu("/cpu:0");
  return constant(Tensor(TensorShape({0}), std::vector<std::string>()));
}

Operation default_init_op() {
  const Operation variables = global_variables_initializer();
  return group({variables, initialize_resources()});
}

Output default_ready_op() {
  const Output variables = report_uninitialized_variables();
  return concat({variables, report_uninitialized_resources()}, 0);
}

Output default_ready_for_local_init_op() {
  const Output variables = report_uninitialized_variables({.var_list = global_variables()});
  return concat({variables, report_uninitialized_resources()}, 0);
}

Saver saver_or_default() {
  const std::vector<CollectionItem> collected = get_collection(GraphKeys::SAVERS);
  if (collected.size() > 1)
    raise(failed_precondition(
        "More than one item in collection savers. Please indicate which one to use by passing it to the Scaffold."));
  if (!collected.empty()) return saver_in(collected[0]);
  const Saver saver({.sharded = true, .allow_empty = true});
  add_to_collection(GraphKeys::SAVERS, saver);
  return saver;
}

}  // namespace

Saver saver_in(const CollectionItem& item) {
  const auto* object = std::get_if<std::shared_ptr<CollectionObject>>(&item);
  const Saver saver = object ? saver_of(*object) : Saver(nullptr);
  if (!saver) raise(failed_precondition("The item in collection ", GraphKeys::SAVERS, " is not a saver."));
  return saver;
}

Operation tables_initializer() {
  const std::vector<Operation> tables = get_collection<Operation>(GraphKeys::TABLE_INITIALIZERS);
  return tables.empty() ? no_op({.name = "init_all_tables"}) : group(tables, {.name = "init_all_tables"});
}

Operation Scaffold::default_local_init_op() {
  const Operation variables = local_variables_initializer();
  const Operation tables = tables_initializer();
  return group({variables, tables, initialize_resources()});
}

// More than one in a collection: which is meant cannot be known.
template <class T>
T Scaffold::get_or_default(const std::string& argument, const std::string& key, const std::function<T()>& make) {
  const std::vector<T> collected = get_collection<T>(key);
  if (collected.size() > 1) {
    raise(failed_precondition("More than one item in the collection \"", key,
                              "\". Please indicate which one to use by passing it to the Scaffold: {.", argument,
                              " = item to use}"));
  }
  if (!collected.empty()) return collected[0];
  const T made = make();
  if (made) add_to_collection(key, made);
  return made;
}
template Operation Scaffold::get_or_default(const std::string&, const std::string&, const std::function<Operation()>&);
template Output Scaffold::get_or_default(const std::string&, const std::string&, const std::function<Output()>&);

Scaffold::Scaffold(const ScaffoldOptions& options) : options_(options) {
  if (!options_.copy_from_scaffold) return;
  const ScaffoldOptions& from = options_.copy_from_scaffold->options_;
  ScaffoldOptions& o = options_;
  if (!o.init_op) o.init_op = from.init_op;
  if (o.init_feed_dict.empty()) o.init_feed_dict = from.init_feed_dict;
  if (!o.init_fn) o.init_fn = from.init_fn;
  if (!o.ready_op) o.ready_op = from.ready_op;
  if (!o.ready_for_local_init_op) o.ready_for_local_init_op = from.ready_for_local_init_op;
  if (!o.local_init_op) o.local_init_op = from.local_init_op;
  if (o.local_init_feed_dict.empty()) o.local_init_feed_dict = from.local_init_feed_dict;
  if (!o.summary_op) o.summary_op = from.summary_op;
  if (!o.saver) o.saver = from.saver;
  o.copy_from_scaffold.reset();
}

std::function<void(Session&)> Scaffold::init_fn() {
  if (!options_.init_fn) return {};
  return [this](Session& session) { options_.init_fn(*this, session); };
}

void Scaffold::finalize() {
  ScaffoldOptions& o = options_;
  if (!o.init_op) o.init_op = get_or_default<Operation>("init_op", GraphKeys::INIT_OP, default_init_op);
  if (!o.ready_op) o.ready_op = get_or_default<Output>("ready_op", GraphKeys::READY_OP, default_ready_op);
  if (!o.ready_for_local_init_op) {
    o.ready_for_local_init_op = get_or_default<Output>("ready_for_local_init_op", GraphKeys::READY_FOR_LOCAL_INIT_OP,
                                                       default_ready_for_local_init_op);
  }
  if (!o.local_init_op)
    o.local_init_op = get_or_default<Operation>("local_init_op", GraphKeys::LOCAL_INIT_OP, default_local_init_op);
  if (!o.summary_op) {
    o.summary_op = get_or_default<Output>("summary_op", GraphKeys::SUMMARY_OP, [] { return summary::merge_all(); });
  }
  if (!o.saver) o.saver = saver_or_default();
  get_default_graph().finalize();
  log_info("Graph was finalized.");
}

}  // namespace millrace::train
