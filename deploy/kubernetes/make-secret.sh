#!/usr/bin/env bash
# The certificates of one run, as the Secret catalog-tls: an authority, and one certificate that it
# signed. The authority's key is thrown away: no second one can be signed, and a leaked certificate
# is worth one run. Its holder is taken for driver, scheduler and worker.
#
#   deploy/kubernetes/make-secret.sh | kubectl apply -f -
#
# NAMESPACE (catalog) and DAYS (30) can be set in the environment. Needs openssl and kubectl; nothing
# stays on this machine.
set -euo pipefail
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
days=${DAYS:-30}
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

openssl req -x509 "${curve[@]}" -days "$days" -subj "/CN=catalog-builder authority" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
    -keyout ca.key -out ca.pem 2>openssl.log || { cat openssl.log >&2; exit 1; }
openssl req "${curve[@]}" -subj "/CN=catalog-builder run" -keyout key.pem -out run.csr 2>openssl.log \
    || { cat openssl.log >&2; exit 1; }
openssl x509 -req -in run.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n') -out cert.pem 2>openssl.log \
    || { cat openssl.log >&2; exit 1; }

kubectl create secret generic catalog-tls --namespace "${NAMESPACE:-catalog}" \
    --from-file=ca.pem --from-file=cert.pem --from-file=key.pem --dry-run=client --output=yaml
