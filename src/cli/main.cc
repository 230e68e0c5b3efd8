// The `millrace` command: one sub-command per file.

#include <CLI/CLI.hpp>

#include "cli/conformance.h"

int main(int argc, char** argv) {
  CLI::App app("Millrace: train and run TensorFlow graphs", "millrace");
  app.require_subcommand(1);
  int exit_code = 0;

  millrace::ConformanceOptions conformance;
  CLI::App* sub = app.add_subcommand("conformance", "Run golden records and compare with TensorFlow's results");
  sub->add_option("folder", conformance.folder, "Folder with .tfrecord files, searched to any depth")->required();
  sub->add_option("--filter", conformance.filter, "Only cases whose folder/name contains this");
  sub->add_flag("--verbose", conformance.verbose, "Show passed and skipped cases too");
  sub->callback([&] { exit_code = millrace::run_conformance(conformance); });

  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
