#include "engine/quota_text.h"

#include <stddef.h>
#include <string.h>

#include "engine/text.h"

static const struct {
    const char *key;
    size_t at;
} limits[] = {
    {"queries_per_second", offsetof(ins_quota, queries_per_second)},
    {"writes_per_second", offsetof(ins_quota, writes_per_second)},
    {"scan_bytes_per_second", offsetof(ins_quota, scan_bytes_per_second)},
    {"stored_bytes", offsetof(ins_quota, stored_bytes)},
    {"memory_floor", offsetof(ins_quota, memory_floor)},
    {"memory_ceiling", offsetof(ins_quota, memory_ceiling)},
    {"ttl", offsetof(ins_quota, ttl_s)},
    {"ttl_from", offsetof(ins_quota, ttl_from_s)},
};
#define LIMIT_COUNT (sizeof(limits) / sizeof(limits[0]))

static const char *const priorities[] = {
    [INS_PRIORITY_NORMAL] = "normal", [INS_PRIORITY_LOW] = "low", [INS_PRIORITY_HIGH] = "high"};

bool quotas_in(ins_text settings, ins_text *out) {
    return settings.data != NULL && json_text_get_last(settings, text_of("quotas"), out);
}

void quota_parse(ins_text object, ins_quota *out) {
    ins_text value;
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        uint64_t number;
        if (json_text_get_last(object, text_of(limits[i].key), &value) &&
            json_text_unsigned(value, &number)) {
            memcpy((char *)out + limits[i].at, &number, sizeof(number));
        }
    }
    if (json_text_get_last(object, text_of("priority"), &value)) {
        ins_text word = json_text_unquote(value);
        out->priority = text_is(word, "high")  ? INS_PRIORITY_HIGH
                        : text_is(word, "low") ? INS_PRIORITY_LOW
                                               : INS_PRIORITY_NORMAL;
    }
    out->pin = json_text_get_last(object, text_of("pin"), &value) && text_is(value, "true");
}

void quotas_sum(ins_text settings, uint64_t *out_ttl_least, uint64_t *out_floor_bytes) {
    ins_text quotas, raw, value;
    *out_ttl_least = *out_floor_bytes = 0;
    if (!quotas_in(settings, &quotas)) {
        return;
    }
    struct json_text_iterator iterator = json_text_begin(quotas);
    while (json_text_next_member(&iterator, &raw, &value)) {
        ins_quota quota = {0};
        quota_parse(value, &quota);
        if (quota.ttl_s != 0 && (*out_ttl_least == 0 || quota.ttl_s < *out_ttl_least)) {
            *out_ttl_least = quota.ttl_s;
        }
        *out_floor_bytes += quota.memory_floor;
    }
}

bool quotas_default(ins_text settings, ins_quota *out) {
    ins_text quotas, value;
    *out = (ins_quota){0};
    if (!quotas_in(settings, &quotas) || !json_text_get_last(quotas, text_of("d"), &value)) {
        return false;
    }
    quota_parse(value, out);
    return true;
}

size_t quota_key_decode(ins_text raw, char out[static QUOTA_KEY_RAW_MAX]) {
    return raw.size + 2 > QUOTA_KEY_RAW_MAX
               ? 0
               : json_text_decode((ins_text){raw.data - 1, raw.size + 2}, out); /* its quotes */
}

bool quotas_tenant_at(ins_text settings, size_t *index, char out_name[static INS_TENANT_BYTES_MAX],
                      size_t *out_size, ins_quota *out_quota) {
    ins_text quotas, raw, value;
    char key[QUOTA_KEY_RAW_MAX];
    if (!quotas_in(settings, &quotas)) {
        return false;
    }
    struct json_text_iterator iterator = json_text_begin(quotas);
    for (size_t at = 0; json_text_next_member(&iterator, &raw, &value); at++) {
        size_t size = at < *index ? 0 : quota_key_decode(raw, key);
        if (size < 1 || key[0] != 't' || size - 1 > INS_TENANT_BYTES_MAX) {
            continue;
        }
        *index = at + 1;
        *out_quota = (ins_quota){0};
        quota_parse(value, out_quota);
        *out_size = size - 1;
        memcpy(out_name, key + 1, size - 1);
        return true;
    }
    return false;
}

void quota_write(struct json_writer *writer, const ins_quota *quota) {
    json_write_begin_object(writer);
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        uint64_t number;
        memcpy(&number, (const char *)quota + limits[i].at, sizeof(number));
        if (number != 0) {
            json_write_key(writer, limits[i].key);
            json_write_u64(writer, number);
        }
    }
    if (quota->priority != INS_PRIORITY_NORMAL) {
        json_write_key(writer, "priority");
        json_write_string(writer, priorities[quota->priority]);
    }
    if (quota->pin) {
        json_write_key(writer, "pin");
        json_write_bool(writer, true);
    }
    json_write_end_object(writer);
}
