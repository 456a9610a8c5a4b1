// Everything that a report says in numbers.
#pragma once

#include "engine/eval/metrics.h"

#include <optional>
#include <string>
#include <vector>

namespace boneage::eval {

struct Options {
    std::filesystem::path predictions;
    std::filesystem::path labels;
    std::optional<std::string> split;  // only labels of that split
    // Other predictions to compare with, and how the report calls them.
    std::vector<std::pair<std::string, std::filesystem::path>> others;
    Bootstrap bootstrap;
    int64_t worst = 12;  // cases with the largest errors to show
};

struct Group {
    std::optional<pipeline::Sex> sex;  // none: all
    std::optional<size_t> band;        // none: all
    Metrics metrics;
};

struct Comparison {
    std::string name;
    std::string file;
    Coverage coverage;
    Paired paired;
};

struct Evaluation {
    Options options;
    AgeBands bands;
    Cases cases;
    std::vector<std::string> exclusions;  // rows of all tables that were left out, each with its reason
    // All cases first, then every sex there is, every band, and every band of every sex; those without cases are left
    // out.
    std::vector<Group> groups;
    Confusion confusion;
    std::vector<Comparison> comparisons;
    std::vector<Case> worst;  // the largest absolute error first, equal ones by id

    [[nodiscard]] const Metrics& overall() const { return groups.front().metrics; }
};

// Reads the tables and measures. Throws UsageError when a table cannot be used, or when no radiograph has both a label
// and an age.
Evaluation evaluate(const Options& options);

}  // namespace boneage::eval
