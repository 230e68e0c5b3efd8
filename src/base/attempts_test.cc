#include "base/attempts.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace {
namespace {

// A number of places, and who took one.
struct Room {
  void enter(int who, CancellationScope* scope) {
    attempts.start(
        [this] {
          if (places == 0) return Attempts::waits();
          --places;
          return Attempts::ended();
        },
        scope, "Entering was cancelled",
        [this, who](absl::Status status) { (status.ok() ? in : refused).push_back(who), last = std::move(status); });
  }
  void leave(int n) {
    attempts.change([&] { places += n; });
  }
  Attempts attempts;
  int places = 1;
  std::vector<int> in, refused;
  absl::Status last;
};

TEST(Attempts, complete_in_the_order_they_came) {
  Room room;
  CancellationScope scope;
  for (int who = 0; who < 4; ++who) room.enter(who, &scope);
  EXPECT_EQ(room.in, std::vector<int>({0}));
  room.leave(2);
  EXPECT_EQ(room.in, std::vector<int>({0, 1, 2}));
  scope.cancel();
  EXPECT_EQ(room.refused, std::vector<int>({3}));
  EXPECT_EQ(room.last, absl::CancelledError("Entering was cancelled"));
  room.leave(1);
  EXPECT_EQ(room.in.size() + room.refused.size(), 4u);
  EXPECT_EQ(room.attempts.read([&] { return room.places; }), 1);
}

TEST(Attempts, of_a_cancelled_scope_do_not_wait) {
  Room room;
  CancellationScope over;
  over.cancel();
  room.enter(0, &over);  // possible at once
  room.enter(1, &over);
  EXPECT_EQ(room.in, std::vector<int>({0}));
  EXPECT_EQ(room.refused, std::vector<int>({1}));
  room.enter(2, nullptr);
  room.leave(1);
  EXPECT_EQ(room.in, std::vector<int>({0, 2}));
}

TEST(Attempts, make_each_other_possible) {
  Attempts attempts;
  int value = 0;
  std::vector<int> order;
  const auto wait_for = [&](int wanted) {
    attempts.start(
        [&, wanted] {
          if (value != wanted) return Attempts::waits();
          ++value;
          return Attempts::ended();
        },
        nullptr, "Counting was cancelled", [&, wanted](absl::Status) { order.push_back(wanted); });
  };
  wait_for(3);
  wait_for(2);
  wait_for(1);
  wait_for(0);
  EXPECT_EQ(value, 4);
  EXPECT_EQ(order.size(), 4u);
}

TEST(Attempts, may_hold_the_last_reference_to_what_they_wait_for) {
  CancellationScope scope;
  auto room = std::make_shared<Room>();
  room->places = 0;
  const std::weak_ptr<Room> seen = room;
  room->attempts.start([] { return Attempts::waits(); }, &scope, "Entering was cancelled", [room](absl::Status) {});
  room.reset();
  EXPECT_FALSE(seen.expired());
  scope.cancel();
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace millrace
