/* What the subcommands of `insula` share. Each takes its own arguments, argv[0] being its name, and
 * returns the exit code: 0, 1 when the work failed, 2 when the arguments are wrong. */
#ifndef INS_CLI_CLI_H
#define INS_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

#define CLI_HOST_DEFAULT "127.0.0.1"
#define CLI_HTTP_PORT_DEFAULT 6333
#define CLI_GRPC_PORT_DEFAULT 6334
#define CLI_DATA_DEFAULT "./insula-data"

int cli_serve(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_tenant(int argc, char **argv);
int cli_tune(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

/* Prints the help of one subcommand, or of all when `name` is NULL, to the standard output. False
 * when there is none of that name. */
bool cli_print_help(const char *name);
/* Says on the standard error what is wrong with an argument; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "1073741824", "512M", "2G", "2GiB"; powers of 1024. False when it is none or above 2^63. */
bool cli_parse_bytes(const char *text, uint64_t *out_bytes);
bool cli_parse_port(const char *text, uint16_t *out_port);
bool cli_parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out_number);
/* "2.0 GiB" */
const char *cli_format_bytes(uint64_t bytes, char out[static 32]);
bool cli_is_loopback(const char *host);

#endif
