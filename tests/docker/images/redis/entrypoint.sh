#!/bin/bash
# As the official image: flags or a configuration file alone mean the server, and root becomes redis.
set -euo pipefail
if [ "${1#-}" != "${1:-}" ] || [ "${1%.conf}" != "${1:-}" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ]; then
	# Within a network of containers there is no local host to be protected.
	case " $* " in *protected-mode*) ;; *) set -- "$@" --protected-mode no ;; esac
	if [ "$(id -u)" = 0 ]; then
		chown -R redis:redis /data
		exec setpriv --reuid=redis --regid=redis --init-groups "$@"
	fi
fi
exec "$@"
