#include "op/building.h"

namespace millrace {
namespace {

thread_local bool building = false;

}  // namespace

bool is_building_node() { return building; }

BuildingNode::BuildingNode() : outer_(building) { building = true; }
BuildingNode::~BuildingNode() { building = outer_; }

}  // namespace millrace
