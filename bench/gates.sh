#!/bin/sh
# ./dev gates [ID]...: measures what the issues ask for. See bench/gates/__main__.py --help.
cd "$(dirname "$0")/.."
exec python3 -B bench/gates "$@"
