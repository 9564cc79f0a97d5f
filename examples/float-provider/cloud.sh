#!/bin/sh
# A sketch of a provider script for rtpjet in a cloud: there the network, and not ARP, decides where an address is, so it is
# moved by the cloud's interface. Here it is Amazon EC2, with its command-line tool: an address is a secondary private address
# of a network interface, and is reassigned to the interface of the node that takes it. Other clouds have the same under other
# names. Try it in yours before you rely on it, and measure how long it takes.
#
#   cloud.sh add|remove|announce|check ADDRESS/PREFIX DEVICE
#
# It needs the instance's role to allow ec2:AssignPrivateIpAddresses, ec2:UnassignPrivateIpAddresses and
# ec2:DescribeNetworkInterfaces; curl; and the tool aws. docs/float-provider.md has the contract.
set -eu

action=$1
address=${2%/*}
device=$3

case $address in
*:*)
	echo "this script knows IPv4 only: IPv6 has assign-ipv6-addresses, which does not reassign" >&2
	exit 64
	;;
esac

# The number of the network interface, from the instance's own metadata.
interface() {
	base=http://169.254.169.254/latest
	token=$(curl -sf -m 1 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
	mac=$(cat "/sys/class/net/$device/address")
	curl -sf -m 1 -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/network/interfaces/macs/$mac/interface-id"
}

local_here() {
	[ -n "$(ip -4 -o addr show dev "$device" to "$address/32")" ]
}

case $action in
add)
	# The last one who asks has it: the interface that had it loses it in the same step.
	aws ec2 assign-private-ip-addresses --network-interface-id "$(interface)" --private-ip-addresses "$address" --allow-reassignment
	local_here || ip addr add "$address/32" dev "$device"
	;;
remove)
	# First what is quick and needs nobody: nothing is sent from the address any more. The new holder reassigns it
	# whether this node gives it back or not, so that this may fail, and it is not ours to give if it is reassigned already.
	! local_here || ip addr del "$address/32" dev "$device"
	aws ec2 unassign-private-ip-addresses --network-interface-id "$(interface)" --private-ip-addresses "$address" ||
		echo "the address was not given back; it may have another holder already"
	;;
announce) ;; # nobody would listen
check)
	local_here || exit 1
	found=$(aws ec2 describe-network-interfaces --network-interface-ids "$(interface)" \
		--query "NetworkInterfaces[0].PrivateIpAddresses[?PrivateIpAddress=='$address'] | length(@)" --output text) || exit 2
	[ "$found" = 1 ] || exit 1
	;;
*)
	echo "unknown action $action" >&2
	exit 64
	;;
esac
