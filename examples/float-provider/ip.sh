#!/bin/sh
# A provider script for rtpjet that sets the address with ip and announces it with arping (IPv6: ndsend).
# It is a place to start from: rtpjet's own provider "netlink" does the same, faster, and with a lifetime in the kernel.
#
#   ip.sh add|remove|announce|check ADDRESS/PREFIX DEVICE
#
# docs/float-provider.md has the contract.
set -eu

action=$1
address=${2%/*}
device=$3

# A network of its own, so that it neither comes nor goes with another address of the device.
case $address in
*:*) family=-6 prefix=$address/128 flags='nodad noprefixroute preferred_lft 0' ;;
*) family=-4 prefix=$address/32 flags= ;;
esac

here() {
	[ -n "$(ip $family -o addr show dev "$device" to "$prefix")" ]
}

announce() {
	case $family in
	-4)
		# As a request and as a reply: some devices listen to one of them only.
		arping -q -c 1 -U -I "$device" "$address"
		arping -q -c 1 -A -I "$device" "$address"
		;;
	-6)
		if command -v ndsend >/dev/null; then
			ndsend "$address" "$device"
		else
			echo "ndsend is not installed: neighbours find $address when they ask for it anew"
		fi
		;;
	esac
}

case $action in
add)
	# shellcheck disable=SC2086 # several words
	here || ip $family addr add "$prefix" dev "$device" $flags
	announce
	;;
remove)
	! here || ip $family addr del "$prefix" dev "$device"
	;;
announce)
	announce
	;;
check)
	here || exit 1
	;;
*)
	echo "unknown action $action" >&2
	exit 64
	;;
esac
