#include "engine/io/file.h"

#include "kernels/base/error.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace boneage::io {
namespace {

// Closes a descriptor at the end of a scope.
class Descriptor {
public:
    explicit Descriptor(int raw) : raw_(raw) {}
    ~Descriptor() {
        if (raw_ >= 0) {
            ::close(raw_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return raw_; }

private:
    int raw_;
};

// What an unfinished file is called before the number of the process that writes it.
constexpr const char* kPartial = ".partial-";

// The number of the process that left an unfinished file of this name; none when the name is another.
std::optional<pid_t> writer_of(std::string_view name, std::string_view prefix) {
    pid_t writer = 0;
    if (name.substr(0, prefix.size()) != prefix) {
        return std::nullopt;
    }
    const std::string_view digits = name.substr(prefix.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), writer);
    const bool whole = error == std::errc() && end == digits.data() + digits.size() && writer > 0;
    return whole ? std::optional(writer) : std::nullopt;
}

}  // namespace

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
    // Opening a pipe must not wait for somebody to write into it.
    const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
        throw UsageError(path_ + " cannot be read: " + std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        throw UsageError(path_ + " is not a file");
    }
    const auto size = static_cast<size_t>(status.st_size);
    if (size == 0) {
        return;
    }
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) {
        throw UsageError(path_ + " cannot be mapped: " + std::strerror(errno));
    }
    bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) {
        ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(path_ + kPartial + std::to_string(::getpid())) {
    // Renaming over a device such as /dev/null would replace it for everybody.
    struct stat status {};
    if (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        throw Error(path_ + " cannot be written: it exists and is no regular file");
    }
    // Renaming would replace a file that its owner made read-only.
    if (::access(path_.c_str(), W_OK) != 0 && errno != ENOENT && errno != ENOTDIR) {
        fail("written");
    }
    remove_abandoned(path_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
        fail("created");
    }
}

AtomicFile::~AtomicFile() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
        ::unlink(temporary_.c_str());
    }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            fail("written");
        }
        bytes = bytes.subspan(static_cast<size_t>(written));
    }
}

void AtomicFile::overwrite(int64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            fail("written");
        }
        bytes = bytes.subspan(static_cast<size_t>(written));
        offset += written;
    }
}

void AtomicFile::commit(Sync when) {
    if (when == Sync::now && ::fsync(descriptor_) != 0) {
        fail("synced");
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
        fail("renamed");
    }
    ::close(std::exchange(descriptor_, -1));
    if (when == Sync::now) {
        sync_folder_of(path_);
    }
}

void AtomicFile::fail(const char* doing) const {
    throw Error(path_ + " cannot be " + doing + ": " + why_not_written(path_, errno));
}

std::string why_not_written(const std::filesystem::path& path, int problem) {
    const std::filesystem::path folder = path.parent_path();
    std::error_code ignored;
    if (problem == ENOENT && !folder.empty() && !std::filesystem::exists(folder, ignored)) {
        return "the folder " + folder.string() + " does not exist; make it first";
    }
    return std::strerror(problem);
}

void remove_abandoned(const std::string& path) {
    namespace fs = std::filesystem;
    const fs::path folder = fs::path(path).parent_path();
    const std::string prefix = fs::path(path).filename().string() + kPartial;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, ignored)) {
        const std::optional<pid_t> writer = writer_of(entry.path().filename().string(), prefix);
        if (writer && ::kill(*writer, 0) != 0 && errno == ESRCH) {
            fs::remove(entry.path(), ignored);
        }
    }
}

void sync_folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const Descriptor directory(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() >= 0) {
        ::fsync(directory.get());
    }
}

void sync(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 || ::fsync(file.get()) != 0) {
        throw Error(path + " cannot be synced: " + std::strerror(errno));
    }
    sync_folder_of(path);
}

}  // namespace boneage::io
