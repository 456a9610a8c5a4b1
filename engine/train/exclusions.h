// What a run left out, and why: nothing is dropped silently.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace boneage::train {

struct Exclusion {
    std::string id;       // empty where there is none
    std::string source;   // the file it is about; empty where there is none
    std::string reason;   // a short code: low_contrast, no_hand, no_image, no_label, unreadable, ...
    std::string message;  // a sentence for people
    bool failed = false;  // an input that should have been usable is not: the run's exit code says so
};

class Exclusions {
public:
    void add(Exclusion exclusion);

    [[nodiscard]] const std::vector<Exclusion>& all() const { return all_; }
    [[nodiscard]] size_t failed() const { return failed_; }
    [[nodiscard]] const std::map<std::string, size_t>& by_reason() const { return by_reason_; }
    // A table with columns id, source, reason, message. Throws Error when it cannot be written.
    void write_csv(const std::filesystem::path& path) const;

private:
    std::vector<Exclusion> all_;
    std::map<std::string, size_t> by_reason_;
    size_t failed_ = 0;
};

}  // namespace boneage::train
