package node

import "rtpjet/events"

// level is what level of events this node may write: what all who read them understand. who says whom it is due to, for people;
// empty: to nobody, it is all that this build knows.
func (n *Node) level() (level int, who string) {
	if n.peers == nil {
		return events.Level, ""
	}
	level, who = n.peers.Level()
	if who != "" {
		who = "node " + who
	}
	if l, region := n.regions.Level(level); region != "" {
		level, who = l, "region "+region
	}
	return level, who
}

// levelNow is level without whom it is due to.
func (n *Node) levelNow() int {
	level, _ := n.level()
	return level
}

// tellLevel says in the log that events are written otherwise from now on.
func (n *Node) tellLevel() {
	level, who := n.level()
	switch before := n.writes.Swap(int32(level)); {
	case int32(level) == before:
	case level < events.Level:
		n.log.Warn("events are written so that an earlier build understands them", "level", level, "this build has", events.Level, "because of", who)
	case before != 0:
		n.log.Info("events are written as this build has them", "level", level)
	}
}
