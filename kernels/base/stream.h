// CUDA streams, events and memory as move-only owners, declared without CUDA headers. Present in CUDA builds only.
// Whatever fails throws DeviceError with the CUDA call, its message and the place; destructors never throw.
#pragma once

#include "kernels/base/buffer.h"

#include <functional>
#include <string>

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

namespace boneage {

// Owns one `T*` that `destroy` releases; empty after a move.
template <class T, void (*destroy)(T*)>
class Handle {
public:
    Handle() = default;
    explicit Handle(T* raw) : raw_(raw) {}
    Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Handle() {
        if (raw_ != nullptr) {
            destroy(raw_);
        }
    }
    [[nodiscard]] T* get() const { return raw_; }

private:
    T* raw_ = nullptr;
};

// What this project needs to know of a device, read once.
struct DeviceProperties {
    int ordinal = 0;
    std::string name;
    int compute_capability = 0;  // 10 * major + minor: 90 for an H200
    int multiprocessors = 0;
    int64_t memory_bytes = 0;
    int64_t l2_bytes = 0;
    int64_t shared_bytes_per_block = 0;  // the most one block may opt in to
    int driver_version = 0;              // the newest CUDA that the driver knows, as 1000 * major + 10 * minor
};

// How many devices this process sees, of use or not. Throws DeviceError when the driver is too old for the runtime this
// program was built with.
int cuda_device_count();

// Device `ordinal`; no other one is asked for anything. Throws DeviceError saying what to do when it is not there, or
// older than what this program's kernels were built for.
DeviceProperties usable_device(int ordinal);

// Makes device `ordinal` the one on which this thread allocates. Making a Stream does so for its own thread.
void use_device(int ordinal);

void destroy_stream(CUstream_st* stream);
void destroy_event(CUevent_st* event);

// To be called before the failure of a device is thrown: all that is destroyed afterwards fails as well, and keeps
// quiet about it.
void failure_is_known() noexcept;

// An ordered queue of work on one device. The device it was made on is current for the calls that take it.
class Stream {
public:
    // Throws DeviceError as usable_device() does.
    explicit Stream(int ordinal = 0);
    [[nodiscard]] CUstream_st* native() const { return handle_.get(); }
    [[nodiscard]] const DeviceProperties& device() const { return device_; }
    // Waits until everything queued so far is done; reports what went wrong in it.
    void synchronize() const;

private:
    DeviceProperties device_;
    Handle<CUstream_st, destroy_stream> handle_;
};

// A point in a stream that other streams or the host wait for.
class Event {
public:
    Event();
    void record(const Stream& stream);
    // `stream` goes on only when this event has been reached.
    void block(const Stream& stream) const;
    // The host sleeps meanwhile: whoever decodes has use for its core.
    void synchronize() const;

protected:
    explicit Event(unsigned flags);
    [[nodiscard]] CUevent_st* native() const { return handle_.get(); }

private:
    Handle<CUevent_st, destroy_event> handle_;
};

// An event that knows when it was reached, for measuring. The host waits for it awake, so that rounds follow closely.
class TimedEvent : public Event {
public:
    TimedEvent();
    // Milliseconds between two reached events.
    [[nodiscard]] double milliseconds_since(const TimedEvent& start) const;
};

void destroy_graph(CUgraphExec_st* graph);

// Work recorded once and queued again and again with one call. Pointers and sizes are frozen as recorded; what they
// point to is read anew by every launch.
class CapturedGraph {
public:
    CapturedGraph() = default;
    // Records what `body` queues on `stream`; nothing of it runs. `body` must neither wait nor allocate.
    CapturedGraph(const Stream& stream, const std::function<void()>& body);
    [[nodiscard]] bool empty() const { return handle_.get() == nullptr; }
    void launch(const Stream& stream) const;

private:
    Handle<CUgraphExec_st, destroy_graph> handle_;
};

// While it lives, work of this thread carries `name` in profilers (an NVTX range).
class ProfileRange {
public:
    explicit ProfileRange(const char* name);
    ~ProfileRange();
    ProfileRange(const ProfileRange&) = delete;
    ProfileRange& operator=(const ProfileRange&) = delete;
};

// Untyped allocation; the typed owners below are what the rest of the project uses. Throws OutOfDeviceMemory or
// OutOfPinnedMemory.
void* allocate_device(int64_t bytes);
void free_device(void* memory) noexcept;
void* allocate_pinned(int64_t bytes);
void free_pinned(void* memory) noexcept;

// Stream-ordered copies of `bytes` bytes. Host memory must be pinned for the copy to overlap other work.
void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes);
void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes);
void clear_device(const Stream& stream, void* memory, int64_t bytes);

// Device memory, not initialised. `size` counts elements.
template <class T>
class Buffer<T, Device> {
    static_assert(std::is_trivially_copyable_v<T>, "buffers hold plain data");

public:
    Buffer() = default;
    explicit Buffer(int64_t size)
        : data_(static_cast<T*>(allocate_device(size * static_cast<int64_t>(sizeof(T))))), size_(size) {}

    [[nodiscard]] T* data() const { return data_.get(); }
    [[nodiscard]] int64_t size() const { return size_; }
    // Makes room for at least `size` elements; the contents are lost when it grows.
    void reserve(int64_t size) {
        if (size > size_) {
            data_.reset();
            *this = Buffer(size);
        }
    }

private:
    struct Free {
        void operator()(T* p) const { free_device(p); }
    };
    std::unique_ptr<T, Free> data_;
    int64_t size_ = 0;
};

// Page-locked host memory, which a device copies from and to without staging.
template <class T>
class PinnedBuffer {
public:
    PinnedBuffer() = default;
    explicit PinnedBuffer(int64_t size)
        : data_(static_cast<T*>(allocate_pinned(size * static_cast<int64_t>(sizeof(T))))), size_(size) {}

    [[nodiscard]] T* data() const { return data_.get(); }
    [[nodiscard]] int64_t size() const { return size_; }
    T& operator[](int64_t i) const { return data_.get()[i]; }

private:
    struct Free {
        void operator()(T* p) const { free_pinned(p); }
    };
    std::unique_ptr<T, Free> data_;
    int64_t size_ = 0;
};

}  // namespace boneage
