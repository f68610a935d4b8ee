#!/usr/bin/env bash
# Build the image without a daemon (buildah). Settings from the environment:
#
#   TAG          localhost/catalog-builder:cpu
#   BASE, VARIANT, PIP_OPTIONS   as deploy/Containerfile says
#   WHEELS       a folder of wheels, seen as /wheels during the build: PIP_OPTIONS defaults to it then
#
# Prints the name, the digest and the size of what it made.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${TAG:-localhost/catalog-builder:cpu}
options=(--format docker --file deploy/Containerfile --ignorefile .containerignore --tag "$tag")
options+=(--build-arg "VARIANT=${VARIANT:-cpu}")
if [ -n "${WHEELS:-}" ]; then
    options+=(--volume "$(realpath "$WHEELS"):/wheels:ro")
    PIP_OPTIONS=${PIP_OPTIONS:---no-index --find-links /wheels}
fi
[ -z "${PIP_OPTIONS:-}" ] || options+=(--build-arg "PIP_OPTIONS=$PIP_OPTIONS")
[ -z "${BASE:-}" ] || options+=(--build-arg "BASE=$BASE" --pull-never)
# A signature policy is a matter of the site; where there is none, local images are taken as they are.
policy=$(mktemp)
trap 'rm -f "$policy"' EXIT
if [ ! -e /etc/containers/policy.json ] && [ ! -e "$HOME/.config/containers/policy.json" ]; then
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$policy"
    options+=(--signature-policy "$policy")
fi
# Inside a container or as a user without subordinate ids, `chroot` is the isolation that works.
buildah build --isolation "${ISOLATION:-chroot}" "${options[@]}" .
buildah images --format '{{.Name}}:{{.Tag}} {{.Digest}} {{.Size}}' "$tag"
