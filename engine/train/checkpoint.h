// A training as it stands, in one file that a power cut cannot spoil.
//
// The file is safetensors. Its tensors are float32: parameters, moments, running statistics. Its metadata:
//   format      "boneage-checkpoint-1"
//   state       JSON: what the host knows besides (epoch, step, schedule, best metric, configuration)
//   data_crc32  CRC-32 of all tensor data, in decimal: a resumed run continues from the very bits, or not at all
//
// Beside `path` lies `path`.previous, the checkpoint before. A checkpoint is written as `path`.next and synced; only
// then are both renamed, so that one whole checkpoint is there at any moment.
#pragma once

#include "engine/io/file.h"
#include "engine/io/safetensors.h"

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace boneage::train {

// A tensor of the training: `values` are read by write_checkpoint() and filled by Checkpoint::restore().
template <class T>
struct NamedValues {
    std::string name;
    std::vector<int64_t> shape;
    std::span<T> values;
};

// `state` is an object; its numbers keep every bit, but what is not finite becomes null. Throws Error naming the path
// and the reason when it cannot be written; earlier checkpoints then stay as they were.
// One program at a time may write to a path.
// With Sync::later the program need not wait for the disk: io::sync(path) must follow before the next one is written.
// Until then a power cut may spoil this one, which its CRC-32 tells, and the one before is what is left; so that must
// be whole and synced.
void write_checkpoint(const std::string& path, const std::vector<NamedValues<const float>>& tensors,
                      const nlohmann::json& state, io::Sync when = io::Sync::now);

// A checkpoint opened and checked. Move-only.
class Checkpoint {
public:
    // Throws UsageError with one sentence that names the file when it cannot be read, is truncated or damaged, or is no
    // checkpoint.
    explicit Checkpoint(const std::string& path);
    ~Checkpoint();
    Checkpoint(Checkpoint&&) noexcept;
    Checkpoint& operator=(Checkpoint&&) noexcept;

    [[nodiscard]] const std::string& path() const;
    [[nodiscard]] const nlohmann::json& state() const;
    // Fills every tensor. Throws UsageError naming the first few that the file lacks, has besides, or has in another
    // shape or type; then nothing was filled.
    void restore(const std::vector<NamedValues<float>>& tensors) const;

private:
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

struct NewestCheckpoint {
    Checkpoint checkpoint;
    std::string notice;  // empty, or a sentence: why it is the previous one
};

// The checkpoint at `path` or, where that cannot be used, the previous one, with a notice to pass on. Throws UsageError
// when neither can be used, saying why.
NewestCheckpoint newest_checkpoint(const std::string& path);

}  // namespace boneage::train
