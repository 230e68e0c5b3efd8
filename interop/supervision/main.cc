// interop_supervision > RECORD.json : the records of all scenarios, for test_supervision.py.

#include <iostream>
#include <nlohmann/json.hpp>

#include "supervision/record.h"
#include "supervision/scenarios.h"

int main() {
  nlohmann::ordered_json records;
  for (const auto& [name, scenario] : millrace::records::scenarios())
    records[name] = millrace::records::record(scenario);
  std::cout << records.dump(1) << "\n";
}
