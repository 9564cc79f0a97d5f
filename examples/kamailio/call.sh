#!/bin/sh
# Places one call from SIPp to SIPp through a Kamailio that runs kamailio.cfg.
# The caller plays sound, the callee sends back what it hears. Needs Debian's
# package sip-tester, and root, because SIPp plays through a raw socket.
#
#   examples/kamailio/call.sh ADDRESS:PORT [CALL-ID [PORT]]
#
# ADDRESS:PORT is Kamailio's. The phones take PORT (5070 if not given) to PORT+23.
set -eu
proxy=${1:?"usage: call.sh ADDRESS:PORT [CALL-ID [PORT]]"}
call_id=${2:-first-call}
port=${3:-5070}
host=${proxy%:*}
cd "$(dirname "$0")"
export TERM="${TERM:-xterm}"

quiet() {
	"$@" -i "$host" -mi "$host" -m 1 -nostdin -timeout 60 -timeout_error "$proxy" >/dev/null 2>&1 ||
		{ echo "call.sh: this failed: $* ... $proxy" >&2; return 1; }
}
quiet sipp -sf register.xml -p "$port"
quiet sipp -sf callee.xml -p "$port" -mp $((port + 10)) -rtp_echo &
callee=$!
echo "calling: Call-ID $call_id"
quiet sipp -sf caller.xml -p $((port + 2)) -mp $((port + 20)) -cid_str "$call_id"
wait "$callee"
echo "the call is over"
