/* What a quantization configuration may say, as Qdrant documents it; what it means here:
 * docs/quantization.md. */
#include <stdio.h>

#include "api/settings.h"

#define NAME_MAX 128
#define QUANTILE_MIN 0.5

static const char *const memory_words[] = {"cold", "cached", "pinned", NULL, NULL, NULL};
static const char *const type_words[] = {"int8", NULL, NULL, NULL};
static const char *const compression_words[] = {"x4", "x8", "x16", "x32", "x64", NULL, NULL, NULL};
static const char *const encoding_words[] = {"one_bit", "two_bits", "one_and_half_bits",
                                             NULL,      NULL,       NULL};
static const char *const query_words[] = {"default", "binary", "scalar4bits", "scalar8bits",
                                          NULL,      NULL,     NULL};
static const char *const bits_words[] = {"bits1", "bits1_5", "bits2", "bits4", NULL, NULL, NULL};

static const struct setting scalar_settings[] = {
    {"type", SETTING_TEXT, 0, 0, type_words, NULL},
    {"quantile", SETTING_SHARE, 0, 0, NULL, NULL},
    {"always_ram", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, memory_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};
static const struct setting product_settings[] = {
    {"compression", SETTING_TEXT, 0, 0, compression_words, NULL},
    {"always_ram", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, memory_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};
static const struct setting binary_settings[] = {
    {"encoding", SETTING_TEXT, 0, 0, encoding_words, NULL},
    {"query_encoding", SETTING_TEXT, 0, 0, query_words, NULL},
    {"always_ram", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, memory_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};
static const struct setting turbo_settings[] = {
    {"bits", SETTING_TEXT, 0, 0, bits_words, NULL},
    {"always_ram", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, memory_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

struct quantization_kind {
    const char *name, *needed; /* needed: a member, or NULL */
    const struct setting *members;
};

static const struct quantization_kind kinds[] = {
    {"scalar", "type", scalar_settings},
    {"product", "compression", product_settings},
    {"binary", NULL, binary_settings},
    {"turbo", NULL, turbo_settings},
};

static ins_status kind_check(const struct quantization_kind *kind, struct json_value value,
                             const char *name, ins_error *error) {
    char field[NAME_MAX];
    struct json_value needed;
    bool has = false;
    double quantile = 1;
    if (json_type_of(value) != JSON_OBJECT) {
        return type_error(error, name, "an object", value);
    }
    if (kind->needed != NULL && !field_get(value, kind->needed, &needed)) {
        (void)snprintf(field, sizeof(field), "%.96s.%s", name, kind->needed);
        return missing_error(error, field);
    }
    ins_status status = settings_check(kind->members, name, value, error);
    if (status == INS_OK && kind->members == scalar_settings) {
        (void)snprintf(field, sizeof(field), "%.96s.quantile", name);
        status = field_number(value, "quantile", field, &has, &quantile, error);
        if (status == INS_OK && has && quantile < QUANTILE_MIN) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in JSON body: [%s: value %g invalid, must be from "
                            "0.5 to 1.0]",
                            field, quantile);
        }
    }
    return status;
}

ins_status quantization_check(struct json_value value, const char *name, ins_error *error) {
    bool known = false;
    for (size_t i = 0; json_type_of(value) == JSON_OBJECT && i < sizeof(kinds) / sizeof(kinds[0]);
         i++) {
        struct json_value kind;
        char field[NAME_MAX];
        if (!field_get(value, kinds[i].name, &kind)) {
            continue;
        }
        (void)snprintf(field, sizeof(field), "%.96s.%s", name, kinds[i].name);
        ins_status status = kind_check(&kinds[i], kind, field, error);
        if (status != INS_OK) {
            return status;
        }
        known = true;
    }
    return known
               ? INS_OK
               : type_error(error, name, "an object with scalar, product, binary or turbo", value);
}
