package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metric is one metric whose values come from a snapshot.
type metric struct {
	name   string
	help   string
	kind   prometheus.ValueType
	labels []string
	// early says that it is there while the node starts.
	early bool
	fill  func(s *Snapshot, emit emit)
}

// emit takes one value, with as many label values as the metric has labels.
type emit func(v float64, labels ...string)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// collector asks for a snapshot at each scrape.
type collector struct {
	take  func() *Snapshot
	descs []*prometheus.Desc // of table
}

var table = append(append([]metric(nil), fromRTPEngine...), own...)

func newCollector(take func() *Snapshot) *collector {
	c := &collector{take: take}
	for _, m := range table {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.take()
	for i, m := range table {
		if !s.Running && !m.early {
			continue
		}
		m.fill(s, func(v float64, labels ...string) {
			for j := range labels {
				labels[j] = strings.ToValidUTF8(labels[j], "?")
			}
			ch <- prometheus.MustNewConstMetric(c.descs[i], m.kind, v, labels...)
		})
	}
}

// Registry returns what is to be scraped: the snapshots that take returns, the counters, and what the runtime says.
func Registry(take func() *Snapshot, counters *Counters) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(take), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(counters.collectors()...)
	return r
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
