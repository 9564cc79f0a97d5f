// Package netaddr puts floating addresses on this machine and takes them away. A floating address belongs to the cluster: the
// node that holds its lease has it on a device and relays. Who holds the lease is decided elsewhere; here is how an address
// comes, is made known to the network, and goes, even if the process that held it is dead or frozen.
//
// # Two fences
//
// An address must be on one machine at a time. Whoever holds it calls Provider.Remove, and that is a process of its own, which
// outlives the node (package keeper). If that one is dead or frozen too, the kernel removes an address whose lifetime nobody
// renews: Provider.Renew, with the provider netlink.
//
// That has the resolution of the kernel's timer. Measured on Linux 6.18, for lifetimes of 1, 2 and 3 s: an address is
// gone 0 to 0.35 s after its lifetime, and 1 s after it at the worst, when another address of the machine was changed just
// before its end: the kernel looks at its addresses at each change, and then not again for a second. So the bound is the
// lifetime and one second: three seconds after the last Renew with DefaultLifetime. IPv4 and IPv6 are alike. With a lifetime of
// one second, on two processors that 10 threads wait for, and with network namespaces that come and go all the time, 4 of 300
// renewals came too late; with two seconds none, though two renewals were up to 1.6 s apart. (In a worse run one of them waited
// 6 s for the kernel's lock on network settings. No lifetime that is worth having stands that; Renew says ErrGone then.)
//
// # What the fence is
//
// A UDP socket that is bound to an IPv4 address cannot send once that is removed, and the kernel checks it for each packet. For
// IPv6 it does not, so that Remove also puts up a rule of the policy routing, which Add and Close
// take down. An IPv6 address that ran out of its lifetime leaves no rule: whoever hears ErrGone must let its sockets go.
package netaddr
