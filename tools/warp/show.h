/* SPDX-License-Identifier: MIT */
/*
 * show.h - the parts of the status for people.
 */
#ifndef WARP_SHOW_H
#define WARP_SHOW_H

#include "page.h"

/* peer: one of the status document's peers. */
void show_peer(struct page *p, const json_t *peer);
void show_tunnel(struct page *p, const json_t *tunnel);
/* What a tunnel with a target has chosen; NULL: it has none. */
void show_auto(struct page *p, const json_t *target);
/* What a path has brought that no other did in time, if anything. */
void show_value(struct page *p, const json_t *path);
/* What stands between each of the interfaces and the world. */
void show_nats(struct page *p, const json_t *interfaces);
/* What the interfaces cost that are not simply free. */
void show_costs(struct page *p, const json_t *interfaces);
/* "dropped:" and what is not 0 of drops; nothing when all is. */
void show_drops(struct page *p, const char *before, const json_t *drops);
/* "a, b, c" of a list of texts. */
void show_list(struct page *p, const json_t *list);

#endif
