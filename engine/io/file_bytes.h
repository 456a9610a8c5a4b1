// The bytes of a file in memory that is reused from file to file.
#pragma once

#include "kernels/base/buffer.h"

#include <filesystem>
#include <span>

namespace boneage::io {

using FileBytes = std::span<const uint8_t>;

// Reads all of `path` into `buffer` and returns the part that holds it. Throws InputError `unreadable` when it is
// missing, is no regular file or may not be read, `empty` when it has no bytes, `too_large` above `max_bytes`. The file
// is copied, not mapped, so that one that shrinks meanwhile cannot fault.
FileBytes read_file(const std::filesystem::path& path, int64_t max_bytes, Buffer<uint8_t, Host>& buffer);

// Replaces `path` by these bytes. Throws Error naming the path and the reason; a file that could not be written in full
// is removed.
void write_file(const std::filesystem::path& path, FileBytes bytes);

}  // namespace boneage::io
