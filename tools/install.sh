#!/bin/sh
# Installs those of the Debian packages named as arguments that are missing. Quick when none is:
# one call of dpkg-query. Without root and without sudo it prints the one line to run and fails.
set -eu

if ! command -v dpkg-query >/dev/null; then
    echo "install: this is not Debian; please provide what these packages hold:" "$@" >&2
    exit 0 # meson says what it does not find
fi
# dpkg-query fails when it does not know a package; what it prints for the others is enough.
installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
missing=
for package; do
    case $installed in
    *" installed:$package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root='env'
elif sudo -n true 2>/dev/null; then
    as_root='sudo -n env'
else
    echo "install: some Debian packages are missing and there is no way to become root here. Please run:" >&2
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "install: installing$missing" >&2
# Output goes to stderr, so that a command's own output stays alone. A busy dpkg is waited for.
options='-q -y -o DPkg::Lock::Timeout=300 --no-install-recommends'
if ! $as_root apt-get -q update >&2; then
    echo "install: apt-get update failed; trying with the package lists that are here" >&2
fi
$as_root DEBIAN_FRONTEND=noninteractive apt-get install $options $missing >&2
