// The pixels of a HEALPix sphere on their rings of latitude, and their numbers in both orders.
//
// Gorski et al. 2005, HEALPix, section 5. Ring 1 is the northernmost and 4 nside - 1 the last. A
// ring has 4 q pixels, spaced evenly in longitude: pixel m of it lies at (2 m + offset) pi / (4 q).
// So distances and numbers follow from whole numbers, and the turns by a quarter and the mirror at
// the equator, which map pixels to pixels, change no bit of a distance.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace ds {

// Beyond it the whole numbers below would not fit in 32 bits.
constexpr int kLargestNside = 8192;

struct Ring {
    int quarter;    // q, pixels in a quarter turn
    int offset;     // 1 where the first pixel is half a step from longitude 0, else 0
    double height;  // z
    double radius;  // distance to the axis
    int start;      // of its pixels in the RING order
    int classes;    // start of its pixels among the classes of equivalent ones
};

struct Pixel {
    int ring;
    int position;
};

class Healpix {
  public:
    Healpix(int nside, bool nested) : nside_(nside), nested_(nested), rings_(4 * nside) {
        while ((1 << levels_) < nside) ++levels_;
        for (int ring = 1; ring < 4 * nside; ++ring) {
            const int from_pole = ring < 2 * nside ? ring : 4 * nside - ring;
            Ring& here = rings_[ring];
            const bool in_cap = from_pole < nside;
            here.quarter = in_cap ? from_pole : nside;
            here.offset = in_cap || (ring - nside) % 2 == 0;
            if (in_cap) {
                const double below = double(from_pole) * from_pole / (3.0 * nside * nside);
                here.height = 1.0 - below;
                here.radius = std::sqrt(below * (2.0 - below));
            } else {
                here.height = 2.0 * (2 * nside - from_pole) / (3.0 * nside);
                here.radius = std::sqrt((1.0 - here.height) * (1.0 + here.height));
            }
            if (ring > 2 * nside) here.height = -here.height;
            here.start = ring == 1 ? 0 : rings_[ring - 1].start + 4 * rings_[ring - 1].quarter;
            if (ring <= 2 * nside) {
                here.classes = num_classes_;
                num_classes_ += here.quarter;
            } else {
                here.classes = rings_[from_pole].classes;
            }
        }
    }

    int num_rings() const { return 4 * nside_ - 1; }
    int num_pixels() const { return 12 * nside_ * nside_; }
    const Ring& ring(int index) const { return rings_[index]; }

    // Pixels that a turn by quarters or the mirror maps on each other form a class; the members of
    // the first quarter turn of the northern rings (the equator included) stand for all.
    int num_classes() const { return num_classes_; }
    int class_of(Pixel pixel) const {
        const Ring& ring = rings_[pixel.ring];
        int position = pixel.position;
        while (position >= ring.quarter) position -= ring.quarter;
        return ring.classes + position;
    }

    Pixel pixel(int index) const { return nested_ ? from_nested(index) : from_ring(index); }
    int index(Pixel pixel) const {
        return nested_ ? to_nested(pixel) : rings_[pixel.ring].start + pixel.position;
    }

  private:
    int nside_;
    bool nested_;
    int levels_ = 0;  // log2(nside), used in the NESTED order alone
    int num_classes_ = 0;
    std::vector<Ring> rings_;

    Pixel from_ring(int index) const {
        // 2 i (i - 1) pixels lie north of ring i of the northern cap
        const int north = 2 * nside_ * (nside_ - 1);
        int ring;
        if (index < north || index >= num_pixels() - north) {
            const int from_pole = index < north ? index : num_pixels() - 1 - index;
            ring = static_cast<int>((1.0 + std::sqrt(1.0 + 2.0 * from_pole)) / 2.0);
            if (2 * ring * (ring - 1) > from_pole) --ring;
            if (2 * ring * (ring + 1) <= from_pole) ++ring;
            if (index >= north) ring = 4 * nside_ - ring;
        } else {
            ring = nside_ + (index - north) / (4 * nside_);
        }
        return {ring, index - rings_[ring].start};
    }

    // In a base face x grows to the north-east and y to the north-west; x + y tells the ring, x - y
    // the longitude from the middle of the face.
    Pixel from_nested(int index) const {
        const int face = index >> (2 * levels_);
        const int x = gather_bits(index), y = gather_bits(index >> 1);
        const int row = face / 4, column = face % 4;
        const int ring = (row + 2) * nside_ - x - y - 1;
        const Ring& here = rings_[ring];
        const int middle = (2 * column + (row != 1)) * here.quarter;
        int position = (middle + x - y + 1 - here.offset) >> 1;
        if (position < 0) position += 4 * here.quarter;
        if (position >= 4 * here.quarter) position -= 4 * here.quarter;
        return {ring, position};
    }

    int to_nested(Pixel pixel) const {
        const int quarter = rings_[pixel.ring].quarter;
        if (quarter < nside_) {  // a cap: one face per quarter turn
            const int column = pixel.position / quarter;
            const int inside = pixel.position - column * quarter;
            if (pixel.ring < nside_)
                return cell(column, nside_ - quarter + inside, nside_ - 1 - inside);
            return cell(8 + column, inside, quarter - 1 - inside);
        }
        // between the caps the faces tile a plane turned by 45 degrees, `east` and `west` its axes;
        // 4 nside is added so that what is divided is not negative
        const int along = 2 * pixel.position + rings_[pixel.ring].offset;
        const int up = 3 * nside_ - 1 - pixel.ring;
        const int east = (up + along) >> 1, west = ((up - along) >> 1) + 4 * nside_;
        const int east_tile = east >> levels_, west_tile = (west >> levels_) - 4;
        const int row = 1 - east_tile - west_tile;
        const int column = (row == 0 ? -west_tile : east_tile) & 3;
        return cell(4 * row + column, east & (nside_ - 1), west & (nside_ - 1));
    }

    int cell(int face, int x, int y) const {
        return (face << (2 * levels_)) + spread_bits(x) + 2 * spread_bits(y);
    }

    // Every second bit of the pixel in its face.
    int gather_bits(int index) const {
        uint32_t bits = static_cast<uint32_t>(index) & ((1u << (2 * levels_)) - 1u) & 0x55555555u;
        bits = (bits | bits >> 1) & 0x33333333u;
        bits = (bits | bits >> 2) & 0x0f0f0f0fu;
        bits = (bits | bits >> 4) & 0x00ff00ffu;
        bits = (bits | bits >> 8) & 0x0000ffffu;
        return static_cast<int>(bits);
    }

    static int spread_bits(int value) {
        uint32_t bits = static_cast<uint32_t>(value);
        bits = (bits | bits << 8) & 0x00ff00ffu;
        bits = (bits | bits << 4) & 0x0f0f0f0fu;
        bits = (bits | bits << 2) & 0x33333333u;
        bits = (bits | bits << 1) & 0x55555555u;
        return static_cast<int>(bits);
    }
};

}  // namespace ds
