#include "tenant/trace.h"

#include "base/assert.h"

static uint64_t now(const struct trace *trace) {
    return trace->runtime->now_ns(trace->runtime->context);
}

void trace_begin(struct trace *trace, ins_explain *out, const ins_runtime *runtime) {
    *trace = (struct trace){.out = out, .runtime = runtime, .stage = INS_STAGE_WAIT};
    trace->place = &trace->spare;
    trace->at_ns = now(trace);
    trace->inner = out->begun_ns != 0;
    if (!trace->inner) {
        out->begun_ns = trace->at_ns;
    }
}

void trace_enter_stage(struct trace *trace, enum ins_stage stage) {
    uint64_t at_ns = now(trace);
    if (trace->stage != TRACE_NO_STAGE) {
        trace->out->stage_ns[trace->stage] += at_ns - trace->at_ns;
    }
    trace->at_ns = at_ns;
    trace->stage = stage;
}

void trace_end(struct trace *trace) {
    trace_enter_stage(trace, TRACE_NO_STAGE);
    trace->out->ended_ns = trace->at_ns;
}

void trace_enter_place(struct trace *trace, uint32_t run, enum ins_look look, const char *why,
                       uint64_t rows) {
    ins_explain *out = trace->out;
    if (trace->run == run && trace->island == out->islands) {
        return;
    }
    INS_ASSERT(out->islands > 0);
    bool room = out->place_count < INS_EXPLAIN_PLACES_MAX;
    trace->place = room ? &out->places[out->place_count] : &trace->spare;
    *trace->place = (ins_explain_place){
        .look = look, .why = why, .island = (uint32_t)(out->islands - 1), .rows = rows};
    trace->island = out->islands;
    trace->run = run;
    out->place_count++;
    out->looks[look]++;
    out->total.rows += rows;
}

void trace_change_look(struct trace *trace, enum ins_look look, const char *why) {
    ins_explain *out = trace->out;
    INS_ASSERT(out->place_count > 0);
    if (trace->place->look == look) {
        return;
    }
    out->looks[trace->place->look]--;
    out->looks[look]++;
    trace->place->look = look;
    trace->place->why = why != NULL ? why : trace->place->why;
}
