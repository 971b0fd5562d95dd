#!/usr/bin/env bash
# Chromium and its driver, for the tests that look at the page in a browser. On Debian as root they
# are installed; elsewhere it says what is missing, and those tests skip themselves aloud.
set -euo pipefail

if command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; then
    exit 0
fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; then
        exit 0
    fi
fi
echo "note: without Chromium and chromedriver, the tests of the page in a browser are skipped;" \
    "get them: apt install chromium chromium-driver (Debian)" >&2
