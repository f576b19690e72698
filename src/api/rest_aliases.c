/* Aliases: a list of actions, each an object with one member that says what it does. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

#define ACTION_NAME_MAX 64

/* A string of an action, copied: "actions[3].create_alias.alias_name". */
static ins_status action_text(struct job *job, struct json_value object, const char *action,
                              size_t index, const char *key, ins_text *out, ins_error *error) {
    struct json_value value;
    char name[ACTION_NAME_MAX];
    (void)snprintf(name, sizeof(name), "actions[%zu].%s.%s", index, action, key);
    if (!json_get_text(object, (ins_text){key, strlen(key)}, &value)) {
        return missing_error(error, name);
    }
    if (json_type_of(value) != JSON_STRING) {
        return type_error(error, name, "a string", value);
    }
    return job_copy_text(job, json_string(value), out, error);
}

static ins_status action_decode(struct job *job, struct json_value action, size_t index,
                                ins_alias_change *change, ins_error *error) {
    static const struct {
        const char *name, *alias, *target;
    } kinds[] = {[INS_ALIAS_CREATE] = {"create_alias", "alias_name", "collection_name"},
                 [INS_ALIAS_DELETE] = {"delete_alias", "alias_name", NULL},
                 [INS_ALIAS_RENAME] = {"rename_alias", "old_alias_name", "new_alias_name"}};
    char name[ACTION_NAME_MAX];
    (void)snprintf(name, sizeof(name), "actions[%zu]", index);
    struct json_value object = action;
    int kind = INS_ALIAS_RENAME;
    bool one = json_type_of(action) == JSON_OBJECT && json_count(action) == 1;
    while (
        one && kind >= INS_ALIAS_CREATE &&
        !json_get_text(action, (ins_text){kinds[kind].name, strlen(kinds[kind].name)}, &object)) {
        kind--;
    }
    if (!one || kind < INS_ALIAS_CREATE || json_type_of(object) != JSON_OBJECT) {
        return type_error(error, name,
                          "an object with one of `create_alias`, `delete_alias`, `rename_alias`",
                          action);
    }
    *change = (ins_alias_change){0};
    if (kind == INS_ALIAS_DELETE) {
        change->kind = INS_ALIAS_DELETE;
    } else {
        change->kind = kind == INS_ALIAS_CREATE ? INS_ALIAS_CREATE : INS_ALIAS_RENAME;
    }
    ins_status status =
        action_text(job, object, kinds[kind].name, index, kinds[kind].alias, &change->alias, error);
    if (status == INS_OK && kinds[kind].target != NULL) {
        status = action_text(job, object, kinds[kind].name, index, kinds[kind].target,
                             &change->target, error);
    }
    return status;
}

static ins_status actions_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value array, action;
    if (!field_get(body, "actions", &array)) {
        return missing_error(error, "actions");
    }
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, "actions", "an array of actions", array);
    }
    size_t count = json_count(array);
    if (count > INS_ALIAS_CHANGES_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: actions: %zu in one request, the limit is %u", count,
                        INS_ALIAS_CHANGES_MAX);
    }
    ins_alias_change *changes = job_alloc(job, (count + 1) * sizeof(*changes));
    if (changes == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = json_begin(array);
    for (size_t i = 0; i < count && json_next(&iterator, &action); i++) {
        ins_status status = action_decode(job, action, i, &changes[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    job->aliases.changes = changes;
    job->aliases.change_count = count;
    return INS_OK;
}

static void encode_aliases(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "aliases");
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->call.alias_count; i++) {
        const ins_alias *alias = &job->call.aliases[i];
        json_write_begin_object(writer);
        json_write_key(writer, "alias_name");
        json_write_text(writer, alias->alias);
        json_write_key(writer, "collection_name");
        json_write_text(writer, alias->collection);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}

ins_status aliases_change(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = actions_decode(job, body, error);
    }
    if (status == INS_OK) {
        job_start(job, ins_aliases_change, &job->aliases, encode_true);
    }
    return status;
}

ins_status aliases_list(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job_start(job, ins_aliases_list, &job->aliases, encode_aliases);
    return INS_OK;
}

ins_status collection_aliases(struct job *job, const struct api_request *request,
                              ins_error *error) {
    (void)request;
    (void)error;
    job->aliases.collection = job->params[0];
    job_start(job, ins_aliases_list, &job->aliases, encode_aliases);
    return INS_OK;
}
