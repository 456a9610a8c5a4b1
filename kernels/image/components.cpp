#include "kernels/image/components.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/image/components_forest.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace boneage {
namespace {

// Pixels [begin, end) of one row, all of one kind. `parent` is the index of a run of the same component that comes no
// later in reading order; a root is its own parent. As roots are always the earliest run, they name the component's
// first pixel.
struct Run {
    int32_t begin;
    int32_t end;
    int32_t parent;
};

// An image's runs, row by row: those of row y are runs[first[y]] to runs[first[y + 1] - 1].
struct Runs {
    Run* runs;
    int32_t* first;
    int64_t* area;  // of roots only
    int64_t rows;
    [[nodiscard]] int32_t count() const { return first[rows]; }
};

int64_t most_runs(int64_t height, int64_t width) {
    return height * (width / 2 + 1);
}

// Position of the first pixel at or after x whose kind (foreground or not) is `wanted`; eight at a time.
template <bool wanted>
int64_t find_kind(const uint8_t* row, int64_t x, int64_t width) {
    constexpr uint64_t kOnes = 0x0101010101010101U;
    constexpr uint64_t kHighs = 0x8080808080808080U;
    static_assert(std::endian::native == std::endian::little, "the first byte must be the lowest");
    for (; x + 8 <= width; x += 8) {
        uint64_t eight = 0;
        std::memcpy(&eight, row + x, sizeof(eight));
        if constexpr (wanted) {
            if (eight != 0) {
                return x + std::countr_zero(eight) / 8;
            }
        } else {
            // The lowest set bit marks the first zero byte; borrows only spoil what lies above it.
            const uint64_t zero_bytes = (eight - kOnes) & ~eight & kHighs;
            if (zero_bytes != 0) {
                return x + std::countr_zero(zero_bytes) / 8;
            }
        }
    }
    while (x < width && (row[x] != 0) != wanted) {
        ++x;
    }
    return x;
}

// Calls found(begin, end) for every run of the kind `foreground` in a row.
template <bool foreground, class Found>
void scan_row(const uint8_t* row, int64_t width, const Found& found) {
    int64_t x = find_kind<foreground>(row, 0, width);
    while (x < width) {
        const int64_t end = find_kind<!foreground>(row, x, width);
        found(static_cast<int32_t>(x), static_cast<int32_t>(end));
        x = find_kind<foreground>(row, end, width);
    }
}

int32_t find_root(const Run* runs, int32_t i) {
    while (runs[i].parent != i) {
        i = runs[i].parent;
    }
    return i;
}

void unite(Run* runs, int32_t a, int32_t b) {
    const int32_t root_a = find_root(runs, a);
    const int32_t root_b = find_root(runs, b);
    const int32_t root = std::min(root_a, root_b);
    runs[root_a].parent = root;
    runs[root_b].parent = root;
    // Shortens the two paths just walked.
    runs[a].parent = root;
    runs[b].parent = root;
}

// Unites the runs of row y with those they touch in the row above. Foreground touches diagonally too.
template <bool foreground>
void unite_with_above(const Runs& all, int64_t y) {
    constexpr int32_t kReach = foreground ? 1 : 0;
    int32_t above = all.first[y - 1];
    const int32_t above_end = all.first[y];
    for (int32_t i = all.first[y]; i < all.first[y + 1]; ++i) {
        const Run& run = all.runs[i];
        while (above < above_end && all.runs[above].end + kReach <= run.begin) {
            ++above;
        }
        for (int32_t j = above; j < above_end && all.runs[j].begin < run.end + kReach; ++j) {
            unite(all.runs, i, j);
        }
    }
}

// Finds all runs and joins them: strips of rows at the same time, then the rows where strips meet. In the end every
// run's parent is its root.
template <bool foreground>
Runs find_components(Workers& workers, const Image<const uint8_t, Host>& mask, Bytes<Host> scratch) {
    ScratchCursor cursor(scratch);
    Runs all{};
    all.rows = mask.height;
    all.first = cursor.template take<int32_t>(mask.height + 1);
    all.area = cursor.template take<int64_t>(most_runs(mask.height, mask.width));
    all.runs = cursor.template take<Run>(most_runs(mask.height, mask.width));
    // A strip writes its runs where they would be if every row before it were full, and they move together afterwards.
    // One strip a worker, so that a single worker moves nothing.
    const int64_t strips = std::min<int64_t>(workers.count(), mask.height);
    const auto strip_begin = [&](int64_t strip) { return mask.height * strip / strips; };
    workers.parallel_for(strips, 1, [&](int64_t first_strip, int64_t last_strip) {
        for (int64_t strip = first_strip; strip < last_strip; ++strip) {
            const int64_t begin = strip_begin(strip);
            Run* next = all.runs + most_runs(begin, mask.width);
            for (int64_t y = begin; y < strip_begin(strip + 1); ++y) {
                Run* const row_first = next;
                scan_row<foreground>(mask.row(y), mask.width, [&](int32_t from, int32_t to) {
                    *next++ = {from, to, 0};
                });
                all.first[y + 1] = static_cast<int32_t>(next - row_first);  // a count until all are known
            }
        }
    });
    all.first[0] = 0;
    for (int64_t strip = 0; strip < strips; ++strip) {
        const int64_t begin = strip_begin(strip);
        const int32_t target = all.first[begin];
        for (int64_t y = begin; y < strip_begin(strip + 1); ++y) {
            all.first[y + 1] += all.first[y];
        }
        const int32_t runs = all.first[strip_begin(strip + 1)] - target;
        std::memmove(all.runs + target, all.runs + most_runs(begin, mask.width),
                     static_cast<size_t>(runs) * sizeof(Run));
    }
    workers.parallel_for(strips, 1, [&](int64_t first_strip, int64_t last_strip) {
        for (int64_t strip = first_strip; strip < last_strip; ++strip) {
            const int64_t begin = strip_begin(strip);
            const int64_t end = strip_begin(strip + 1);
            for (int32_t i = all.first[begin]; i < all.first[end]; ++i) {
                all.runs[i].parent = i;
            }
            for (int64_t y = begin + 1; y < end; ++y) {
                unite_with_above<foreground>(all, y);
            }
        }
    });
    for (int64_t strip = 1; strip < strips; ++strip) {
        unite_with_above<foreground>(all, strip_begin(strip));
    }
    // Parents come earlier, so theirs are roots by now.
    for (int32_t i = 0; i < all.count(); ++i) {
        all.runs[i].parent = all.runs[all.runs[i].parent].parent;
    }
    return all;
}

// Calls body(y, first run, end of runs) for every row.
template <class Body>
void for_each_row(Workers& workers, const Runs& all, const Body& body) {
    workers.parallel_for(all.rows, 64, [&](int64_t begin, int64_t end) {
        for (int64_t y = begin; y < end; ++y) {
            body(y, all.runs + all.first[y], all.runs + all.first[y + 1]);
        }
    });
}

void check(const Image<const uint8_t, Host>& mask, Bytes<Host> scratch) {
    expects(mask.pixels() < int64_t{1} << 31, "an image has at most 2^31 - 1 pixels");
    expects(scratch.size >= components_scratch_bytes(mask.height, mask.width, 1), "scratch is too small");
}

}  // namespace

int64_t components_scratch_bytes(int64_t max_height, int64_t max_width, int64_t count) {
    const int64_t runs = most_runs(max_height, max_width);
    const int64_t host = scratch_part<int32_t>(max_height + 1) + scratch_part<int64_t>(runs) + scratch_part<Run>(runs);
    const int64_t words = count * mask_words(max_height, max_width);
    const int64_t device =
        scratch_part<uint32_t>(words) + 2 * scratch_part<int32_t>(words * kWordRuns) + scratch_part<uint64_t>(count);
    return std::max(host, device);
}

void label_components(Workers& workers, Batch<const uint8_t, Host> mask, Batch<int32_t, Host> labels,
                      Bytes<Host> scratch) {
    expects(mask.count == labels.count, "mask and labels must hold as many images");
    for (int64_t i = 0; i < mask.count; ++i) {
        const Image<const uint8_t, Host>& in = mask.images[i];
        const Image<int32_t, Host>& out = labels.images[i];
        expects(same_size(in, out), "mask and labels must have the same size");
        check(in, scratch);
        if (in.empty()) {
            continue;
        }
        const Runs all = find_components<true>(workers, in, scratch);
        // A root's area entry holds its label here: the linear index of its first pixel, and one.
        for (int64_t y = 0; y < all.rows; ++y) {
            for (int32_t r = all.first[y]; r < all.first[y + 1]; ++r) {
                if (all.runs[r].parent == r) {
                    all.area[r] = y * in.width + all.runs[r].begin + 1;
                }
            }
        }
        for_each_row(workers, all, [&](int64_t y, const Run* run, const Run* end) {
            int32_t* row = out.row(y);
            std::fill(row, row + out.width, 0);
            for (; run != end; ++run) {
                std::fill(row + run->begin, row + run->end, static_cast<int32_t>(all.area[run->parent]));
            }
        });
    }
}

void fill_holes(Workers& workers, Batch<const uint8_t, Host> mask, Batch<uint8_t, Host> dst, Bytes<Host> scratch) {
    expects(mask.count == dst.count, "mask and dst must hold as many images");
    for (int64_t i = 0; i < mask.count; ++i) {
        const Image<const uint8_t, Host>& in = mask.images[i];
        const Image<uint8_t, Host>& out = dst.images[i];
        expects(same_size(in, out), "mask and dst must have the same size");
        check(in, scratch);
        if (in.empty()) {
            continue;
        }
        const Runs all = find_components<false>(workers, in, scratch);
        // A root's area entry says here whether its component reaches the border.
        std::fill(all.area, all.area + all.count(), 0);
        for (int64_t y = 0; y < all.rows; ++y) {
            const bool edge_row = y == 0 || y == all.rows - 1;
            for (int32_t r = all.first[y]; r < all.first[y + 1]; ++r) {
                if (edge_row || all.runs[r].begin == 0 || all.runs[r].end == in.width) {
                    all.area[all.runs[r].parent] = 1;
                }
            }
        }
        for_each_row(workers, all, [&](int64_t y, const Run* run, const Run* end) {
            uint8_t* row = out.row(y);
            std::fill(row, row + out.width, uint8_t{255});
            for (; run != end; ++run) {
                if (all.area[run->parent] != 0) {
                    std::fill(row + run->begin, row + run->end, uint8_t{0});
                }
            }
        });
    }
}

void keep_largest(Workers& workers, Batch<const uint8_t, Host> mask, Batch<uint8_t, Host> dst,
                  Tensor<ComponentStats, Host> stats, Bytes<Host> scratch) {
    expects(mask.count == dst.count && stats.size() == mask.count, "mask, dst and stats must hold as many entries");
    for (int64_t i = 0; i < mask.count; ++i) {
        const Image<const uint8_t, Host>& in = mask.images[i];
        const Image<uint8_t, Host>& out = dst.images[i];
        expects(same_size(in, out), "mask and dst must have the same size");
        check(in, scratch);
        ComponentStats& found = stats.data[i];
        found = {};
        if (in.empty()) {
            continue;
        }
        const Runs all = find_components<true>(workers, in, scratch);
        std::fill(all.area, all.area + all.count(), 0);
        for (int32_t r = 0; r < all.count(); ++r) {
            const Run& run = all.runs[r];
            found.components += run.parent == r ? 1 : 0;
            found.foreground += run.end - run.begin;
            all.area[run.parent] += run.end - run.begin;
        }
        const int64_t* best = std::max_element(all.area, all.area + all.count());  // the first of equals
        const auto root = static_cast<int32_t>(best - all.area);
        if (found.components > 0) {
            found.largest = *best;
            found.top = all.rows;
            found.left = in.width;
        }
        for (int64_t y = 0; y < all.rows; ++y) {
            for (int32_t r = all.first[y]; r < all.first[y + 1]; ++r) {
                if (all.runs[r].parent == root) {
                    found.top = std::min(found.top, y);
                    found.bottom = y + 1;
                    found.left = std::min<int64_t>(found.left, all.runs[r].begin);
                    found.right = std::max<int64_t>(found.right, all.runs[r].end);
                }
            }
        }
        for_each_row(workers, all, [&](int64_t y, const Run* run, const Run* end) {
            uint8_t* row = out.row(y);
            std::fill(row, row + out.width, uint8_t{0});
            for (; run != end; ++run) {
                if (run->parent == root) {
                    std::fill(row + run->begin, row + run->end, uint8_t{255});
                }
            }
        });
    }
}

}  // namespace boneage
