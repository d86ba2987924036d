/* SPDX-License-Identifier: MIT */
/*
 * fuzz_conf.c - any bytes as a configuration of warpd and of warp-map: either a struct, or one line
 * that says what is wrong.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/conf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return crypto_init();
}

/* One line of printable characters, after the name of the file. */
static void check_error(int result, const struct conf_error *error)
{
	const char *c;

	if (result != -EINVAL || strncmp(error->text, "fuzz.yaml:", 10) != 0)
		abort();
	for (c = error->text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct conf_error error = { "" };
	struct conf_map_server *map = NULL;
	struct conf *conf = NULL;
	int result;

	result = conf_parse("fuzz.yaml", size ? (const char *)data : "", size, &conf, &error);
	if (result)
		check_error(result, &error);
	conf_free(conf);
	result = conf_parse_map_server("fuzz.yaml", size ? (const char *)data : "", size, &map,
				       &error);
	if (result)
		check_error(result, &error);
	conf_map_server_free(map);
	return 0;
}
