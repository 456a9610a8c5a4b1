// The radiographs of a run, with what the user's tables say of them.
#pragma once

#include "engine/session.h"

#include <string>
#include <vector>

namespace boneage::tools {

struct ScoreInputs {
    std::vector<session::Input> list;
    size_t radiographs = 0;          // those of them that are files; the others are errors already
    std::vector<std::string> known;  // of each table given: for how many of the radiographs it knows something
};

// Lists `named` in its order and looks every file up, by its name without extension, in the tables; an empty path is
// no table. UsageError where a name is empty or a table cannot be read.
ScoreInputs list_score_inputs(const std::vector<std::string>& named, const std::string& sex_csv,
                              const std::string& sizes);

// "1 radiograph", "3 radiographs"
std::string radiographs_text(size_t count);

}  // namespace boneage::tools
