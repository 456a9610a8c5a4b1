// Dilation, erosion, opening and closing with flat structuring elements, as OpenCV's dilate, erode and morphologyEx.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

enum class MorphologyOp {
    dilate,  // the largest value under the element
    erode,   // the smallest
    open,    // erode, then dilate: removes what the element does not fit into
    close,   // dilate, then erode: fills what the element does not fit into
};

enum class ElementShape {
    rect,     // all of width x height
    cross,    // the row and the column through the anchor
    ellipse,  // getStructuringElement's filled ellipse; see element_row()
};

struct MorphologyParams {
    MorphologyOp op = MorphologyOp::dilate;
    ElementShape shape = ElementShape::ellipse;
    int64_t width = 15;      // of the element, >= 1; even sizes are allowed
    int64_t height = 15;     // >= 1
    int64_t iterations = 1;  // >= 1; opening erodes this often, then dilates this often
};

// The columns [begin, end) of the element's row i, 0 <= i < height; empty when begin == end. An ellipse has, with
// r = height / 2, c = width / 2 (integers) and dy = i - r, columns c - dx to c + dx, dx = round(c * sqrt((r*r - dy*dy)
// / (r*r))), clipped to the element; rows with |dy| > r are empty; dx = 0 where r = 0. A 1x1 ellipse or cross is a
// rect.
struct ElementRow {
    int64_t begin = 0;
    int64_t end = 0;
};
ElementRow element_row(const MorphologyParams& params, int64_t i);

// Scratch for images of up to max_height x max_width. The twins work in different ways, so each says for itself:
// `parts` is the number of workers on the Host, the number of images on a Device.
template <class P, class Space = Host>
int64_t morphology_scratch_bytes(const MorphologyParams& params, int64_t max_height, int64_t max_width, int64_t parts);

// Transforms every image of a batch.
//   src, dst   [h, w] u8 or u16, row-strided, the same sizes pairwise; dst must not overlap src
//   dilate:    dst(y, x) = max over the element's (i, j) of src(y + i - height / 2, x + j - width / 2)
//   Pixels outside the image do not count. The element is not mirrored.
//   Allocates nothing; scratch from morphology_scratch_bytes(). Twins agree exactly, and both equal OpenCV byte for
//   byte. A rect's and a cross's cost does not grow with the height and hardly with the width, an ellipse's grows with
//   the height. On a device a rect's hardly grows; a cross is as an ellipse.
//
//   dilate, cross 3x3:    0 0 0 0       0 1 0 0
//                         0 1 0 0  ->   1 1 1 0
//                         0 0 0 0       0 1 0 0
template <class P>
void morphology(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const MorphologyParams& params,
                Bytes<Host> scratch);

template <class P>
void morphology(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const MorphologyParams& params,
                Bytes<Device> scratch);

}  // namespace boneage
