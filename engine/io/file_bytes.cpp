#include "engine/io/file_bytes.h"

#include "engine/io/file.h"
#include "kernels/base/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace boneage::io {
namespace {

class Descriptor {
public:
    explicit Descriptor(int raw) : raw_(raw) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return raw_; }
    // Errors that the system kept until now show here.
    int close() {
        const int raw = raw_;
        raw_ = -1;
        return raw < 0 ? 0 : ::close(raw);
    }

private:
    int raw_;
};

[[noreturn]] void fail_to_read(const std::filesystem::path& path, const char* why) {
    throw InputError("unreadable", path.string() + " cannot be read: " + why);
}

}  // namespace

FileBytes read_file(const std::filesystem::path& path, int64_t max_bytes, Buffer<uint8_t, Host>& buffer) {
    // Without O_NONBLOCK opening a named pipe would wait for its writer.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
        fail_to_read(path, std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        fail_to_read(path, S_ISDIR(status.st_mode) ? "it is a folder" : "it is not a regular file");
    }
    if (status.st_size > max_bytes) {
        throw InputError("too_large", path.string() + " has " + std::to_string(status.st_size) +
                                          " bytes, more than the " + std::to_string(max_bytes) +
                                          " that are read; make it smaller");
    }
    buffer.reserve(status.st_size);
    int64_t size = 0;
    while (size < status.st_size) {
        const ssize_t got = ::read(file.get(), buffer.data() + size, static_cast<size_t>(status.st_size - size));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            fail_to_read(path, std::strerror(errno));
        }
        if (got == 0) {
            break;
        }
        size += got;
    }
    if (size == 0) {
        throw InputError("empty", path.string() + " is empty; copy it again from its source");
    }
    return {buffer.data(), static_cast<size_t>(size)};
}

void write_file(const std::filesystem::path& path, FileBytes bytes) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    const auto fail = [&] { throw Error(path.string() + " cannot be written: " + why_not_written(path, errno)); };
    if (file.get() < 0) {
        fail();
    }
    // What is not a regular file (a pipe, /dev/full) was not made here and must not be removed.
    struct stat status {};
    const bool ours = ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
    const auto give_up = [&] {
        const int reason = errno;
        if (ours) {
            ::unlink(path.c_str());
        }
        errno = reason;
        fail();
    };
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            give_up();
        }
        bytes = bytes.subspan(static_cast<size_t>(written));
    }
    if (file.close() != 0) {
        give_up();
    }
}

}  // namespace boneage::io
