package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Mix is what is assumed: the traffic and the machines. Each is a flag.
type Mix struct {
	Calls     float64 // at once, in all regions
	Regions   float64
	Seconds   float64 // a call
	Reoffers  float64 // a call, each with its answer
	Learned   float64 // addresses a call that are not those of the SDP
	Rate      float64 // packets/s a leg
	Packet    float64 // bytes of an RTP packet
	Secure    float64 // share of the packets that are encrypted or decrypted
	Mux       float64 // share of the calls with rtcp-mux
	Holders   float64 // nodes that have the sockets of a call open: 2 with floating addresses
	Replicas  float64
	Days      float64 // of the archive
	Ended     float64 // seconds that the entries of an ended call stay in the live stream
	Cores     float64 // of a node
	Busy      float64 // share of them, of its memory and of its network that may be in use
	Memory    float64 // of a node, GB
	Ports     float64 // of a media address
	Addresses float64 // for media, of a node
	Gbit      float64 // of a node, each way
	Restart   float64 // seconds that a node that was killed may take
	Spare     float64 // nodes of a region that may be gone
}

// check refuses what cannot be computed with.
func (m Mix) check() error {
	for _, c := range []struct {
		name     string
		v        float64
		low, top float64
	}{
		{"calls", m.Calls, 1, 1e12},
		{"regions", m.Regions, 1, 1e4},
		{"seconds", m.Seconds, 0.1, 1e9},
		{"reoffers", m.Reoffers, 0, 1e6},
		{"learned", m.Learned, 0, 1e6},
		{"rate", m.Rate, 0, 1e6},
		{"packet", m.Packet, 12, 65000},
		{"secure", m.Secure, 0, 1},
		{"mux", m.Mux, 0, 1},
		{"holders", m.Holders, 1, 2},
		{"replicas", m.Replicas, 1, 5},
		{"days", m.Days, 0, 1e5},
		{"ended", m.Ended, 0, 1e6},
		{"cores", m.Cores, 1, 1e4},
		{"busy", m.Busy, 0.01, 1},
		{"memory", m.Memory, 0.1, 1e5},
		{"ports", m.Ports, 4, 65535},
		{"addresses", m.Addresses, 1, 1e4},
		{"gbit", m.Gbit, 0.01, 1e4},
		{"restart", m.Restart, 0.1, 1e6},
		{"spare", m.Spare, 0, 1e4},
	} {
		if !(c.v >= c.low && c.v <= c.top) {
			return fmt.Errorf("--%s is %v and should be between %v and %v", c.name, c.v, c.low, c.top)
		}
	}
	return nil
}

// Part is a share of something, with its name.
type Part struct {
	Name  string
	Value float64
}

// Needs is what the traffic needs. What is not said to be of all regions is of one.
type Needs struct {
	Calls, NewCalls   float64 // at once; a second
	Events            float64 // a call
	CallBytes         float64 // of all events of a call
	EventsPS          float64
	Packets, MediaBit float64 // a second; bits a second, each way
	CoresBy           []Part  // cores that are busy
	Cores             float64
	NodesBy           []Part // nodes that each reason asks for
	Nodes             float64
	MemoryBy          []Part // bytes of a node that has a replica of the log
	MemoryNode        float64
	CallsNode         float64
	SocketsNode       float64
	RestartCalls      float64 // seconds: a killed node with its calls
	RestartIndex      float64 // seconds of one core: the mirrors are read
	NodeEventsIn      float64 // bytes/s that a node gets by following the log and the mirrors
	RegionOut         float64 // bits/s to all other regions: the live stream and the archive
	RegionOutFar      float64 // the same, as NATS compresses it
	Leaves            float64 // connections of a region to others
	Mirrors           float64 // streams of a region that mirror
	Leader            float64 // share of one core that all copies of the appends take: more than the stream's leader has to do
	DiskOwn           float64 // bytes a day, own calls, one copy
	DiskDay           float64 // bytes a day: own and mirrored, all copies
	DiskDayHome       float64 // the same, if the archive were not mirrored
	DiskKept          float64 // bytes after Days
	FoldMemory        float64 // bytes of a node if it folded all foreign calls
	IndexMemory       float64
	FoldCPU           float64 // cores of a node if it folded all foreign events, beyond receiving them
	IndexCPU          float64
	FollowCPU         float64 // cores of a node to receive them

	AllNodes, AllCores, AllPackets, AllDisk, AllBetween float64 // of all regions
}

// ethernet is what a packet has around it on the wire: IPv4 and UDP, Ethernet with its checksum, preamble and gap.
const ethernet = 20 + 8 + 18 + 20

// need computes what m needs by the measured figures. It is NaN-free for what check lets pass; Nodes is +Inf if no number of
// nodes would do.
func need(in Inputs, m Mix) Needs {
	var n Needs
	others := m.Regions - 1
	n.Calls = m.Calls / m.Regions
	n.NewCalls = n.Calls / m.Seconds
	n.Events = 3 + 2*m.Reoffers + m.Learned
	n.CallBytes = (in["offer"]+in["answer"])*(1+m.Reoffers) + in["learned"]*m.Learned + in["end"]
	n.EventsPS = n.NewCalls * n.Events
	entry := n.CallBytes / n.Events

	// The processors. What each node does for all events of all regions grows with the number of nodes.
	n.Packets = n.Calls * 2 * m.Rate
	n.MediaBit = n.Packets * (m.Packet + ethernet) * 8
	packet := in["packet"] * (1 - m.Secure + m.Secure*in["secure"]/in["plain"])
	copies := 1.0
	if m.Replicas > 1 {
		copies = in["append3"] / in["append"] * m.Replicas / 3
	}
	media := n.Packets * packet / 1e6
	place := n.NewCalls * in["control3"] * n.Events / 3 / 1e6
	store := others * n.EventsPS * in["mirror"] * max(1, copies) / 1e6
	fold := n.EventsPS * (in["follow"] + in["fold"]) / 1e6 // a node
	n.FollowCPU = others * n.EventsPS * in["follow"] / 1e6
	n.IndexCPU = others * n.EventsPS * in["note"] / 1e6
	n.FoldCPU = others * n.EventsPS * in["fold"] / 1e6
	each := fold + n.FollowCPU + n.IndexCPU

	// The memory of a node; all but its own calls is the same on each.
	behind := n.NewCalls * m.Ended
	other := []Part{
		{"calls of other nodes of the region", n.Calls * in["foreign"]},
		{"index of the calls of other regions", others * (n.Calls*in["index"] + 2*behind*in["indexEnded"])},
		{"NATS: subjects of all regions", ((n.Calls + behind) + others*(n.Calls+2*behind)) * in["subject"]},
	}
	n.IndexMemory = other[1].Value
	n.FoldMemory = others * n.Calls * in["foreign"]
	fixed := sum(other)

	perSecond := in["restart"] / 4000 // a call of a restart
	sockets := in["sockets"]*(1-m.Mux) + in["socketsMux"]*m.Mux
	kernel := sockets * in["socket"]
	n.NodesBy = []Part{
		{"processors", nodesFor(media+place+store, m.Cores*m.Busy-each)},
		{"memory", nodesFor(n.Calls*(in["own"]+kernel)*m.Holders, m.Memory*1e9*m.Busy-fixed)},
		{"ports", nodesFor(n.Calls*sockets, m.Ports*m.Addresses)},
		{"network", nodesFor(n.MediaBit, m.Gbit*1e9*m.Busy-m.Regions*n.EventsPS*entry*8)},
		{"restart", nodesFor(n.Calls*perSecond, m.Restart)},
		{"copies of the log", m.Replicas},
	}
	// A node that is gone leaves its calls to the others, who must be enough then.
	n.Nodes = slices.MaxFunc(n.NodesBy, func(a, b Part) int { return cmp.Compare(a.Value, b.Value) }).Value + m.Spare
	n.CoresBy = []Part{
		{"relaying packets", media},
		{"commands and appends of the region's calls", place},
		{"each node follows and folds the region's calls", fold * n.Nodes},
		{"the other regions' events are mirrored", store},
		{"each node follows the mirrors", n.FollowCPU * n.Nodes},
		{"and notes them in its index", n.IndexCPU * n.Nodes},
	}
	n.Cores = sum(n.CoresBy)
	n.CallsNode = n.Calls / n.Nodes
	n.SocketsNode = n.CallsNode * sockets * m.Holders
	n.MemoryBy = append([]Part{
		{"own calls, and those it would take over", n.CallsNode * in["own"] * m.Holders},
		{"the kernel's for their sockets", n.CallsNode * kernel * m.Holders},
	}, other...)
	n.MemoryNode = sum(n.MemoryBy)

	alive := n.Events - 1 // events of a live call, at most
	n.RestartCalls = n.CallsNode * perSecond
	n.RestartIndex = others * (n.Calls*alive + 2*behind*n.Events) * (in["follow"] + in["note"]) / 1e6
	n.NodeEventsIn = m.Regions * n.EventsPS * entry
	n.RegionOut = others * n.EventsPS * entry * (in["live"] + in["archive"]) * 8
	n.RegionOutFar = others * n.EventsPS * in["wireFar"] * 8
	n.Leaves = n.Nodes * others
	n.Mirrors = 3 * others
	n.Leader = n.EventsPS * in["append3"] / 1e6

	n.DiskOwn = n.NewCalls * n.CallBytes * in["archive"] * 86400
	n.DiskDayHome = n.DiskOwn * m.Replicas
	n.DiskDay = n.DiskDayHome * m.Regions
	n.DiskKept = n.DiskDay * m.Days

	n.AllNodes, n.AllCores, n.AllPackets = n.Nodes*m.Regions, n.Cores*m.Regions, n.Packets*m.Regions
	n.AllDisk, n.AllBetween = n.DiskDay*m.Regions, n.RegionOut*m.Regions
	return n
}

// nodesFor is how many nodes carry a load of which each takes so much.
func nodesFor(load, each float64) float64 {
	if load <= 0 {
		return 0
	}
	if each <= 0 {
		return math.Inf(1)
	}
	return math.Ceil(load/each - 1e-9)
}

func sum(parts []Part) (total float64) {
	for _, p := range parts {
		total += p.Value
	}
	return total
}
