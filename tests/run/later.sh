#!/usr/bin/env bash
# Runs the script that a make target stands for: later.sh SCRIPT. Exit 2 when it is not there.
if [ ! -x "$1" ]; then
	echo "warp: $1 is not there yet (or not executable)" >&2
	exit 2
fi
exec "$1"
