// Package netaddr puts floating addresses on this machine and takes them away. A floating address belongs to the cluster: the
// node that holds its lease has it on a device and relays. Who holds the lease is decided elsewhere; here is how an address
// comes, is made known to the network, and goes, even if the process that held it is dead or frozen.
//
// # Three fences
//
// An address must be on one machine at a time, so it goes in three ways, each for when those before it fail:
//
//  1. The holder calls Provider.Remove.
//  2. The Guard, a small process of its own, removes what its parent holds when that is dead, or has been silent for too long.
//  3. The kernel removes an address whose lifetime nobody renews: Provider.Renew, with the provider netlink.
//
// The third one has the resolution of the kernel's timer. Measured on Linux 6.18, for a lifetime of 1, 2 and 3 s, an address was
// gone 0 to 0.35 s after its lifetime, and 1 s after it at the worst, when another address of the machine was changed just
// before its end: the kernel looks at its addresses at each change, and then not again for a second. So the bound is the
// lifetime and one second, which is two seconds after the last Renew with DefaultLifetime. IPv4 and IPv6 are alike.
//
// # What the fence is
//
// A UDP socket that is bound to an IPv4 address cannot send once that is removed, and the kernel checks it for each packet. For
// IPv6 it does not, so that Remove (of a holder and of a guard) also puts up a rule of the policy routing, which Add and Close
// take down. An IPv6 address that ran out of its lifetime leaves no rule: whoever hears ErrGone must let its sockets go.
package netaddr
