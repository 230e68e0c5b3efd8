// The `millrace` command: one sub-command per file.

#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "cli/conformance.h"
#include "cli/inspect.h"
#include "cli/run.h"
#ifdef MILLRACE_CLUSTER
#include "cli/serve.h"
#endif

namespace {

constexpr int kFailure = 1, kUsage = 2;

void add_conformance(CLI::App& app, millrace::ConformanceOptions& options, int& exit_code) {
  CLI::App* sub = app.add_subcommand("conformance", "Run golden records and compare with TensorFlow's results");
  sub->add_option("folder", options.folder, "Folder with .tfrecord files, searched to any depth")
      ->required()
      ->type_name("DIR");
  sub->add_option("--filter", options.filter, "Only cases whose folder/name contains this")->type_name("TEXT");
  sub->add_option("--timeout", options.timeout_seconds, "Seconds that a case may take")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  sub->add_flag("--verbose", options.verbose, "Show passed and skipped cases too");
  sub->add_flag("--json", options.json, "Print the report as JSON");
  sub->footer("Exit code: 0 if no case failed, 1 if some did, 2 if the folder cannot be read.");
  sub->callback([&] { exit_code = millrace::run_conformance(options); });
}

void add_inspect(CLI::App& app, millrace::InspectOptions& options, int& exit_code) {
  CLI::App* sub = app.add_subcommand("inspect", "Show what is in checkpoints, graphs, event files and record files");
  sub->add_option("files", options.files,
                  "Checkpoint prefixes or .index files, graphs, event files, record files, or folders of these")
      ->required()
      ->type_name("FILE");
  sub->add_flag("--verify", options.verify, "Read checkpoints whole and compare every checksum");
  sub->add_flag("--json", options.json, "Print a JSON list with an object per file");
  sub->footer("Exit code: 0, or 1 if a file could not be read.");
  sub->callback([&] { exit_code = millrace::inspect_command(options); });
}

void add_run(CLI::App& app, millrace::RunCommandOptions& options, int& exit_code) {
  CLI::App* sub = app.add_subcommand("run", "Run steps of a graph, fetch tensors, measure");
  sub->add_option("--meta", options.meta, "The graph: a .meta file, binary or text")->required()->type_name("F.meta");
  sub->add_option("--checkpoint", options.checkpoint, "Restore this; without it the variables' initializers run")
      ->type_name("PREFIX");
  sub->add_option("--feeds", options.feeds, "Record file of one tf.train.Example: placeholder name to TensorProto")
      ->type_name("F.feeds");
  sub->add_option("--target", options.targets,
                  "Operation that a step runs, repeatable; default: the collection bench_train_op")
      ->type_name("OP")
      ->expected(1)
      ->take_all();
  sub->add_option("--steps", options.steps, "How many steps to run (default 1)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 53));
  sub->add_flag("--time", options.time, "After the fetch, measure more steps");
  sub->add_option("--fetch", options.fetches, "Tensor to fetch after the steps, repeatable")
      ->type_name("TENSOR")
      ->expected(1)
      ->take_all();
  sub->add_flag("--json", options.json,
                "Print {\"fetches\": {NAME: VALUE}, \"steps\": N, \"median_us\": T, \"best_us\": T}");
  sub->footer("Exit code: 0, or 1 if the graph could not be loaded or run.");
  sub->callback([&] { exit_code = millrace::run_command(options); });
}

#ifdef MILLRACE_CLUSTER
void add_serve(CLI::App& app, millrace::ServeCommandOptions& options, int& exit_code) {
  CLI::App* sub =
      app.add_subcommand("serve", "Run the sessions of TensorFlow clients: Session(\"grpc://localhost:PORT\")");
  sub->add_option("--port", options.port, "Port to listen on; 0 takes a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  sub->add_option("--listen", options.listen, "Address to listen on; clients are not asked who they are")
      ->type_name("ADDR")
      ->capture_default_str();
  sub->add_option("--job", options.job, "Job name of the devices")->type_name("NAME")->capture_default_str();
  sub->add_option("--task", options.task, "Task number of the devices")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--max-sessions", options.max_sessions, "Sessions at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--max-message", options.max_message_mib, "Largest message, in MiB")
      ->check(CLI::Range(1, 2047))
      ->capture_default_str();
  sub->add_option("--memory-limit", options.memory_limit_mib, "Memory of all tensors, in MiB; 0: the machine's")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->footer("Prints \"READY grpc://localhost:PORT\". SIGTERM ends it. Exit code: 0, or 1 if it cannot listen.");
  sub->callback([&] { exit_code = millrace::serve_command(options); });
}
#endif

}  // namespace

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);  // what is wrong with a message, our own errors say
  CLI::App app("Millrace: train, run and look at TensorFlow graphs", "millrace");
  app.set_version_flag("--version", std::string("millrace ") + MILLRACE_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  millrace::ConformanceOptions conformance;
  millrace::InspectOptions inspect;
  millrace::RunCommandOptions run;
  add_conformance(app, conformance, exit_code);
  add_inspect(app, inspect, exit_code);
  add_run(app, run, exit_code);
#ifdef MILLRACE_CLUSTER
  millrace::ServeCommandOptions serve;
  add_serve(app, serve, exit_code);
#endif
  const std::vector<CLI::App*> known = app.get_subcommands([](CLI::App*) { return true; });
  if (argc > 1 && argv[1][0] != '-' &&
      std::ranges::none_of(known, [&](CLI::App* sub) { return sub->get_name() == argv[1]; })) {
    // Only a build without servers does not know this one.
    const bool serve = std::string(argv[1]) == "serve";
    std::fprintf(stderr, "millrace: there is no sub-command '%s'%s; millrace --help lists them\n", argv[1],
                 serve ? " in this build (MILLRACE_CLUSTER=OFF)" : "");
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;  // --help and --version are no errors
  } catch (const std::exception& e) {
    std::fprintf(stderr, "millrace: %s\n", e.what());
    return kFailure;
  }
  return exit_code;
}
