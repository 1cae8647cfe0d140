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

random | make postgres_password
for role in publisher contacts ingest relay worker webhooks monitor console reader owner; do
    random | make "roles/fundlyhub_$role"
    echo "postgresql://fundlyhub_$role:$(of "roles/fundlyhub_$role")@postgres:5432/fundlyhub" | make "${role}_dsn"
done
echo "postgresql://fundlyhub:$(of postgres_password)@postgres:5432/fundlyhub" | make superuser_dsn
random | make rabbitmq_password
printf 'default_user = fundlyhub\ndefault_pass = %s\n' "$(of rabbitmq_password)" | make rabbitmq_conf
echo "amqp://fundlyhub:$(of rabbitmq_password)@rabbitmq:5672//" | make broker_url
echo "http://fundlyhub:$(of rabbitmq_password)@rabbitmq:15672/api/" | make broker_api
random | make valkey_password
printf 'dir /data\nappendonly yes\nmaxmemory-policy noeviction\nrequirepass %s\n' "$(of valkey_password)" | make valkey_conf
echo "redis://:$(of valkey_password)@valkey:6379/0" | make redis_url
random | make secret_key
random | make flower_password
