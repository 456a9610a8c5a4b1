// Tensors in a file: the safetensors format (https://huggingface.co/docs/safetensors), read with full validation.
//
//   8 bytes   length N of the header, unsigned little-endian
//   N bytes   JSON object: tensor name -> {"dtype", "shape", "data_offsets": [begin, end)}, and optionally
//             "__metadata__" -> {text: text}
//   the rest  tensor data; offsets count from its first byte, and together they cover it without gap or overlap
#pragma once

#include "engine/io/file.h"
#include "engine/io/stored_numbers.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace boneage::io {

// One tensor as it lies in a file or in memory: row-major, little-endian.
struct StoredTensor {
    std::string name;
    StoredType type = StoredType::f32;
    std::vector<int64_t> shape;  // empty for a scalar
    std::span<const std::byte> bytes;

    [[nodiscard]] int64_t elements() const;
};

using Metadata = std::map<std::string, std::string>;

// A file's tensors, memory-mapped read-only and private. The file must not be shortened while it is open: replace it by
// renaming another over it, as write_safetensors() does. Move-only.
class SafetensorsFile {
public:
    // Throws UsageError with one sentence that names the file and, where one is at fault, the tensor: when the file
    // cannot be read, is truncated, declares types, shapes or offsets that do not add up, repeats a name, or leaves
    // bytes unaccounted for. Nothing is trusted before it has been compared with the file's size.
    explicit SafetensorsFile(const std::string& path);
    ~SafetensorsFile();
    SafetensorsFile(SafetensorsFile&&) noexcept;
    SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

    [[nodiscard]] const std::string& path() const;
    [[nodiscard]] const Metadata& metadata() const;
    // Null when the metadata has none of that key.
    [[nodiscard]] const std::string* metadata(const std::string& key) const;
    // In the order of their data.
    [[nodiscard]] const std::vector<StoredTensor>& tensors() const;
    // Null when there is none of that name.
    [[nodiscard]] const StoredTensor* find(std::string_view name) const;
    [[nodiscard]] int64_t file_bytes() const;
    // CRC-32 of the whole file, as `crc32` and zlib compute it.
    [[nodiscard]] uint32_t checksum() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Writes the tensors in the given order, data aligned to 64 bytes. Atomic: a temporary file beside `path` is written,
// synced and renamed over it, so `path` holds the old file or the whole new one whatever happens (with Sync::later:
// but for a power cut). Throws Error naming the path and the reason when that fails.
void write_safetensors(const std::string& path, const std::vector<StoredTensor>& tensors, const Metadata& metadata,
                       Sync when = Sync::now);

// The same for data that is not in memory as a whole: tensors whose sizes are known only once their data has gone by.
// The first one is aligned to 64 bytes, the others follow without gap. Without commit() nothing is left behind.
class SafetensorsWriter {
public:
    // `header_room` bytes at the front are kept for the header: tensors, metadata and the format's own 8 bytes.
    SafetensorsWriter(std::string path, int64_t header_room);

    void append(std::span<const std::byte> bytes);
    // What was appended since the tensor before it is this one.
    void end_tensor(const std::string& name, StoredType type, std::vector<int64_t> shape);
    // All appended bytes belong to a tensor, and the header fits into its room.
    void commit(const Metadata& metadata);

private:
    AtomicFile file_;
    int64_t header_room_;
    int64_t begin_ = 0;  // of the tensor being appended
    int64_t end_ = 0;
    struct Entry {
        std::string name;
        StoredType type;
        std::vector<int64_t> shape;
        int64_t begin;
        int64_t end;
    };
    std::vector<Entry> entries_;
};

}  // namespace boneage::io
