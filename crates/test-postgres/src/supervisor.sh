# Runs a server until it ends, or until our standard input does: its other end is held by the process that wants the server, and
# closed by the system however that process ends. Then it removes the server's directory, unless there is a file `keep` in it.
#
# sh -c THIS sh SIGNAL DIRECTORY COMMAND [ARG]…
trap '' HUP INT QUIT TERM
signal=$1
directory=$2
shift 2
exec 3<&0 </dev/null

"$@" 3<&- >>"$directory/log" 2>&1 &
server=$!

# Asks again until it is gone: what a shell that is to become the server is sent before is lost.
(
    cat <&3
    while kill -s "$signal" "$server"; do sleep 0.1; done
) >/dev/null 2>&1 &
watcher=$!

wait "$server"
kill -s KILL "$watcher" 2>/dev/null
tail -n 20 "$directory/log"
cd /
[ -e "$directory/keep" ] || rm -rf "$directory"
