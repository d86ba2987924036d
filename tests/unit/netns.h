/* SPDX-License-Identifier: MIT */
/*
 * netns.h - tests that need interfaces run in a network namespace of their own, which goes away
 * with the process.
 */
#ifndef WARP_TESTS_NETNS_H
#define WARP_TESTS_NETNS_H

#include <stdbool.h>

/* Moves the process into a new namespace and sets lo up; false when it may not (no root). Then
 * netns_needed() skips the test that calls it. */
bool netns_enter(void);
void netns_needed(void);
/* Runs a shell command, as printf; the test fails when it does. */
__attribute__((format(printf, 1, 2))) void run(const char *format, ...);
/* Does what the shell command writes contain text? */
bool shows(const char *command, const char *text);

#endif
