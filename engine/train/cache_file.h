// What the caches of prepared data have in common: named checks of a safetensors file that nobody trusts yet.
#pragma once

#include "engine/io/safetensors.h"
#include "engine/pipeline/recipe.h"

#include <span>
#include <string>
#include <vector>

namespace boneage::train {

// Reads the parts of one cache; every function throws UsageError with one sentence that names the file.
class CacheFile {
public:
    // `kind` is what the file should be, for people: "an age cache". `format` is its metadata's.
    CacheFile(const io::SafetensorsFile& file, std::string kind, const std::string& format);

    [[noreturn]] void refuse(const std::string& why) const;
    void require(bool condition, const std::string& why) const;

    // A tensor of this type and number of dimensions, with `count` entries in the first one unless that is -1.
    [[nodiscard]] const io::StoredTensor& tensor(const std::string& name, io::StoredType type, size_t dimensions,
                                                 int64_t count) const;
    [[nodiscard]] std::span<const uint8_t> bytes(const io::StoredTensor& tensor) const;
    // Copies, because what follows odd numbers of bytes lies at any address.
    [[nodiscard]] std::vector<float> floats(const std::string& name, int64_t count) const;
    [[nodiscard]] std::vector<int64_t> integers(const std::string& name, int64_t count) const;
    // No tensors but these.
    void only(const std::vector<std::string>& names) const;

    [[nodiscard]] const std::string& entry(const std::string& key) const;
    // Texts that are not repeated; `count` of them unless that is -1.
    [[nodiscard]] std::vector<std::string> texts(const std::string& key, int64_t count) const;
    [[nodiscard]] pipeline::Recipe recipe() const;

private:
    const io::SafetensorsFile& file_;
    std::string kind_;
};

// A JSON array of texts, for metadata.
std::string texts_to_json(const std::vector<std::string>& texts);
// Whether JSON can hold it: the file system takes other bytes too.
bool is_utf8(const std::string& text);
// The same text with a mark in place of what is not UTF-8.
std::string as_utf8(const std::string& text);

}  // namespace boneage::train
