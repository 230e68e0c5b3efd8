#pragma once
// Where shape functions run: while a node is made TensorFlow refuses some shapes that its kernels take when they are
// fed (a window that is larger than its image by less than a stride).

namespace millrace {

// True in this thread while a shape function runs for a node that is being made.
bool is_building_node();

class BuildingNode {
 public:
  BuildingNode();
  ~BuildingNode();
  BuildingNode(const BuildingNode&) = delete;
  BuildingNode& operator=(const BuildingNode&) = delete;

 private:
  bool outer_;
};

}  // namespace millrace
