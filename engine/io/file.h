// Files as this project reads and writes them: mapped whole, and replaced whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace boneage::io {

// A file's bytes, mapped read-only and private; empty files have no bytes. Whoever shortens the file meanwhile ends
// this program (SIGBUS): files are replaced by renaming, as AtomicFile does, never rewritten in place. Throws
// UsageError naming the path and the reason when it is not a regular file that can be read. Move-only.
class MappedFile {
public:
    explicit MappedFile(std::string path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::string path_;
    std::span<const std::byte> bytes_;
};

// Whether what was written lasts through a power cut when the call returns, or only once somebody has called sync();
// a killed program costs it nothing either way.
enum class Sync { now, later };

// A file that appears under its name only when it is complete: written beside it as `path`.partial-PID, synced, then
// renamed. Without commit() nothing is left behind but by a program that was killed, which remove_abandoned() cleans
// up; the next one that writes to the path does. Throws Error naming the path and the reason.
class AtomicFile {
public:
    explicit AtomicFile(std::string path);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const std::byte> bytes);
    // Replaces bytes that were written already; what write() adds still goes to the end.
    void overwrite(int64_t offset, std::span<const std::byte> bytes);
    // With Sync::later a power cut may leave anything under the name.
    void commit(Sync when = Sync::now);

private:
    [[noreturn]] void fail(const char* doing) const;

    std::string path_;
    std::string temporary_;
    int descriptor_ = -1;
};

// Why `path` could not be made or written, after the system said `problem`, an errno.
std::string why_not_written(const std::filesystem::path& path, int problem);

// Removes what programs that no longer run left of `path` unfinished. Programs of other machines do not seem to run:
// one at a time may write to a path.
void remove_abandoned(const std::string& path);

// Makes what was renamed in the folder of `path` last through a power cut; not every file system can.
void sync_folder_of(const std::string& path);

// Makes a file and its name last through a power cut. Throws Error naming the path and the reason.
void sync(const std::string& path);

}  // namespace boneage::io
