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

template <class T>
struct Groups {
    const T* first_row[2];
    const T* second_row[2];
};

// A thread reads the two pixels of one source position that make two neighbours of one row of dst: a warp's writes are
// whole runs of dst, its reads whole runs of two groups.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    depth_to_space_kernel(Groups<T> groups, int64_t src_stride, int64_t src_width, Activations<T, Device> dst) {
    const auto [row, x, packet] = row_thread(src_width);
    if (x >= src_width || packet * kCount >= dst.c) {
        return;
    }
    // dst has an even height, so its rows pair up across images as well.
    const int64_t from = (int64_t{row / 2} * src_width + x) * src_stride + packet * kCount;
    T* to = dst.pixel(0, row, 2 * x) + packet * kCount;
    const bool second = row % 2 != 0;
    const Packet<T, kCount> even = load_packet<kCount>((second ? groups.second_row[0] : groups.first_row[0]) + from);
    const Packet<T, kCount> odd = load_packet<kCount>((second ? groups.second_row[1] : groups.first_row[1]) + from);
    store_packet(to, even);
    store_packet(to + dst.pixel_stride, odd);
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
void depth_to_space(Stream& stream, const std::array<Activations<const T, Device>, 4>& groups,
                    Activations<T, Device> dst) {
    const auto& first = groups[0];
    bool aligned = packets_fit(dst, kFullPacket<T>);
    for (const auto& group : groups) {
        expects(same_shape(group, first) && group.pixel_stride == first.pixel_stride, "groups must look alike");
        aligned = aligned && packets_fit(group, kFullPacket<T>);
    }
    expects(same_shape(dst, Activations<T, Device>(nullptr, first.n, 2 * first.h, 2 * first.w, first.c)),
            "dst must be twice as high and wide as the groups");
    const Groups<T> pointers{{groups[0].data, groups[1].data}, {groups[2].data, groups[3].data}};
    const auto launch = [&](auto count) {
        const Geometry geometry = row_geometry(dst.n * dst.h, first.w, dst.c / count);
        Launch{geometry.grid, geometry.block, stream}(depth_to_space_kernel<T, decltype(count)::value>, pointers,
                                                      first.pixel_stride, first.w, dst);
    };
    if (aligned) {
        launch(std::integral_constant<int, kFullPacket<T>>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

template void copy(Stream&, Activations<const float, Device>, Activations<float, Device>);
template void copy(Stream&, Activations<const float, Device>, Activations<bfloat16, Device>);
template void copy(Stream&, Activations<const bfloat16, Device>, Activations<float, Device>);
template void copy(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>);
template void depth_to_space(Stream&, const std::array<Activations<const float, Device>, 4>&,
                             Activations<float, Device>);
template void depth_to_space(Stream&, const std::array<Activations<const bfloat16, Device>, 4>&,
                             Activations<bfloat16, Device>);

}  // namespace boneage
