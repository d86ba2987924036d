#!/usr/bin/env bash
# failing-link.sh with each failure ten times.
# timeout: 600
ROUNDS=10 exec "$(dirname "$0")/failing-link.sh"
