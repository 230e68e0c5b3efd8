#pragma once
// Records of what a supervised program does, as lines in the order in which things happen on its thread: calls of
// hooks, runs of sessions (what was fed, fetched and run, by name), files that appeared or went, what was logged; then
// the events of each event file. supervision_tf.py makes the same of TensorFlow.

#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace millrace::records {

// Adds a line; of other threads than the program's first none.
void note(const std::string& line);

// Runs a scenario in a folder and a graph of its own. The error that leaves it is a line too.
std::vector<std::string> record(const std::function<void()>& scenario);

std::string class_of(const std::exception& error);  // "DataLossError"

// As Python prints them.
std::string list(const std::vector<std::string>& names);
std::string truth(bool value);
std::string number(float value);

}  // namespace millrace::records
