// A server in this process and a session at it. With the argument "absent": the error where libmillrace_cluster.so is not installed.
#include <millrace/millrace.h>

#include <cmath>
#include <cstdio>
#include <cstring>
namespace tf = millrace;

bool trains_at_a_server() {
  auto server = tf::train::Server::create_local_server();
  auto as_default = tf::Graph().as_default();
  auto w = tf::get_variable("w", tf::TensorShape(), {.initializer = tf::zeros_initializer()});
  auto train = tf::train::GradientDescentOptimizer(0.25).minimize(tf::square(w - 3.0f));
  tf::Session session({.target = server.target()});
  session.run(tf::global_variables_initializer());
  for (int i = 0; i < 30; ++i) session.run(train);
  tf::Session second({.target = server.target()});
  return std::abs(second.run(w).scalar<float>() - 3) < 1e-3f;
}

bool says_what_to_install() try {
  tf::train::Server::create_local_server();
  return false;
} catch (const tf::errors::UnimplementedError& error) {
  std::puts(error.what());
  return std::strstr(error.what(), "libmillrace-cluster") != nullptr;
}

int main(int argc, char** argv) {
  const bool absent = argc > 1 && std::strcmp(argv[1], "absent") == 0;
  const bool good = absent ? says_what_to_install() : trains_at_a_server();
  std::puts(good ? "good" : "bad");
  return good ? 0 : 1;
}
