#!/bin/sh
# Start nginx. A site's own certificate gets HSTS; a self-signed one does not, since browsers would lock users out.
set -eu
for file in certificate.pem key.pem; do
    [ -r "/tls/$file" ] || { echo "/tls/$file is missing or unreadable for uid $(id -u): see docs/how-to/deploy.md" >&2; sleep 2; exit 1; }
done
if [ -e /tls/self-signed ]; then
    : >/tmp/hsts.conf
else
    echo 'add_header Strict-Transport-Security "max-age=31536000" always;' >/tmp/hsts.conf
fi
rm -f /tmp/plain.sock /tmp/tls.sock
exec nginx -c /etc/ich/nginx.conf
