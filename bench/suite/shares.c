#include "shares.h"

static double smaller(double left, double right) {
    return left < right ? left : right;
}

double shares_level(const struct share *shares, size_t count) {
    double good = 0.0, low = 0.0, high = 0.0;
    for (size_t i = 0; i < count; i++) {
        good += shares[i].good;
        high = shares[i].offered > high ? shares[i].offered : high;
    }
    for (int halving = 0; halving < 60; halving++) {
        double level = (low + high) / 2.0, sum = 0.0;
        for (size_t i = 0; i < count; i++) {
            sum += smaller(shares[i].offered, level);
        }
        *(sum < good ? &low : &high) = level;
    }
    return high;
}

double shares_worst(const struct share *shares, size_t count, double least, size_t *out_judged) {
    double level = shares_level(shares, count), worst = 1.0;
    *out_judged = 0;
    for (size_t i = 0; i < count; i++) {
        double fair = smaller(shares[i].offered, level);
        if (fair < least || fair == 0.0) {
            continue;
        }
        (*out_judged)++;
        worst = smaller(worst, shares[i].good / fair);
    }
    return worst;
}
