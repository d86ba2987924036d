/* SPDX-License-Identifier: MIT */
/*
 * base64.c - see base64.h. No table is indexed by, and no branch depends on, a bit of the key: the
 * ranges of the alphabet are told apart by arithmetic on signs.
 */
#include <errno.h>
#include <string.h>

#include "warp/base64.h"

/* All ones when low <= value <= high, else 0. The values are small, so that signs tell. */
static int in_range(int value, int low, int high)
{
	unsigned below = (unsigned)(value - low) >> 31, above = (unsigned)(high - value) >> 31;

	return (int)((below | above) - 1);
}

/* The character of six bits. */
static char encode_6(int bits)
{
	int c = 0;

	c |= in_range(bits, 0, 25) & ('A' + bits);
	c |= in_range(bits, 26, 51) & ('a' + bits - 26);
	c |= in_range(bits, 52, 61) & ('0' + bits - 52);
	c |= in_range(bits, 62, 62) & '+';
	c |= in_range(bits, 63, 63) & '/';
	return (char)c;
}

/* The six bits of a character, or a negative number when it is not of the alphabet. */
static int decode_6(char character)
{
	int c = (unsigned char)character;
	int bits = -1;

	bits += in_range(c, 'A', 'Z') & (c - 'A' + 1);
	bits += in_range(c, 'a', 'z') & (c - 'a' + 26 + 1);
	bits += in_range(c, '0', '9') & (c - '0' + 52 + 1);
	bits += in_range(c, '+', '+') & (62 + 1);
	bits += in_range(c, '/', '/') & (63 + 1);
	return bits;
}

void key_to_base64(char ret[static KEY_TEXT_SIZE], const u8 key[static KEY_SIZE])
{
	char *out = ret;
	size_t i;

	for (i = 0; i + 3 <= KEY_SIZE; i += 3) {
		*out++ = encode_6(key[i] >> 2);
		*out++ = encode_6((key[i] << 4 | key[i + 1] >> 4) & 63);
		*out++ = encode_6((key[i + 1] << 2 | key[i + 2] >> 6) & 63);
		*out++ = encode_6(key[i + 2] & 63);
	}
	/* 32 bytes are ten times three, and two. */
	*out++ = encode_6(key[i] >> 2);
	*out++ = encode_6((key[i] << 4 | key[i + 1] >> 4) & 63);
	*out++ = encode_6(key[i + 1] << 2 & 63);
	*out++ = '=';
	*out = 0;
}

int key_from_base64(u8 ret[static KEY_SIZE], const char *text, size_t size)
{
	u8 key[KEY_SIZE + 1]; /* the last byte holds the two bits that must be zero */
	int bits[4], bad = 0;
	size_t i, k;

	if (size != KEY_TEXT_SIZE - 1 || text[size - 1] != '=')
		return -EINVAL;
	for (i = 0; i < size; i += 4) {
		for (k = 0; k < 4; k++) {
			bits[k] = i + k == size - 1 ? 0 : decode_6(text[i + k]);
			bad |= bits[k];
			bits[k] &= 63;
		}
		key[i / 4 * 3] = (u8)(bits[0] << 2 | bits[1] >> 4);
		key[i / 4 * 3 + 1] = (u8)(bits[1] << 4 | bits[2] >> 2);
		key[i / 4 * 3 + 2] = (u8)(bits[2] << 6 | bits[3]);
	}
	/* bad < 0: a character was wrong. */
	bad = (bad < 0) | (key[KEY_SIZE] != 0);
	if (!bad)
		memcpy(ret, key, KEY_SIZE);
	explicit_bzero(key, sizeof(key));
	return bad ? -EINVAL : 0;
}
