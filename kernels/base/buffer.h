// Owning host memory. Views (view.h) are taken from owners; owners never convert from views.
#pragma once

#include "kernels/base/host_memory.h"
#include "kernels/base/view.h"

#include <cstring>
#include <memory>
#include <utility>

namespace boneage {

// `size` elements of T in Space, aligned to kScratchAlignment bytes, not initialised. Move-only.
template <class T, class Space>
class Buffer;

template <class T>
class Buffer<T, Host> {
    static_assert(std::is_trivially_copyable_v<T>, "buffers hold plain data");

public:
    Buffer() = default;
    explicit Buffer(int64_t size)
        : data_(reinterpret_cast<T*>(
              allocate_host(size * static_cast<int64_t>(sizeof(T)) + 1, static_cast<std::size_t>(kScratchAlignment)))),
          size_(size) {}

    [[nodiscard]] T* data() const { return data_.get(); }
    [[nodiscard]] int64_t size() const { return size_; }
    [[nodiscard]] T* begin() const { return data(); }
    [[nodiscard]] T* end() const { return data() + size_; }
    T& operator[](int64_t i) const { return data_.get()[i]; }
    void clear() const {
        if (size_ > 0) {
            std::memset(data(), 0, static_cast<size_t>(size_) * sizeof(T));
        }
    }

    // Makes room for at least `size` elements; the contents are lost when it grows.
    void reserve(int64_t size) {
        if (size > size_) {
            data_.reset();
            *this = Buffer(size);
        }
    }

private:
    struct Free {
        void operator()(T* p) const { free_host(p); }
    };
    std::unique_ptr<T, Free> data_;
    int64_t size_ = 0;
};

// Owning scratch that grows on demand.
class HostScratch {
public:
    // At least `size` bytes; earlier views are invalid once it grows.
    Bytes<Host> bytes(int64_t size) {
        buffer_.reserve(size);
        return {buffer_.data(), size};
    }

private:
    Buffer<std::byte, Host> buffer_;
};

// Splits one scratch area into typed, aligned parts: what `..._scratch_bytes()` adds up with scratch_part<T>(n), the
// body takes with take<T>(n) in the same order.
template <class T>
constexpr int64_t scratch_part(int64_t count) {
    return round_up(count * static_cast<int64_t>(sizeof(T)), kScratchAlignment);
}

template <class Space>
class ScratchCursor {
public:
    explicit ScratchCursor(Bytes<Space> area) : next_(area.data), left_(area.size) {}

    // Null when the area is too small: callers check the whole area once, against `..._scratch_bytes()`.
    template <class T>
    T* take(int64_t count) {
        const int64_t bytes = scratch_part<T>(count);
        if (bytes > left_) {
            return nullptr;
        }
        std::byte* part = next_;
        next_ += bytes;
        left_ -= bytes;
        return reinterpret_cast<T*>(part);
    }

private:
    std::byte* next_;
    int64_t left_;
};

// An owned grey image with rows packed.
template <class T>
class HostImage {
public:
    HostImage() = default;
    HostImage(int64_t height, int64_t width) : pixels_(height * width), height_(height), width_(width) {}

    [[nodiscard]] Image<T, Host> view() const { return {pixels_.data(), height_, width_}; }
    [[nodiscard]] int64_t height() const { return height_; }
    [[nodiscard]] int64_t width() const { return width_; }
    // Changes the size, reusing the memory where it is large enough; the contents are lost.
    void reshape(int64_t height, int64_t width) {
        pixels_.reserve(height * width);
        height_ = height;
        width_ = width;
    }

private:
    Buffer<T, Host> pixels_;
    int64_t height_ = 0;
    int64_t width_ = 0;
};

}  // namespace boneage
