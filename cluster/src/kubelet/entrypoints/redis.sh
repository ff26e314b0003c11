# Entry point of the redis image: options alone, or a configuration file, are given to redis-server.
set -eu
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
	set -- redis-server "$@"
elif [ "${1%.conf}" != "$1" ]; then
	exec redis-server "$@"
fi
if [ "$1" != redis-server ]; then
	exec "$@"
fi
shift
case "${1:-}" in
# A configuration file says itself where to listen.
*.conf) exec redis-server "$@" ;;
esac
# The image listens on every address without protected mode; here the pod's own address stands for that.
exec redis-server --bind "$SRE_POD_IP" --protected-mode no "$@"
