/* insula doctor and insula tune: what holds this machine and server back, in words. */
#ifndef INS_CLI_DOCTOR_DOCTOR_H
#define INS_CLI_DOCTOR_DOCTOR_H

#include "cli/doctor/rules.h"

/* The findings for people, and for programs; `sight` tells what could not be seen. */
void report_text(const struct sight *sight, const struct finding *findings, unsigned count);
void report_json(const struct sight *sight, const struct finding *findings, unsigned count);
/* A shell script that makes the proposed changes, and one that takes them back. */
void report_script(const struct finding *findings, unsigned count);

#endif
