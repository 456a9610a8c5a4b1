// "Did you mean ...?" for mistyped words of the command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace boneage::tools {

// The candidate that takes the fewest edits (a letter inserted, removed, replaced, or two neighbours swapped) to get
// from `word`; empty when even that one takes more than a third of its letters.
std::string closest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace boneage::tools
