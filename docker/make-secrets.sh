#!/bin/sh
# Makes docker/secrets for docker/compose.yaml: a file for each password, DSN and key. What is there already stays, so it
# may be run again after an upgrade that wants further files. It prints no secret.
set -eu

folder=${1:-$(dirname "$0")/secrets}
# Nobody else of this machine enters the folder. The files in it are readable, since each container has an account of
# its own; a container sees those that compose.yaml gives it, and no others.
umask 077
mkdir -p "$folder/roles" "$folder/providers" "$folder/webhooks"
chmod 700 "$folder"
chmod 755 "$folder/roles" "$folder/providers" "$folder/webhooks"

make() { # NAME: a file of what stdin holds, unless it is there
    [ -e "$folder/$1" ] && { cat >/dev/null; return; }
    cat >"$folder/$1.partial"
    chmod 444 "$folder/$1.partial"
    mv "$folder/$1.partial" "$folder/$1"
}
random() { openssl rand -hex 24; }
of() { cat "$folder/$1"; }
hashed() { # PASSWORD: as RabbitMQ stores it: a salt of four bytes, and SHA-256 of salt and password
    salt=$(openssl rand -hex 2)
    { printf %s "$salt"; printf %s%s "$salt" "$1" | openssl dgst -sha256 -binary; } | openssl base64 -A
}

random | make postgres_password
for role in publisher contacts ingest relay worker webhooks monitor console reader eraser owner; do
    random | make "roles/fundlyhub_$role"
    echo "postgresql://fundlyhub_$role:$(of "roles/fundlyhub_$role")@postgres:5432/fundlyhub" | make "${role}_dsn"
done
echo "postgresql://fundlyhub:$(of postgres_password)@postgres:5432/fundlyhub" | make superuser_dsn
random | make rabbitmq_password
printf 'default_user = fundlyhub\ndefault_pass = %s\n' "$(of rabbitmq_password)" | make rabbitmq_conf
echo "amqp://fundlyhub:$(of rabbitmq_password)@rabbitmq:5672//" | make broker_url
# Flower watches: it may make and read queues of its own, ask workers, and reach no queue or exchange of ours.
random | make flower_broker_password
flower='^(celeryev(\\.[-0-9a-f]{36})?|(reply\\.)?celery\\.pidbox|[-0-9a-f]{36}\\.reply\\.celery\\.pidbox)$'
make rabbitmq_definitions <<END
{"vhosts": [{"name": "/"}],
 "users": [
  {"name": "fundlyhub", "password_hash": "$(hashed "$(of rabbitmq_password)")",
   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator"},
  {"name": "flower", "password_hash": "$(hashed "$(of flower_broker_password)")",
   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "management"}],
 "permissions": [
  {"user": "fundlyhub", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "flower", "vhost": "/", "configure": "$flower", "write": "$flower", "read": "$flower"}]}
END
echo "http://flower:$(of flower_broker_password)@rabbitmq:15672/api/" | make flower_broker_api
echo "amqp://flower:$(of flower_broker_password)@rabbitmq:5672//" | make flower_broker_url
random | make valkey_password
printf 'dir /data\nappendonly yes\nmaxmemory-policy noeviction\nrequirepass %s\n' "$(of valkey_password)" | make valkey_conf
echo "redis://:$(of valkey_password)@valkey:6379/0" | make redis_url
random | make secret_key
random | make flower_password
