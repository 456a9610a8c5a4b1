#include "tools/numbers.h"

#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>

namespace boneage::tools {
namespace {

// All of `text` as a number; nothing where it is none, or one that T cannot hold.
template <class T>
std::optional<T> parsed(const std::string& text) {
    T value{};
    const char* end = text.data() + text.size();
    const auto [stopped, problem] = std::from_chars(text.data(), end, value);
    return problem == std::errc() && stopped == end ? std::optional(value) : std::nullopt;
}

std::string digits(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
}

}  // namespace

CLI::Validator whole_number(uint64_t least, uint64_t most) {
    const std::string low = std::to_string(least);
    const std::string high = std::to_string(most);
    const bool limited = most < std::numeric_limits<uint64_t>::max();
    return CLI::Validator(
        [least, most, low, high](std::string& text) -> std::string {
            const std::optional<uint64_t> value = parsed<uint64_t>(text);
            const bool octal = text.size() > 1 && text.front() == '0';
            if (value && *value >= least && *value <= most && !octal) {
                return "";
            }
            return "takes a whole number from " + low + " to " + high + ", not \"" + text + "\"";
        },
        limited ? low + ".." + high : "");
}

CLI::Validator number(double least, double most) {
    return CLI::Validator(
        [least, most](std::string& text) -> std::string {
            const std::optional<double> value = parsed<double>(text);
            if (value && *value >= least && *value <= most) {
                return "";
            }
            return "takes a number from " + digits(least) + " to " + digits(most) + ", not \"" + text + "\"";
        },
        digits(least) + ".." + digits(most));
}

CLI::Validator number_between(double above, double below) {
    return CLI::Validator(
        [above, below](std::string& text) -> std::string {
            const std::optional<double> value = parsed<double>(text);
            if (value && *value > above && *value < below) {
                return "";
            }
            return "takes a number above " + digits(above) + " and below " + digits(below) + ", not \"" + text + "\"";
        },
        "above " + digits(above) + ", below " + digits(below));
}

}  // namespace boneage::tools
