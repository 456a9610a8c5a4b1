#include "engine/io/decoders.h"
#include "engine/io/exif.h"
#include "engine/io/grey.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

namespace boneage::io {
namespace {

// libjpeg reports errors by a function that must not return, so they leave by longjmp. A jump skips destructors: only
// attempt() calls libjpeg, and between its setjmp and any jump there is nothing with a destructor.
struct Session {
    jpeg_decompress_struct c{};
    jpeg_error_mgr errors{};
    jpeg_progress_mgr progress{};
    std::jmp_buf jump{};
    int error = 0;
    bool ended_early = false;
    bool damaged = false;
    char message[JMSG_LENGTH_MAX] = "";

    Session();
    ~Session() { jpeg_destroy_decompress(&c); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
};

// Real progressive files have about ten scans; each costs a pass over the picture, and a file could declare thousands.
constexpr int kMostScans = 100;

Session& session_of(j_common_ptr c) {
    return *static_cast<Session*>(c->client_data);
}

[[noreturn]] void give_up(Session& session) {
    session.error = session.errors.msg_code;
    session.errors.format_message(reinterpret_cast<j_common_ptr>(&session.c), session.message);
    std::longjmp(session.jump, 1);
}

// Warnings tell of guessed pixels or of oddities beside them; only the former matter.
void take_message(j_common_ptr c, int level) {
    if (level >= 0) {
        return;
    }
    Session& session = session_of(c);
    switch (session.errors.msg_code) {
        case JWRN_JPEG_EOF:
            session.ended_early = true;
            break;
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_MUST_RESYNC:
        case JWRN_BOGUS_PROGRESSION:
        case JWRN_NOT_SEQUENTIAL:
            if (!session.damaged) {
                session.errors.format_message(c, session.message);
            }
            session.damaged = true;
            break;
        default:
            break;
    }
}

Session::Session() {
    c.err = jpeg_std_error(&errors);
    c.client_data = this;
    errors.error_exit = [](j_common_ptr common) { give_up(session_of(common)); };
    errors.emit_message = take_message;
    progress.progress_monitor = [](j_common_ptr common) {
        Session& session = session_of(common);
        if (session.c.input_scan_number > kMostScans) {
            session.errors.msg_code = JERR_BAD_PROGRESSION;
            give_up(session);
        }
    };
}

// Runs `call`, which must own nothing; false when libjpeg gave up in it.
template <class Call>
bool attempt(Session& session, const Call& call) {
    if (setjmp(session.jump) != 0) {
        return false;
    }
    call();
    return true;
}

[[noreturn]] void report(const Session& session, const Source& source) {
    if (session.ended_early) {
        source.truncated("before its picture does");
    }
    switch (session.error) {
        case JERR_OUT_OF_MEMORY:
            throw std::bad_alloc();
        case JERR_INPUT_EOF:
        case JERR_INPUT_EMPTY:
            source.truncated("before its picture does");
        case JERR_SOF_UNSUPPORTED:
        case JERR_BAD_PRECISION:
        case JERR_ARITH_NOTIMPL:
        case JERR_NOT_COMPILED:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_CCIR601_NOTIMPL:
        case JERR_FRACT_SAMPLE_NOTIMPL:
            source.fail("unsupported",
                        std::string("is a kind of JPEG that is not read (") + session.message + "); convert it to PNG");
        case JERR_IMAGE_TOO_BIG:
            source.fail("too_large",
                        std::string("has too many pixels for a JPEG (") + session.message + "); convert it to PNG");
        default:
            source.corrupt(session.message);
    }
}

int orientation_of(const jpeg_decompress_struct& c) {
    for (jpeg_saved_marker_ptr marker = c.marker_list; marker != nullptr; marker = marker->next) {
        if (marker->marker == JPEG_APP0 + 1) {
            if (const int orientation = exif_orientation({marker->data, marker->data_length})) {
                return orientation;
            }
        }
    }
    return 1;
}

// One row of RGB or CMYK to grey. Adobe's programs store inks inverted, 255 for none, and mark their files.
void to_grey(const uint8_t* row, int64_t width, J_COLOR_SPACE space, bool inverted_inks, uint8_t* out) {
    if (space == JCS_RGB) {
        for (int64_t x = 0; x < width; ++x) {
            out[x] = static_cast<uint8_t>(grey_of(row[3 * x], row[3 * x + 1], row[3 * x + 2]));
        }
        return;
    }
    const uint32_t flip = inverted_inks ? 0 : 255;
    for (int64_t x = 0; x < width; ++x) {
        const uint8_t* inks = row + 4 * x;
        const uint32_t black = inks[3] ^ flip;
        const auto light = [&](int i) { return (inks[i] ^ flip) * black / 255; };
        out[x] = static_cast<uint8_t>(grey_of(light(0), light(1), light(2)));
    }
}

}  // namespace

void JpegReader::read(const Source& source, DecodedImage& image) {
    Session session;
    jpeg_decompress_struct& c = session.c;
    const bool opened = attempt(session, [&] {
        jpeg_create_decompress(&c);
        c.progress = &session.progress;
        jpeg_mem_src(&c, source.bytes.data(), static_cast<unsigned long>(source.bytes.size()));
        jpeg_save_markers(&c, JPEG_APP0 + 1, 0xffff);
        jpeg_read_header(&c, TRUE);
    });
    if (!opened) {
        report(session, source);
    }
    if (c.arith_code != 0) {
        source.fail("unsupported", "is a JPEG with arithmetic coding, which is not read; convert it to PNG");
    }
    const int64_t height = c.image_height;
    const int64_t width = c.image_width;
    source.check_size(height, width);
    switch (c.jpeg_color_space) {
        case JCS_GRAYSCALE:
        case JCS_YCbCr:
            c.out_color_space = JCS_GRAYSCALE;
            break;
        case JCS_RGB:
            c.out_color_space = JCS_RGB;
            break;
        case JCS_CMYK:
        case JCS_YCCK:
            c.out_color_space = JCS_CMYK;
            break;
        default:
            source.fail("unsupported", "is a JPEG of " + std::to_string(c.num_components) +
                                           " channels of unknown colours; convert it to PNG");
    }
    image.format = ImageFormat::jpeg;
    image.channels = c.num_components;
    image.bit_depth = 8;
    image.orientation = orientation_of(c);
    if (image.orientation > 1) {
        turned_.reshape(height, width);
    }
    const Image<uint8_t, Host> out = image.orientation > 1 ? turned_.view() : reshape<uint8_t>(image, height, width);
    const bool direct = c.out_color_space == JCS_GRAYSCALE;
    if (!direct) {
        row_.reserve(4 * width);
    }
    const bool read = attempt(session, [&] {
        jpeg_start_decompress(&c);
        while (c.output_scanline < c.output_height) {
            const int64_t y = c.output_scanline;
            JSAMPROW row = direct ? out.row(y) : row_.data();
            jpeg_read_scanlines(&c, &row, 1);
            if (!direct) {
                to_grey(row, width, c.out_color_space, c.saw_Adobe_marker != 0, out.row(y));
            }
        }
        jpeg_finish_decompress(&c);
    });
    if (!read || session.ended_early) {
        report(session, source);
    }
    if (session.damaged) {
        source.corrupt(session.message);
    }
    if (image.orientation > 1) {
        const bool sideways = image.orientation >= 5;
        orient(out, image.orientation, reshape<uint8_t>(image, sideways ? width : height, sideways ? height : width));
    }
}

}  // namespace boneage::io
