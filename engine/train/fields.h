// Reading back what this program once wrote as JSON, trusting nothing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace boneage::train {

// The fields of one JSON object. Every reader throws UsageError with one sentence that begins with `where` and names
// the field when it is missing or of another kind. Refers to `json`, which must outlive it.
class Fields {
public:
    Fields(const nlohmann::json& json, std::string where);

    [[nodiscard]] bool has(const char* name) const;
    [[nodiscard]] const nlohmann::json& field(const char* name) const;
    [[nodiscard]] Fields object(const char* name) const;
    [[nodiscard]] std::string text(const char* name) const;
    [[nodiscard]] double number(const char* name) const;  // finite
    [[nodiscard]] std::optional<double> number_or_null(const char* name) const;
    [[nodiscard]] int64_t count(const char* name) const;  // a whole number of at least 0
    [[nodiscard]] std::vector<int64_t> counts(const char* name) const;
    [[noreturn]] void fail(const std::string& what) const;

private:
    const nlohmann::json* json_;
    std::string where_;
};

}  // namespace boneage::train
