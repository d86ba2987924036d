/* SPDX-License-Identifier: MIT */
/*
 * document.h - a configuration file as a tree of YAML nodes, each of which knows where it stands.
 */
#ifndef WARP_CONF_DOCUMENT_H
#define WARP_CONF_DOCUMENT_H

#include "schema.h"

#define DOCUMENT_MOST (1024u * 1024u) /* bytes */

/* The file's bytes, malloced; also looks at its permissions. 0, -EINVAL, or -errno of opening it. */
int document_read_file(struct reader *r, unsigned char **ret, size_t *ret_size);

/* The one document in data, and its root. The caller deletes it when 0 is returned. */
int document_parse(struct reader *r, const unsigned char *data, size_t size,
		   yaml_document_t *ret_document, yaml_node_t **ret_root);

#endif
