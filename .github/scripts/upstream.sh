#!/usr/bin/env bash
# Clones both upstreams, with all of their history, into the folder that MACFIX_UPSTREAM names.
# TRACTOR_URL and PIKER_URL name other places than theirs, a checkout on this machine for instance.
set -euo pipefail
folder=${MACFIX_UPSTREAM:?a folder for the checkouts}
mkdir -p "$folder"
git clone --quiet "${TRACTOR_URL:-https://github.com/goodboy/tractor}" "$folder/tractor"
git clone --quiet "${PIKER_URL:-https://github.com/pikers/piker}" "$folder/piker"
