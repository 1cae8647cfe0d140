#!/bin/sh
# Prints a line for docker/.env for each image that docker/compose.yaml names: the digest that its tag has now.
#   docker/pin-images.sh >>docker/.env
set -eu

folder=$(dirname "$0")
sed -n 's/.*\${\([A-Z]*_IMAGE\):-\([^}]*\)}.*/\1 \2/p' "$folder/compose.yaml" | while read -r name image; do
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image" </dev/null)
    echo "$name=$image@$digest"
done
