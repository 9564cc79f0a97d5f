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
// The second one acts a few milliseconds after the parent has died: 1 to 11 ms with 8,000 sockets open. The kernel tears a
// process's memory down before it closes its files, which takes 50 ms a gigabyte, so that the limit of silence is the bound
// for a large one. It acts on a frozen parent when the last sign of life is as old as the limit.
//
// The third one has the resolution of the kernel's timer. Measured on Linux 6.18, for lifetimes of 1, 2 and 3 s: an address is
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
// IPv6 it does not, so that Remove (of a holder and of a guard) also puts up a rule of the policy routing, which Add and Close
// take down. An IPv6 address that ran out of its lifetime leaves no rule: whoever hears ErrGone must let its sockets go.
package netaddr
