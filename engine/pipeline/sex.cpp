#include "engine/pipeline/sex.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace boneage::pipeline {

std::optional<Sex> sex_from_text(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && blank(text.back())) {
        text.remove_suffix(1);
    }
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "m" || lower == "male") {
        return Sex::male;
    }
    if (lower == "f" || lower == "female") {
        return Sex::female;
    }
    if (lower.empty() || lower == "unknown") {
        return Sex::unknown;
    }
    return std::nullopt;
}

const char* text(Sex sex) {
    switch (sex) {
        case Sex::male:
            return "M";
        case Sex::female:
            return "F";
        case Sex::unknown:
            return "unknown";
    }
    return "";
}

}  // namespace boneage::pipeline
