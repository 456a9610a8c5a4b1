// The report of an evaluation as files.
#pragma once

#include "engine/eval/page.h"

#include <filesystem>

namespace boneage::eval {

// Writes report.json, metrics.csv and index.html into `folder`, which is made when it is missing. Each appears whole or
// not at all. Throws Error naming the path and the reason.
void write_report(const std::filesystem::path& folder, const Evaluation& evaluation, const PageExtras& extras);

}  // namespace boneage::eval
