package relay

import (
	"net/netip"
	"reflect"
	"testing"

	"rtpjet/relay/plan"
)

// Each rule is taken from the field of the plan that has its name.
func TestRulesOf(t *testing.T) {
	want := plan.Stream{
		Signalled: netip.MustParseAddrPort("192.0.2.1:4000"), Learned: netip.MustParseAddrPort("192.0.2.2:4001"), Former: netip.MustParseAddrPort("192.0.2.3:4002"),
		Seen: netip.MustParseAddr("192.0.2.4"), Epoch: 5, LearnUntil: 6, Mode: plan.LearnOff, Decrypt: &plan.SRTP{Suite: "in"}, Encrypt: &plan.SRTP{Suite: "out"},
	}
	st := reflect.ValueOf(&want).Elem()
	for i := range st.NumField() {
		if f := st.Field(i); f.Kind() == reflect.Bool {
			f.SetBool(true)
		}
	}
	got := reflect.ValueOf(rulesOf(&want))
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		rule, of := got.Field(i), st.FieldByName(name)
		if !of.IsValid() || rule.IsZero() || !reflect.DeepEqual(rule.Interface(), of.Interface()) {
			t.Errorf("the rule %s is %v, of %v in the plan", name, rule, of)
		}
	}
}
