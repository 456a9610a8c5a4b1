#include "kernels/nn/copy.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

template <class From, class To, int kCount>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(Activations<const From, Device> src, Activations<To, Device> dst) {
    const auto [pixel, packet] = pixel_thread();
    if (pixel >= src.pixels() || packet * kCount >= src.c) {
        return;
    }
    const Packet<From, kCount> in = load_packet<kCount>(src.data + pixel * src.pixel_stride + packet * kCount);
    Packet<To, kCount> out;
    if constexpr (std::is_same_v<From, To>) {
        out = in;  // bits, not values: the CPU twin moves a bfloat16's NaN as it is
    } else {
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            out.value[i] = from_float<To>(to_float(in.value[i]));
        }
    }
    store_packet(dst.data + pixel * dst.pixel_stride + packet * kCount, out);
}

template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) add_kernel(Activations<const T, Device> src, Activations<T, Device> dst) {
    const auto [pixel, packet] = pixel_thread();
    if (pixel >= src.pixels() || packet * kCount >= src.c) {
        return;
    }
    const Packet<T, kCount> in = load_packet<kCount>(src.data + pixel * src.pixel_stride + packet * kCount);
    T* to = dst.data + pixel * dst.pixel_stride + packet * kCount;
    Packet<T, kCount> sum = load_packet<kCount>(to);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        sum.value[i] = from_float<T>(to_float(sum.value[i]) + to_float(in.value[i]));
    }
    store_packet(to, sum);
}

// The groups that make even and odd pixels of even and odd rows.
template <class T>
struct Groups {
    T* even_row[2];
    T* odd_row[2];
    int64_t pixel_stride;
    int64_t width;

    explicit Groups(const std::array<Activations<T, Device>, 4>& groups)
        : even_row{groups[0].data, groups[1].data},
          odd_row{groups[2].data, groups[3].data},
          pixel_stride(groups[0].pixel_stride),
          width(groups[0].w) {}
};

// A thread moves the two neighbours in one row of the whole that one position of two groups makes: a warp touches whole
// runs of the whole and of both groups. `kJoin`: from the groups to the whole, else back.
template <bool kJoin, class T, int kCount, class Group, class Whole>
__global__ void __launch_bounds__(kThreads) regroup_kernel(Groups<Group> groups, Activations<Whole, Device> whole) {
    const auto [row, x, packet] = row_thread(groups.width);
    if (x >= groups.width || packet * kCount >= whole.c) {
        return;
    }
    // The whole has an even height, so its rows pair up across images as well.
    const int64_t position = (int64_t{row / 2} * groups.width + x) * groups.pixel_stride + packet * kCount;
    const bool odd_row = row % 2 != 0;
    Group* first = (odd_row ? groups.odd_row[0] : groups.even_row[0]) + position;
    Group* second = (odd_row ? groups.odd_row[1] : groups.even_row[1]) + position;
    Whole* pair = whole.pixel(0, row, 2 * x) + packet * kCount;
    if constexpr (kJoin) {
        const Packet<T, kCount> even = load_packet<kCount>(first);
        const Packet<T, kCount> odd = load_packet<kCount>(second);
        store_packet(pair, even);
        store_packet(pair + whole.pixel_stride, odd);
    } else {
        const Packet<T, kCount> even = load_packet<kCount>(pair);
        const Packet<T, kCount> odd = load_packet<kCount>(pair + whole.pixel_stride);
        store_packet(first, even);
        store_packet(second, odd);
    }
}

template <bool kJoin, class T, class Group, class Whole>
void regroup(const Stream& stream, const std::array<Activations<Group, Device>, 4>& groups,
             const Activations<Whole, Device>& whole) {
    const auto& first = groups[0];
    bool aligned = packets_fit(whole, kFullPacket<T>);
    for (const auto& group : groups) {
        expects(same_shape(group, first) && group.pixel_stride == first.pixel_stride, "groups must look alike");
        aligned = aligned && packets_fit(group, kFullPacket<T>);
    }
    expects(same_shape(whole, Activations<T, Device>(nullptr, first.n, 2 * first.h, 2 * first.w, first.c)),
            "the whole must be twice as high and wide as the groups");
    const auto launch = [&](auto count) {
        const Geometry geometry = row_geometry(whole.n * whole.h, first.w, whole.c / count);
        Launch{geometry.grid, geometry.block, stream}(regroup_kernel<kJoin, T, decltype(count)::value, Group, Whole>,
                                                      Groups<Group>(groups), whole);
    };
    if (aligned) {
        launch(std::integral_constant<int, kFullPacket<T>>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

}  // namespace

template <class From, class To>
void copy(Stream& stream, Activations<const From, Device> src, Activations<To, Device> dst) {
    expects(same_shape(src, dst), "src and dst must have the same shape");
    // 16 bytes of the narrower type; the wider one then moves in two accesses.
    constexpr int kCount = kFullPacket < From >> kFullPacket<To> ? kFullPacket<From> : kFullPacket<To>;
    if (src.dense() && dst.dense()) {
        src = flattened(src, kCount);
        dst = flattened(dst, kCount);
    }
    const auto launch = [&](auto count) {
        const Geometry geometry = pixel_geometry(src.pixels(), src.c / count);
        Launch{geometry.grid, geometry.block, stream}(copy_kernel<From, To, decltype(count)::value>, src, dst);
    };
    if (packets_fit(src, kCount) && packets_fit(dst, kCount)) {
        launch(std::integral_constant<int, kCount>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

template <class T>
void add(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst) {
    expects(same_shape(src, dst), "src and dst must have the same shape");
    constexpr int kFull = kFullPacket<T>;
    if (src.dense() && dst.dense()) {
        src = flattened(src, kFull);
        dst = flattened(dst, kFull);
    }
    const auto launch = [&](auto count) {
        const Geometry geometry = pixel_geometry(src.pixels(), src.c / count);
        Launch{geometry.grid, geometry.block, stream}(add_kernel<T, decltype(count)::value>, src, dst);
    };
    if (packets_fit(src, kFull) && packets_fit(dst, kFull)) {
        launch(std::integral_constant<int, kFull>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

template <class T>
void depth_to_space(Stream& stream, const std::array<Activations<const T, Device>, 4>& groups,
                    Activations<T, Device> dst) {
    regroup<true, T>(stream, groups, dst);
}

template <class T>
void space_to_depth(Stream& stream, Activations<const T, Device> src,
                    const std::array<Activations<T, Device>, 4>& groups) {
    regroup<false, T>(stream, groups, src);
}

template void copy(Stream&, Activations<const float, Device>, Activations<float, Device>);
template void copy(Stream&, Activations<const float, Device>, Activations<bfloat16, Device>);
template void copy(Stream&, Activations<const bfloat16, Device>, Activations<float, Device>);
template void copy(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>);
template void depth_to_space(Stream&, const std::array<Activations<const float, Device>, 4>&,
                             Activations<float, Device>);
template void depth_to_space(Stream&, const std::array<Activations<const bfloat16, Device>, 4>&,
                             Activations<bfloat16, Device>);
template void add(Stream&, Activations<const float, Device>, Activations<float, Device>);
template void add(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>);
template void space_to_depth(Stream&, Activations<const float, Device>,
                             const std::array<Activations<float, Device>, 4>&);
template void space_to_depth(Stream&, Activations<const bfloat16, Device>,
                             const std::array<Activations<bfloat16, Device>, 4>&);
template void copy(Stream&, Activations<const float, Device>, Activations<float16, Device>);
template void copy(Stream&, Activations<const float16, Device>, Activations<float, Device>);
template void copy(Stream&, Activations<const float16, Device>, Activations<float16, Device>);
template void copy(Stream&, Activations<const bfloat16, Device>, Activations<float16, Device>);
template void copy(Stream&, Activations<const float16, Device>, Activations<bfloat16, Device>);
template void depth_to_space(Stream&, const std::array<Activations<const float16, Device>, 4>&,
                             Activations<float16, Device>);
template void add(Stream&, Activations<const float16, Device>, Activations<float16, Device>);
template void space_to_depth(Stream&, Activations<const float16, Device>,
                             const std::array<Activations<float16, Device>, 4>&);

}  // namespace boneage
