// The settings of a run, as its checkpoint remembers them: which of them a resumed run may change, and which not.
#pragma once

#include "engine/train/fields.h"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace boneage::train {

struct RunSetting {
    std::string name;   // "--rate"
    std::string given;  // as a command line has it, "--rate 0.001"; "" where it would not be there
    // Whether a resumed run may have another value, which then counts from there on. Otherwise it would be another run.
    bool may_change = false;
    std::string effect;  // what else people must know of a change; may be empty
};
using RunSettings = std::vector<RunSetting>;

// An object: what was given, by name.
nlohmann::json to_json(const RunSettings& settings);

// One sentence for every setting that differs from what the run was begun with, as to_json() wrote it. Settings that
// only one of them has are of another device and not compared. Throws UsageError, naming both values, for one that may
// not change.
std::vector<std::string> changes(const RunSettings& settings, const Fields& begun);

}  // namespace boneage::train
