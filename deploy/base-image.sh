#!/usr/bin/env bash
# A base image from Debian's packages, for a machine that reaches no registry of images: as root,
# with mmdebstrap and buildah. Give its name to build-image.sh as BASE.
set -euo pipefail
tag=${1:-localhost/debian-python:bookworm}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mmdebstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder/base.tar"
printf 'FROM scratch\nADD base.tar /\n' > "$folder/Containerfile"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$folder/policy.json"
buildah build --signature-policy "$folder/policy.json" --tag "$tag" "$folder"
