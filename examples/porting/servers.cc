// The samples of docs/porting.md, "Servers".
#include <millrace/millrace.h>

#include "expect.h"
namespace tf = millrace;

int main() {
  auto as_default = tf::Graph().as_default();
  tf::Output a = tf::placeholder(tf::float32, tf::TensorShape()), b = tf::placeholder(tf::float32, tf::TensorShape()),
             c = tf::placeholder(tf::float32, tf::TensorShape());
  tf::Output r1 = a + b, r2 = r1 * c;
  auto step = tf::train::get_or_create_global_step();
  // [servers]
  auto server = tf::train::Server::create_local_server();
  tf::Session session({.target = server.target()});
  session.run(tf::global_variables_initializer());
  std::string handle = session.partial_run_setup({r1, r2}, {a, b, c});
  tf::Tensor first = session.partial_run(handle, r1, {{a, 1.0f}, {b, 2.0f}});
  tf::Tensor second = session.partial_run(handle, r2, {{c, 17.0f}});
  auto supervised = tf::train::MonitoredTrainingSession({.master = server.target()});
  // [/servers]
  expect(first.scalar<float>() == 3);
  expect(second.scalar<float>() == 51);
  expect(supervised.run(step).scalar<int64_t>() == 0);
}
