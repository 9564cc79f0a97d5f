#!/bin/sh
# supervise.sh FILE COMMAND...: runs rtpengine, and has keepalived know by FILE when it has ended, as a
# service manager would (systemd's ExecStopPost). The process id goes into FILE.pid.
file=$1
shift
"$@" &
echo $! >"$file.pid"
echo 0 >"$file"
wait $!
echo 1 >"$file"
