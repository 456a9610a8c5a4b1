// The report as one page for people.
#pragma once

#include "engine/eval/evaluation.h"
#include "engine/eval/plots.h"
#include "engine/eval/stage_thumbnails.h"

#include <string>
#include <vector>

namespace boneage::eval {

// What the page shows besides the numbers.
struct PageExtras {
    std::vector<Plot> plots;
    std::vector<Thumbnails> worst;  // of each of the worst cases; empty when no pictures were asked for
    std::vector<std::string> notes;
};

// A whole HTML document that needs no other file, no network and no scripts.
std::string page_text(const Evaluation& evaluation, const PageExtras& extras);

}  // namespace boneage::eval
