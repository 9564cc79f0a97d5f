package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"rtpjet/tests/lab/report"
)

// block is a part of the page that is written between markers.
type block struct{ name, text string }

func number(format string, v float64) string { return report.Number(format, v) }

// figures renders a value with three digits or so.
func figures(v float64) string {
	switch a := math.Abs(v); {
	case math.IsInf(v, 0):
		return "∞"
	case a >= 100 || v == math.Trunc(v):
		return number("%.0f", v)
	case a >= 10:
		return number("%.1f", v)
	case a >= 0.1:
		return number("%.2f", v)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

func mega(v float64) string { return figures(v / 1e6) }
func giga(v float64) string { return figures(v / 1e9) }
func tera(v float64) string { return figures(v / 1e12) }

// rows renders a table. All columns but the first are numbers, unless their head ends in a space.
func rows(head []string, list [][]string) string {
	var b strings.Builder
	under := "|"
	for i, h := range head {
		b.WriteString("| " + strings.TrimSuffix(h, " ") + " ")
		if i == 0 || strings.HasSuffix(h, " ") {
			under += "---|"
		} else {
			under += "--:|"
		}
	}
	b.WriteString("|\n" + under + "\n")
	for _, r := range list {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
	}
	return b.String()
}

// blocks are all tables of the page.
func blocks(f file, m Mix, all []assumption) []block {
	in, n := f.Inputs, need(f.Inputs, m)
	return []block{
		{"answer", answer(n, m)},
		{"assumptions", assumed(all)},
		{"traffic", traffic(n, m)},
		{"cores", cores(n, m)},
		{"nodes", nodes(n, m)},
		{"memory", memory(n)},
		{"log", logTable(n, m)},
		{"index", index(in, n, m)},
		{"regions", regionsTable(in, m)},
		{"packets", packets(in, m)},
		{"limits", limits(in, n, m)},
		{"inputs", measured(f)},
	}
}

func answer(n Needs, m Mix) string {
	return rows([]string{fmt.Sprintf("%s calls over %s regions", figures(m.Calls), figures(m.Regions)), "a region", "all regions"}, [][]string{
		{fmt.Sprintf("nodes of %s cores", figures(m.Cores)), figures(n.Nodes), figures(n.AllNodes)},
		{"cores that are busy", figures(n.Cores), figures(n.AllCores)},
		{"of them for relaying packets", figures(n.CoresBy[0].Value), figures(n.CoresBy[0].Value * m.Regions)},
		{"memory of a node in use, GB", giga(n.MemoryNode), giga(n.MemoryNode * n.AllNodes)},
		{"media in, and as much out, Gbit/s", giga(n.MediaBit), giga(n.MediaBit * m.Regions)},
		{"events to other regions, Gbit/s, as they are", giga(n.RegionOut), giga(n.AllBetween)},
		{"the same, compressed as far as the measurement says", giga(n.RegionOutFar), giga(n.RegionOutFar * m.Regions)},
		{"archive a day, one copy of the region's own calls, TB", tera(n.DiskOwn), tera(n.DiskOwn * m.Regions)},
		{"disk a day, all copies and mirrors, TB", tera(n.DiskDay), tera(n.AllDisk)},
		{fmt.Sprintf("disk after %s days, TB", figures(m.Days)), tera(n.DiskKept), tera(n.DiskKept * m.Regions)},
		{"NATS servers with copies of the log", figures(m.Replicas), figures(m.Replicas * m.Regions)},
	})
}

func assumed(all []assumption) string {
	var list [][]string
	for _, a := range all {
		list = append(list, []string{a.what, figures(*a.value), "`--" + a.name + "`"})
	}
	return rows([]string{"assumed", "value", "flag "}, list)
}

func traffic(n Needs, m Mix) string {
	return rows([]string{"traffic", "a region", "all regions"}, [][]string{
		{"calls at once", figures(n.Calls), figures(m.Calls)},
		{"new calls/s", figures(n.NewCalls), figures(n.NewCalls * m.Regions)},
		{"events a call", figures(n.Events), figures(n.Events)},
		{"bytes of events a call", figures(n.CallBytes), figures(n.CallBytes)},
		{"events/s", figures(n.EventsPS), figures(n.EventsPS * m.Regions)},
		{"bytes of events/s, MB", mega(n.EventsPS * n.CallBytes / n.Events), mega(n.EventsPS * n.CallBytes / n.Events * m.Regions)},
		{"packets/s relayed, million", mega(n.Packets), mega(n.AllPackets)},
		{"media, Gbit/s each way", giga(n.MediaBit), giga(n.MediaBit * m.Regions)},
	})
}

func cores(n Needs, m Mix) string {
	var list [][]string
	for _, p := range n.CoresBy {
		list = append(list, []string{p.Name, figures(p.Value), figures(p.Value * m.Regions), number("%.1f %%", 100*p.Value/n.Cores)})
	}
	list = append(list, []string{"all", figures(n.Cores), figures(n.AllCores), "100 %"})
	return rows([]string{"busy cores", "a region", "all regions", "share"}, list)
}

func nodes(n Needs, m Mix) string {
	var list [][]string
	for _, p := range n.NodesBy {
		list = append(list, []string{p.Name, figures(p.Value)})
	}
	list = append(list,
		[]string{fmt.Sprintf("the most of these and %s spare", figures(m.Spare)), figures(n.Nodes)},
		[]string{"calls that a node carries", figures(n.CallsNode)},
		[]string{"sockets that it has open", figures(n.SocketsNode)},
		[]string{"seconds to restart it: its calls are relayed", figures(n.RestartCalls)},
		[]string{"seconds of a core until it has read the mirrors", figures(n.RestartIndex)},
		[]string{"MB/s of events that it receives", mega(n.NodeEventsIn)})
	return rows([]string{"nodes of a region by", "number"}, list)
}

func memory(n Needs) string {
	var list [][]string
	for _, p := range n.MemoryBy {
		list = append(list, []string{p.Name, mega(p.Value)})
	}
	list = append(list, []string{"all", mega(n.MemoryNode)})
	return rows([]string{"memory of a node with a copy of the log", "MB"}, list)
}

func logTable(n Needs, m Mix) string {
	return rows([]string{"log of a region", "value"}, [][]string{
		{"appends/s to its live stream", figures(n.EventsPS)},
		{"CPU of all copies for them, % of a core", figures(100 * n.Leader)},
		{"entries/s that its mirrors take, of live calls", figures((m.Regions - 1) * n.EventsPS)},
		{"streams that mirror others", figures(n.Mirrors)},
		{"connections to servers of other regions", figures(n.Leaves)},
		{"MB/s written to the disk of a node with copies: live stream and archive, own and mirrored", mega(2 * n.NodeEventsIn)},
		{"archive a day, all copies and mirrors, TB", tera(n.DiskDay)},
		{"the same without mirrors of the archive, TB", tera(n.DiskDayHome)},
	})
}

func index(in Inputs, n Needs, m Mix) string {
	others := (m.Regions - 1) * n.Calls
	return rows([]string{"calls of other regions at each node", "index", "folded"}, [][]string{
		{"calls", figures(others), figures(others)},
		{"bytes a live call", figures(in["index"]), figures(in["foreign"])},
		{"MB of the node, what has ended lately included", mega(n.IndexMemory), mega(n.FoldMemory)},
		{"CPU an event, µs, beyond receiving it", figures(in["note"]), figures(in["fold"])},
		{"cores of the node", figures(n.IndexCPU), figures(n.FoldCPU)},
		{"cores of the node and its server to receive the events", figures(n.FollowCPU), figures(n.FollowCPU)},
	})
}

func regionsTable(in Inputs, m Mix) string {
	var list [][]string
	for _, regions := range []float64{1, 2, 5, 10, 20, 50} {
		v := m
		v.Regions = regions
		n := need(in, v)
		list = append(list, []string{
			figures(regions), figures(n.Nodes), figures(n.AllNodes), figures(n.AllCores), figures(n.EventsPS), figures(100 * n.Leader),
			giga(n.RegionOut), tera(n.AllDisk), tera(n.DiskDayHome * regions), figures(n.RestartIndex),
		})
	}
	return rows([]string{
		"regions", "nodes a region", "nodes", "busy cores", "appends/s a region", "CPU of their copies, % of a core", "Gbit/s out of a region", "disk a day, TB",
		"without archive mirrors, TB", "s to read the mirrors",
	}, list)
}

// packets shows what a packet's price decides; all prices but the first are not measured.
func packets(in Inputs, m Mix) string {
	var list [][]string
	for _, share := range []float64{1, 0.5, 0.25, 0.1} {
		v := Inputs{}
		for k, x := range in {
			v[k] = x
		}
		v["packet"] *= share
		name := "measured"
		if share != 1 {
			name = number("%.0f %% of it", 100*share)
		}
		n := need(v, m)
		var by string
		for _, p := range n.NodesBy {
			if p.Value+m.Spare == n.Nodes {
				by = p.Name
				break
			}
		}
		list = append(list, []string{
			name, figures(v["packet"]), figures(1e6 / v["packet"]), figures(n.CoresBy[0].Value * m.Regions), figures(n.AllNodes), figures(n.CallsNode), by,
		})
	}
	return rows([]string{"price of a packet", "µs", "packets/s a core", "cores for packets", "nodes", "calls a node", "decided by "}, list)
}

func limits(in Inputs, n Needs, m Mix) string {
	leader := 1e6 / in["append3"]
	ports := m.Ports * m.Addresses / (in["sockets"]*(1-m.Mux) + in["socketsMux"]*m.Mux)
	row := func(what string, has, limit float64, unit, remedy string) []string {
		return []string{what, figures(has) + unit, figures(limit) + unit, figures(limit / has), remedy}
	}
	return rows([]string{"limit", "here", "most", "times", "then "}, [][]string{
		row("cores of a node for packets and all else", n.Cores/n.Nodes, m.Cores*m.Busy, "", "more nodes; a cheaper packet"),
		row("events that a node receives, Gbit/s", n.NodeEventsIn*8/1e9, m.Gbit*m.Busy, "", "an index fed by ends and first entries only"),
		row("ports: calls on a node's media addresses", n.CallsNode, ports, "", "more addresses; `--port-min`, `--port-max`; rtcp-mux"),
		row("appends/s to the stream of a region, if one core did the work of all copies", n.EventsPS, leader, "", "more regions"),
		row("calls of a node by its restart", n.CallsNode, m.Restart*4000/in["restart"], "", "more nodes; floating addresses, with which nobody waits for it"),
		row("memory of a node, GB", n.MemoryNode/1e9, m.Memory*m.Busy, "", "more nodes"),
	})
}

func measured(f file) string {
	var list [][]string
	for _, s := range sources {
		from := "`" + s.bench + "`, " + strings.TrimPrefix(s.pkg, "./")
		if s.pkg == "" {
			from = "table " + s.block + " of [measurements](measurements.md)"
		}
		v := f.Inputs[s.key]
		if s.unit == "ns" {
			list = append(list, []string{s.what, figures(v / 1000), "µs", from, "`" + s.key + "`, in ns"})
			continue
		}
		list = append(list, []string{s.what, figures(v), s.unit, from, "`" + s.key + "`"})
	}
	return rows([]string{"measured", "value", "unit ", "by ", "in `scale.json` "}, list) +
		fmt.Sprintf("\n%s; load of the machine when the last of them were begun: %s.\n", f.Machine, f.Load)
}
