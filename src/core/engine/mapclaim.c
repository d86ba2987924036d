/* SPDX-License-Identifier: MIT */
/*
 * mapclaim.c - registrations: where an interface says that it is, and how it shows that this is so.
 *
 * What the map answers may have a proof that goes back to it. Until the map has seen it, it sends us no
 * more than three times what we send it, so that the first requests are longer than they need be. The
 * proof goes back at once, but not over and over where each datagram seems to come from elsewhere; one
 * that is only to be renewed goes with the next request.
 */
#include "engine_internal.h"

#define UNPROVED_SIZE 200u /* of the frames of a request */
#define PROOF_GAP (200 * NS_PER_MS)

void map_claim(struct engine *e, struct map *m, u64 now, u8 iface)
{
	const struct registration *r = &m->registrations[iface];
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct map_way way;

	if (!map_way(e, m, iface, &way))
		return;
	if (way.socket == 0)
		stream_asked(e, m, now, iface);
	f.register_request.interface = iface;
	f.register_request.lan = e->ifaces[iface]->options.local;
	f.register_request.nat = nattest_wire(e->ifaces[iface]);
	if (iface_mapped(e, iface))
		f.register_request.mapped = *iface_mapped(e, iface);
	f.register_request.proof = r->proof;
	map_send_way(e, m, now, &way, &f, 1, r->proved ? 0 : UNPROVED_SIZE);
}

void map_take_proof(struct map *m, u64 now, u8 iface, u64 proof)
{
	struct registration *r = &m->registrations[iface];
	bool is_new = proof && proof != r->proof;

	r->proof = proof;
	r->proved = r->proved || !proof;
	if (r->proved || !is_new)
		return;
	r->next = now > r->proved_at + PROOF_GAP ? now : r->proved_at + PROOF_GAP;
	r->proved_at = r->next;
}
