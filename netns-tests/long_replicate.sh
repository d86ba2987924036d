#!/usr/bin/env bash
# replicate.sh with more payloads, for chance to be narrower.
# timeout: 300
COUNT=400000 exec "$(dirname "$0")/replicate.sh"
